//! What one row of the settings table says.

use std::fmt;

/// The type of a setting's value, with Kafka's code for it in `DescribeConfigs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
    /// A 32-bit number.
    Int,
    /// A 16-bit number.
    Short,
    /// A 64-bit number.
    Long,
    /// A floating point number.
    Double,
    /// Texts separated by commas.
    List,
}

impl Kind {
    /// Kafka's code, as in `DescribeConfigs`.
    pub const fn code(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }

    /// Kafka's name, as its error messages have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
        }
    }
}

/// Which values a setting takes, beyond its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Valid {
    /// Any.
    Any,
    /// At least this number.
    AtLeast(i64),
    /// From the first number to the second, both included.
    Between(i64, i64),
    /// A number from 0 to 1.
    Ratio,
    /// -1, or 1 to 9: the levels of gzip, where -1 is the codec's own choice.
    GzipLevel,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, in letters of any case.
    OneOfAnyCase(&'static [&'static str]),
    /// A list of these words, each at most once; it may be empty.
    ListOf(&'static [&'static str]),
    /// A list of any words, each at most once; it may not be empty.
    Distinct,
    /// `*`, or a list of `partition:broker`.
    ThrottledReplicas,
}

impl fmt::Display for Valid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("any"),
            Self::AtLeast(min) => write!(out, "{min} and up"),
            Self::Between(min, max) => write!(out, "{min} to {max}"),
            Self::Ratio => out.write_str("0 to 1"),
            Self::GzipLevel => out.write_str("-1, or 1 to 9"),
            Self::OneOf(words) | Self::OneOfAnyCase(words) => out.write_str(&words.join(", ")),
            Self::ListOf(words) => write!(out, "any of {}", words.join(", ")),
            Self::Distinct => out.write_str("a list without repetitions"),
            Self::ThrottledReplicas => out.write_str("`*`, or a list of partition:broker"),
        }
    }
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nothing, or nothing but itself.
    None,
    /// Milliseconds.
    Ms,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// A short word for a table, empty for none.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Ms => "ms",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::Bytes => "bytes",
        }
    }
}

/// What a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// One topic.
    Topic,
    /// One group of KIP-848.
    Group,
    /// A broker, or all brokers.
    Broker,
}

/// When a broker setting can change (KIP-226). Those of topics and groups always can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only before the broker starts.
    ReadOnly,
    /// While it runs, for this broker alone.
    PerBroker,
    /// While it runs, for this broker or for all.
    ClusterWide,
}

impl Mode {
    /// Kafka's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::PerBroker => "per-broker",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

/// How likely someone is to need a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Everyone should know it.
    High,
    /// Many will meet it.
    Medium,
    /// Few will.
    Low,
}

impl Importance {
    /// The word for a table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// A broker setting that gives a setting of a topic or group its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    /// The broker setting.
    pub name: &'static str,
    /// How many units of that setting one unit of it is: 3,600,000 for hours in ms.
    pub factor: i64,
}

/// One setting: a row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Kafka's name, or ours where Kafka has none.
    pub name: &'static str,
    /// Type of the value.
    pub kind: Kind,
    /// The default as it would be typed; `None` when there is none.
    pub default: Option<&'static str>,
    /// Values that are allowed.
    pub valid: Valid,
    /// What its number counts.
    pub unit: Unit,
    /// What it belongs to.
    pub level: Level,
    /// When it can change.
    pub mode: Mode,
    /// How likely someone is to need it.
    pub importance: Importance,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// For a setting of a topic or group: the broker settings that give its default, the strongest first.
    pub from: &'static [Synonym],
    /// Whether it is left out of documentation and `DescribeConfigs`: for tests only.
    pub internal: bool,
}

impl Setting {
    const fn new(
        level: Level,
        name: &'static str,
        kind: Kind,
        default: Option<&'static str>,
    ) -> Self {
        Self {
            name,
            kind,
            default,
            valid: Valid::Any,
            unit: Unit::None,
            level,
            mode: Mode::ReadOnly,
            importance: Importance::Medium,
            doc: "",
            from: &[],
            internal: false,
        }
    }

    /// A topic setting.
    pub(super) const fn topic(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self::new(Level::Topic, name, kind, Some(default))
    }

    /// A setting of a group.
    pub(super) const fn group(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self::new(Level::Group, name, kind, Some(default))
    }

    /// A broker setting.
    pub(super) const fn broker(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self::new(Level::Broker, name, kind, Some(default))
    }

    /// A setting without a default.
    pub(super) const fn unset(level: Level, name: &'static str, kind: Kind) -> Self {
        Self::new(level, name, kind, None)
    }

    pub(super) const fn valid(mut self, valid: Valid) -> Self {
        self.valid = valid;
        self
    }

    pub(super) const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    pub(super) const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    pub(super) const fn importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    pub(super) const fn from(mut self, from: &'static [Synonym]) -> Self {
        self.from = from;
        self
    }

    pub(super) const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    pub(super) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
}

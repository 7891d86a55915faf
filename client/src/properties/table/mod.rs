//! THE table of properties, pure: everything about one (what it belongs to, what it takes, what it does,
//! the page about it) comes from its row here.

mod client;
mod consumer;
mod docs;
mod group;
mod producer;

use std::time::Duration;

pub use docs::markdown;

use super::draft::Draft;
use super::error::PropertiesError;
use super::kind::Kind;
use super::{nearest_name, value};

/// One property.
#[derive(Debug)]
pub(super) struct Row {
    /// Kafka's name; one that ends in `*` stands for all that begin so.
    pub(super) name: &'static str,
    pub(super) of: Kind,
    take: Take,
    /// What it does, and which option it is.
    doc: &'static str,
}

/// What a property takes, and where that goes.
#[derive(Debug)]
enum Take {
    /// `true` or `false`.
    Flag(fn(&mut Draft, bool)),
    /// Milliseconds, this many or more.
    Ms(i32, fn(&mut Draft, Duration)),
    /// Bytes, this many or more.
    Bytes(i32, fn(&mut Draft, usize)),
    /// A count, this high or higher.
    Count(i32, fn(&mut Draft, usize)),
    /// Something else: in words, and how it is read.
    Other(&'static str, fn(&mut Draft, &str) -> Result<(), Misread>),
    /// Nothing that matters here, and why.
    Ignored(&'static str),
    /// Nothing yet, though it matters: what to do instead.
    Refused(&'static str),
}

/// Why a value was not taken.
#[derive(Debug)]
enum Misread {
    /// It is none of what is allowed.
    Unknown,
    /// Kafka has it, this client has not.
    NotHere(&'static str),
}

/// All properties, in the order of the page.
fn rows() -> impl Iterator<Item = &'static Row> {
    [client::ROWS, producer::ROWS, consumer::ROWS, group::ROWS].into_iter().flatten()
}

/// The row of a property.
///
/// # Errors
/// When there is none, or it belongs to something else than is `wanted`.
pub(super) fn find(name: &str, wanted: Kind) -> Result<&'static Row, PropertiesError> {
    let matching: Vec<&Row> = rows().filter(|row| row.is_called(name)).collect();
    // Some belong to several kinds, and have a row for each.
    let own = matching.iter().find(|row| row.of.is_part_of(wanted));
    match (own, matching.first()) {
        (Some(row), _) => Ok(row),
        (None, Some(row)) => Err(PropertiesError::OfAnother { name: row.name, of: row.of, wanted }),
        (None, None) => {
            let names = |all: bool| {
                let known = rows().filter(move |row| all || row.of.is_part_of(wanted));
                known.map(|row| row.name).filter(|name| !name.ends_with('*'))
            };
            let nearest =
                nearest_name(name, names(false)).or_else(|| nearest_name(name, names(true)));
            Err(PropertiesError::Unknown { name: name.to_owned(), nearest })
        }
    }
}

impl Row {
    const fn new(name: &'static str, of: Kind, take: Take, doc: &'static str) -> Self {
        Self { name, of, take, doc }
    }

    fn is_called(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.name == name,
        }
    }

    /// Takes a value in.
    ///
    /// # Errors
    /// When it is not understood, or can't be honoured.
    pub(super) fn read(
        &self,
        name: &str,
        value: &str,
        draft: &mut Draft,
    ) -> Result<(), PropertiesError> {
        match self.try_read(name, value.trim(), draft) {
            Ok(()) => Ok(()),
            Err(Misread::NotHere(why)) => {
                Err(PropertiesError::NotHere { name: name.to_owned(), why })
            }
            Err(Misread::Unknown) => Err(PropertiesError::Value {
                name: self.name,
                value: value.to_owned(),
                allowed: self.allowed(),
            }),
        }
    }

    fn try_read(&self, name: &str, value: &str, draft: &mut Draft) -> Result<(), Misread> {
        let number = |min: i32| value::number(value, min).ok_or(Misread::Unknown);
        let size = |min: i32| number(min).map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        match self.take {
            Take::Flag(set) => set(draft, value::flag(value).ok_or(Misread::Unknown)?),
            Take::Ms(min, set) => set(draft, Duration::from_millis(number(min)?.into())),
            Take::Bytes(min, set) | Take::Count(min, set) => set(draft, size(min)?),
            Take::Other(_, set) => set(draft, value)?,
            Take::Ignored(why) => draft.warnings.push(format!("{name} has no effect: {why}")),
            // Set to nothing, it asks for nothing.
            Take::Refused(_) if value.is_empty() => {}
            Take::Refused(why) => return Err(Misread::NotHere(why)),
        }
        Ok(())
    }

    /// What it takes, in words.
    fn allowed(&self) -> String {
        match self.take {
            Take::Flag(_) => "true or false".to_owned(),
            Take::Ms(min, _) => format!("milliseconds, {min} to 2147483647"),
            Take::Bytes(min, _) => format!("bytes, {min} to 2147483647"),
            Take::Count(min, _) => format!("a number, {min} to 2147483647"),
            Take::Other(words, _) => words.to_owned(),
            Take::Ignored(_) | Take::Refused(_) => "nothing".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let mut seen = std::collections::BTreeSet::new();
        for row in rows() {
            assert!(seen.insert((row.name, row.of.plural())), "{} stands twice", row.name);
            assert_ne!(row.doc.ends_with('.'), row.doc.is_empty(), "{}: {}", row.name, row.doc);
            let silent = matches!(row.take, Take::Ignored(_) | Take::Refused(_));
            assert_eq!(silent, row.doc.is_empty(), "{}", row.name);
        }
    }
}

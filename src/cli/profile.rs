//! `duramen profile`: names for clusters, in a small file of the user's own.
//!
//! ```text
//! current=local
//! local.brokers=127.0.0.1:9092
//! prod.brokers=kafka-1:9092,kafka-2:9092
//! ```

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::{Exit, Failure};
use super::output::{self, Format, Output, Table};

/// No file of names is larger; another may be.
const MOST_BYTES: u64 = 1024 * 1024;
const CURRENT: &str = "current";
const BROKERS: &str = ".brokers";

/// Name clusters, and choose the one that verbs talk to.
///
/// A verb takes its brokers from --brokers or DURAMEN_BROKERS, else from --profile or DURAMEN_PROFILE, else
/// from the profile in use, else it tries 127.0.0.1:9092.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen profile set prod --to kafka-1:9092,kafka-2:9092
  duramen profile use prod                           from now on, until `duramen profile use --none`
  duramen topic list --profile staging               once
  duramen profile list

The names are in $XDG_CONFIG_HOME/duramen/profiles.properties (~/.config without XDG_CONFIG_HOME).")]
pub struct ProfileArgs {
    #[command(subcommand)]
    verb: ProfileVerb,
}

#[derive(Debug, Subcommand)]
enum ProfileVerb {
    /// List the profiles; * marks the one in use
    #[command(after_help = "Example:\n  duramen profile list --format json")]
    List {
        /// How to show it
        #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
        format: Format,
    },
    /// Name a cluster, or change what a name stands for
    #[command(after_help = "Example:\n  duramen profile set prod --to kafka-1:9092,kafka-2:9092")]
    Set {
        /// The profile: letters, digits, - and _
        name: String,
        /// Its brokers
        #[arg(long, value_name = "HOST:PORT,…")]
        to: String,
    },
    /// Choose the profile that verbs use from now on
    #[command(after_help = "Examples:\n  duramen profile use prod\n  duramen profile use --none")]
    Use {
        /// The profile
        #[arg(required_unless_present = "none")]
        name: Option<String>,
        /// None of them
        #[arg(long, conflicts_with = "name")]
        none: bool,
    },
    /// Forget a name
    #[command(after_help = "Example:\n  duramen profile delete prod")]
    Delete {
        /// The profile
        name: String,
    },
}

/// Does what was asked.
pub(super) fn run(args: ProfileArgs) -> Result<(), Failure> {
    let path = file().ok_or_else(|| {
        Failure::usage("there is no place for profiles: set XDG_CONFIG_HOME or HOME")
    })?;
    let mut profiles = Profiles::read(&path)?;
    let said = match args.verb {
        ProfileVerb::List { format } => return list(&profiles, format),
        ProfileVerb::Set { name, to } => {
            check(&name)?;
            for address in to.split(',') {
                if duramen_client::transport::Address::parse(address).is_none() {
                    let words = format!("\"{address}\" is no broker address; write host:port");
                    return Err(Failure::usage(words));
                }
            }
            profiles.brokers.insert(name.clone(), to.clone());
            format!("{name} is {to}")
        }
        ProfileVerb::Use { name: Some(name), .. } => {
            profiles.of(&name)?;
            profiles.current = Some(name.clone());
            format!("{name} is in use")
        }
        ProfileVerb::Use { name: None, .. } => {
            profiles.current = None;
            "no profile is in use".to_owned()
        }
        ProfileVerb::Delete { name } => {
            profiles.of(&name)?;
            profiles.brokers.remove(&name);
            profiles.current = profiles.current.take().filter(|current| *current != name);
            format!("{name} deleted")
        }
    };
    profiles.write(&path).map_err(|error| Failure::io(path.display(), &error))?;
    let mut out = Output::stdout()?;
    out.buffer().extend_from_slice(format!("{said}\n").as_bytes());
    out.flush()
}

fn list(profiles: &Profiles, format: Format) -> Result<(), Failure> {
    let mut table = Table::new(&["", "profile", "brokers"]);
    let mut all = Vec::new();
    for (name, brokers) in &profiles.brokers {
        let current = profiles.current.as_ref() == Some(name);
        let mark = if current { "*" } else { "" };
        table.row(vec![mark.to_owned(), name.clone(), brokers.clone()]);
        all.push(json!({"profile": name, "brokers": brokers, "in_use": current}));
    }
    if table.is_empty() && format == Format::Table && output::stdout_is_terminal() {
        output::note("no profiles; name a cluster with `duramen profile set NAME --to HOST:PORT`");
    }
    output::print(format, &all.into(), &[table])
}

/// The brokers of the profile asked for, or of the one in use; `None` when there is neither.
///
/// # Errors
/// When the profile does not exist, or the file can't be read.
pub(super) fn brokers(asked: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(path) = file() else {
        return match asked {
            Some(name) => Err(missing(name)),
            None => Ok(None),
        };
    };
    let profiles = Profiles::read(&path)?;
    let name = asked.or(profiles.current.as_deref());
    name.map(|name| profiles.of(name).map(str::to_owned)).transpose()
}

fn missing(name: &str) -> Failure {
    let words = format!("there is no profile {name}; see `duramen profile list`");
    Failure::new(Exit::NotFound, words)
}

fn check(name: &str) -> Result<(), Failure> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    match !name.is_empty() && name.chars().all(plain) && name != CURRENT {
        true => Ok(()),
        false => Err(Failure::usage("a profile's name is made of letters, digits, - and _")),
    }
}

/// Where the profiles are.
fn file() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let config = folder("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&folder("HOME")?).join(".config")))?;
    Some(config.join("duramen/profiles.properties"))
}

/// What the file holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Profiles {
    current: Option<String>,
    brokers: BTreeMap<String, String>,
}

impl Profiles {
    fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::io(path.display(), error);
        match fs::metadata(path) {
            Ok(found) if found.len() > MOST_BYTES => {
                let words = format!("{} is no file of profiles: it is too large", path.display());
                return Err(Failure::new(Exit::Input, words));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(&error)),
        }
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        Self::parse(&text)
            .map_err(|words| Failure::new(Exit::Input, format!("{}: {words}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut profiles = Self::default();
        for property in
            duramen_client::properties::text::parse(text).map_err(|error| error.to_string())?
        {
            if property.name == CURRENT {
                profiles.current = Some(property.value).filter(|name| !name.is_empty());
            } else if let Some(name) = property.name.strip_suffix(BROKERS) {
                profiles.brokers.insert(name.to_owned(), property.value);
            } else {
                let (line, name) = (property.line, property.name);
                return Err(format!("line {line}: {name} is none of current and NAME.brokers"));
            }
        }
        Ok(profiles)
    }

    fn text(&self) -> String {
        let current = self.current.iter().map(|name| format!("{CURRENT}={name}\n"));
        let brokers = self.brokers.iter().map(|(name, of)| format!("{name}{BROKERS}={of}\n"));
        current.chain(brokers).collect()
    }

    /// Replaces the file as a whole.
    #[expect(clippy::disallowed_methods, reason = "the user's own file, not the broker's")]
    fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = path.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    }

    fn of(&self, name: &str) -> Result<&str, Failure> {
        self.brokers.get(name).map(String::as_str).ok_or_else(|| missing(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let profiles = Profiles {
            current: Some("prod".into()),
            brokers: BTreeMap::from([
                ("local".into(), "[::1]:9092".into()),
                ("prod".into(), "a:9092,b:9093".into()),
            ]),
        };
        assert_eq!(Profiles::parse(&profiles.text()), Ok(profiles));
        assert_eq!(Profiles::parse(""), Ok(Profiles::default()));
        assert!(Profiles::parse("prod=a:9092").unwrap_err().contains("line 1"));
        for name in ["", "a b", "a.b", "current"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}

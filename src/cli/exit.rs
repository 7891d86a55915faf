//! How a verb ends: exit codes by cause, and one line that says what to do next.

use std::fmt;
use std::io;
use std::process::ExitCode;

use duramen_client::connection::CallError;
use duramen_client::{ClientError, ErrorCode};

use super::output;

/// Exit codes. They are part of the interface: scripts branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something failed that has no code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// No broker answered, or not in time.
    Unreachable = 3,
    /// There is no such topic, partition, group or file.
    NotFound = 4,
    /// Records were not delivered.
    Delivery = 5,
    /// The broker refused.
    Refused = 6,
    /// The input could not be read.
    Input = 7,
}

/// Why a verb did not do what it was asked to.
#[derive(Debug)]
pub enum Failure {
    /// Told on stderr.
    Told {
        /// The exit code.
        exit: Exit,
        /// One line.
        message: String,
    },
    /// The reader of our output has gone: nothing to say, and no failure.
    ReaderGone,
}

impl Failure {
    /// A failure with its exit code.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self::Told { exit, message: message.to_string() }
    }

    /// Wrong usage that the argument parser could not see.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something about a file or a stream.
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            io::ErrorKind::NotFound => Self::new(Exit::NotFound, format!("{what}: no such file")),
            _ => Self::new(Exit::Failed, format!("{what}: {error}")),
        }
    }

    /// Says it on stderr, and gives the code to exit with.
    #[must_use]
    pub fn report(self) -> ExitCode {
        match self {
            Self::Told { exit, message } => {
                output::note(&format!("error: {message}"));
                ExitCode::from(exit as u8)
            }
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

const LIST_GROUPS: &str = "see `duramen group list`";
const SEE_BROKERS: &str = "is a broker running there? see --brokers";
const LIST_OR_MAKE: &str = "see `duramen topic list`, or make it with `duramen topic create`";

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = exit_of(&error);
        let words = words_of(&error);
        let missing = exit == Exit::NotFound && error.code().is_some();
        let advice = match error.code() {
            Some(ErrorCode::GroupIdNotFound) => Some(LIST_GROUPS),
            _ if missing => Some(LIST_OR_MAKE),
            _ if matches!(error, ClientError::Unreachable { .. }) => Some(SEE_BROKERS),
            _ => error.advice(),
        };
        match advice {
            Some(advice) => Self::new(exit, format!("{words}; {advice}")),
            None => Self::new(exit, words),
        }
    }
}

/// A client's error in one line; what Kafka says at length about a missing topic is said shortly.
#[must_use]
pub fn words_of(error: &ClientError) -> String {
    match error {
        ClientError::Refused { what, code: ErrorCode::UnknownTopicOrPartition, .. } => {
            format!("{what} does not exist")
        }
        error => error.to_string(),
    }
}

/// The failure of a record, with its place.
#[must_use]
pub fn at_place(place: &str, error: &ClientError) -> Failure {
    let exit = match exit_of(error) {
        exit @ (Exit::NotFound | Exit::Unreachable) => exit,
        _ => Exit::Delivery,
    };
    Failure::new(exit, format!("{place}: {}", words_of(error)))
}

/// The exit code of a client's error.
#[must_use]
pub fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::Expired { .. }
        | ClientError::Call(CallError::Connection(_)) => Exit::Unreachable,
        ClientError::NoPartition { .. } => Exit::NotFound,
        ClientError::Refused { code, .. } => match code {
            ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::ResourceNotFound => Exit::NotFound,
            _ => Exit::Refused,
        },
        ClientError::Address(_) | ClientError::Options { .. } | ClientError::Properties(_) => {
            Exit::Usage
        }
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_codes_and_lines_say_what_to_do() {
        let missing =
            ClientError::refused("topic orders", ErrorCode::UnknownTopicOrPartition, None);
        let Failure::Told { exit, message } = Failure::from(missing) else { panic!("told") };
        assert_eq!(exit, Exit::NotFound);
        assert_eq!(
            message,
            "topic orders does not exist; see `duramen topic list`, or make it with `duramen topic create`"
        );
        let gone = ClientError::Unreachable { addresses: vec!["a:1".into()], last: "x".into() };
        let Failure::Told { exit, message } = Failure::from(gone) else { panic!("told") };
        assert_eq!(exit, Exit::Unreachable);
        assert_eq!(
            message,
            "no broker answered at a:1: x; is a broker running there? see --brokers"
        );
        let pipe = Failure::io("stdout", &io::ErrorKind::BrokenPipe.into());
        assert!(matches!(pipe, Failure::ReaderGone));
    }
}

//! How several things went that were asked for at once.

use duramen_client::ClientError;
use duramen_client::admin::Outcome;

use super::exit::{Exit, Failure, exit_of, words_of};
use super::output;

/// Says how each went; the first failure decides how the verb ends.
///
/// # Errors
/// When one failed, or stdout does not take the lines.
pub fn tell<K, T>(
    outcomes: Vec<Outcome<K, T>>,
    done: impl Fn(&K, &T) -> String,
) -> Result<(), Failure> {
    let mut out = output::Output::stdout()?;
    let mut failed: Vec<ClientError> = Vec::new();
    for Outcome { about, result, .. } in outcomes {
        match result {
            Ok(value) => {
                out.buffer().extend_from_slice(done(&about, &value).as_bytes());
                out.buffer().push(b'\n');
            }
            Err(error) => failed.push(error),
        }
    }
    out.flush()?;
    let mut failed = failed.into_iter();
    let Some(first) = failed.next() else { return Ok(()) };
    let rest: Vec<ClientError> = failed.collect();
    if rest.is_empty() {
        return Err(first.into());
    }
    let exit = exit_of(&first);
    let same = rest.iter().all(|error| exit_of(error) == exit);
    for error in std::iter::once(&first).chain(&rest) {
        output::note(&words_of(error));
    }
    let exit = if same { exit } else { Exit::Failed };
    Err(Failure::new(exit, format!("{} could not be done, see above", rest.len() + 1)))
}

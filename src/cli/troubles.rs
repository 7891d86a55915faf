//! What is said to a person who waits while something fails and is tried again: one line soon, and one
//! when it is over.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use duramen_client::{ClientError, Cluster, ErrorCode, Trouble};
use tokio::time::Instant;

use super::exit::words_of;
use super::output;

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What passes sooner is not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);
/// The least time before another line says that something fails.
const PAUSE: Duration = Duration::from_secs(10);

/// Watches the cluster handle for as long as the process runs.
pub(super) fn watch(cluster: &Cluster) {
    let cluster = cluster.clone();
    tokio::spawn(async move {
        let mut teller = Teller::default();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let over = cluster.troubles_over();
            if let Some(line) = teller.look(Instant::now(), &cluster.troubles(), over) {
                output::note(&line);
            }
        }
    });
}

/// What kind of error it is: another partition with the same one is no news.
type Kind = (Discriminant<ClientError>, Option<ErrorCode>);

/// Chooses what to say.
#[derive(Debug, Default)]
struct Teller {
    /// What the person knows of.
    told: Option<Kind>,
    /// Troubles that had ended well by then.
    over: u64,
    not_before: Option<Instant>,
}

impl Teller {
    /// What to say now; `over` of the troubles so far have ended well.
    fn look(&mut self, now: Instant, troubles: &[Trouble], over: u64) -> Option<String> {
        let Some(Trouble { error, lasting, .. }) = troubles.first() else {
            // What was given up is told by who gave it up.
            let works = self.told.take().is_some() && over > self.over;
            return works.then(|| "it works again".to_owned());
        };
        let kind = (discriminant(error), error.code());
        let early = *lasting < PATIENCE || self.not_before.is_some_and(|at| now < at);
        if early || self.told == Some(kind) {
            return None;
        }
        (self.told, self.over) = (Some(kind), over);
        self.not_before = Some(now + PAUSE);
        Some(format!("{}; still trying", words_of(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(what: &str, code: ErrorCode, seconds: u64) -> Trouble {
        let error = ClientError::refused(what, code, Some("full".into()));
        Trouble::new(error, Duration::from_secs(seconds))
    }

    #[test]
    fn a_person_is_told_once_what_fails_and_once_that_it_works_again() {
        let mut teller = Teller::default();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let full = |what, seconds| [trouble(what, ErrorCode::KafkaStorageError, seconds)];
        assert_eq!(teller.look(at(0), &[], 0), None);
        assert_eq!(teller.look(at(0), &full("a-0", 0), 0), None, "it may pass");
        let line = teller.look(at(1), &full("a-0", 1), 0);
        assert_eq!(line.as_deref(), Some("a-0: full (KAFKA_STORAGE_ERROR); still trying"));
        assert_eq!(teller.look(at(60), &full("a-1", 60), 0), None, "no news");
        let other = [trouble("a-0", ErrorCode::NotEnoughReplicas, 61)];
        assert!(teller.look(at(61), &other, 0).is_some());
        assert_eq!(teller.look(at(62), &full("a-0", 61), 0), None, "not more than a line in 10 s");
        assert_eq!(teller.look(at(62), &[], 1).as_deref(), Some("it works again"));
        assert_eq!(teller.look(at(63), &[], 1), None);
        assert_eq!(teller.look(at(65), &full("a-0", 2), 1), None);
        assert!(teller.look(at(72), &full("a-0", 9), 1).is_some());
        assert_eq!(teller.look(at(80), &[], 1), None, "it was given up, and does not work");
        assert_eq!(teller.look(at(81), &[], 2), None);
    }
}

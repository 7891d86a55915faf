//! What clients say that they are (KIP-511), and how many connections each of them has open.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duramen_protocol::text::Text;

/// How many are told apart; those that come after them are one.
const LISTED: usize = 100;
/// The longest name or version that is kept, in bytes.
const NAME_BYTES: usize = 64;
const OTHERS: &str = "(others)";

/// A client's software: its name and version.
pub(crate) type Software = (Text, Text);

/// Open connections by software.
#[derive(Debug, Default)]
pub(crate) struct SoftwareCounts {
    open: Arc<Mutex<BTreeMap<Software, u64>>>,
}

/// One open connection of a software; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    software: Software,
    open: Arc<Mutex<BTreeMap<Software, u64>>>,
}

impl SoftwareCounts {
    /// A connection whose client has said what it is.
    pub(crate) fn count(&self, name: &Text, version: &Text) -> Counted {
        let mut open = lock(&self.open);
        let mut software = (name.clone(), version.clone());
        let is_long = name.len().max(version.len()) > NAME_BYTES;
        if is_long || (open.len() >= LISTED && !open.contains_key(&software)) {
            software = (Text::from(OTHERS), Text::default());
        }
        *open.entry(software.clone()).or_default() += 1;
        Counted { software, open: Arc::clone(&self.open) }
    }

    /// All that have a connection open, in the order of their names.
    pub(crate) fn all(&self) -> Vec<(Software, u64)> {
        let open = lock(&self.open);
        open.iter().map(|(software, count)| (software.clone(), *count)).collect()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        let Some(count) = open.get_mut(&self.software) else { return };
        *count -= 1;
        if *count == 0 {
            open.remove(&self.software);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(counts: &SoftwareCounts) -> Vec<(String, u64)> {
        counts.all().into_iter().map(|((name, _), count)| (name.to_string(), count)).collect()
    }

    #[test]
    fn a_connection_counts_while_it_is_open() {
        let counts = SoftwareCounts::default();
        let count = |name: &str| counts.count(&Text::from(name), &Text::from("1"));
        let (first, second, other) = (count("java"), count("java"), count("kcat"));
        assert_eq!(told(&counts), [("java".to_owned(), 2), ("kcat".to_owned(), 1)]);
        drop((first, other));
        assert_eq!(told(&counts), [("java".to_owned(), 1)]);
        drop(second);
        assert_eq!(told(&counts), []);
    }

    #[test]
    fn what_clients_make_up_is_bounded() {
        let counts = SoftwareCounts::default();
        let version = Text::from("1");
        let name = |n: usize| Text::from(format!("made-up-{n}").as_str());
        let open: Vec<_> = (0..1000).map(|n| counts.count(&name(n), &version)).collect();
        let long = counts.count(&Text::from("x".repeat(65).as_str()), &version);
        assert_eq!(counts.all().len(), LISTED + 1);
        assert!(told(&counts).contains(&(OTHERS.to_owned(), 901)));
        drop((open, long));
        assert_eq!(told(&counts), []);
    }
}

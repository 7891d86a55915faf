//! A sorted map that is cheap to clone and cheap to change: runs of entries behind counters, shared
//! between the clones. A change copies one run and the list of runs, never the whole map, so that
//! a cluster of many topics pays microseconds for one more.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Entries a run holds before it is cut in two; small under test so that cuts happen at once.
const RUN_MAX: usize = if cfg!(test) { 8 } else { 128 };

type Run<K, V> = Arc<Vec<(K, V)>>;

/// A sorted map with structural sharing. `V` is cloned when a shared run changes: keep it small,
/// or behind an `Arc`.
#[derive(Clone)]
pub struct SharedMap<K, V> {
    /// Never an empty run; keys rise within a run and from run to run.
    runs: Arc<Vec<Run<K, V>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { runs: Arc::new(Vec::new()), len: 0 }
    }
}

impl<K, V> SharedMap<K, V> {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.runs.iter().flat_map(|run| run.iter().map(|(key, value)| (key, value)))
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The index of the run in which `key` stands or would stand.
    fn run_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.runs
            .partition_point(|run| run.first().is_some_and(|(first, _)| first.borrow() <= key))
            .saturating_sub(1)
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// The value under `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let run = self.runs.get(self.run_of(key))?;
        let at = run.binary_search_by(|(known, _)| known.borrow().cmp(key)).ok()?;
        run.get(at).map(|(_, value)| value)
    }

    /// Whether there is an entry under `key`.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// The entries from `key` (or the next larger one) on, in the order of their keys.
    pub fn iter_from<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        let first = self.run_of(key);
        let skipped = self
            .runs
            .get(first)
            .map_or(0, |run| run.partition_point(|(known, _)| known.borrow() < key));
        self.runs
            .iter()
            .skip(first)
            .flat_map(|run| run.iter().map(|(key, value)| (key, value)))
            .skip(skipped)
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// Puts `value` under `key`; gives back what stood there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let index = self.run_of(&key);
        let runs = Arc::make_mut(&mut self.runs);
        let Some(run) = runs.get_mut(index) else {
            runs.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let entries = Arc::make_mut(run);
        match entries.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => entries.get_mut(at).map(|(_, present)| std::mem::replace(present, value)),
            Err(at) => {
                entries.insert(at, (key, value));
                self.len += 1;
                if entries.len() > RUN_MAX {
                    let upper = entries.split_off(entries.len() / 2);
                    runs.insert(index + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// The value under `key`, to be changed in place.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let index = self.run_of(key);
        let at =
            self.runs.get(index)?.binary_search_by(|(known, _)| known.borrow().cmp(key)).ok()?;
        let entries = Arc::make_mut(Arc::make_mut(&mut self.runs).get_mut(index)?);
        entries.get_mut(at).map(|(_, value)| value)
    }

    /// Takes the entry under `key` away; gives back its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let index = self.run_of(key);
        let at =
            self.runs.get(index)?.binary_search_by(|(known, _)| known.borrow().cmp(key)).ok()?;
        let runs = Arc::make_mut(&mut self.runs);
        let entries = Arc::make_mut(runs.get_mut(index)?);
        let (_, value) = entries.remove(at);
        self.len -= 1;
        if entries.is_empty() {
            runs.remove(index);
        }
        Some(value)
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        // Where the runs are cut depends on history, what they hold does not.
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_change_shares_every_other_run_with_its_clone() {
        let before: SharedMap<i32, i32> = (0..100).map(|key| (key, key)).collect();
        let mut after = before.clone();
        after.insert(50, -1);
        assert_eq!((before.get(&50), after.get(&50)), (Some(&50), Some(&-1)));
        let copied = before
            .runs
            .iter()
            .zip(after.runs.iter())
            .filter(|(old, new)| !Arc::ptr_eq(old, new))
            .count();
        assert_eq!(copied, 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_answers_as_a_btree_map_does(
            changes in prop::collection::vec((0u8..60, prop::option::of(any::<u8>())), 0..300),
            from in 0u8..70,
        ) {
            let mut shared = SharedMap::default();
            let mut model = BTreeMap::new();
            for (key, change) in changes {
                match change {
                    Some(value) => {
                        prop_assert_eq!(shared.insert(key, value), model.insert(key, value));
                    }
                    None => prop_assert_eq!(shared.remove(&key), model.remove(&key)),
                }
                prop_assert_eq!(shared.len(), model.len());
                prop_assert_eq!(shared.get(&key), model.get(&key));
                prop_assert_eq!(shared.get_mut(&key), model.get_mut(&key));
            }
            prop_assert!(shared.iter().eq(model.iter()));
            prop_assert!(shared.iter_from(&from).eq(model.range(from..)));
            prop_assert!(shared.runs.iter().all(|run| !run.is_empty() && run.len() <= RUN_MAX));
            prop_assert_eq!(&shared, &model.into_iter().collect());
        }
    }
}

//! `-p 0,2,5-7`: some partitions of a topic.

use std::collections::BTreeSet;
use std::str::FromStr;

use duramen_client::Text;
use duramen_client::cluster::{Cluster, Topics};

use super::exit::{Exit, Failure};

/// A list of numbers and ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionList(BTreeSet<i32>);

/// More than any topic has; a longer list is a slip of the keyboard.
const MOST: usize = 1_000_000;

impl PartitionList {
    /// The partitions named, ascending.
    pub fn iter(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().copied()
    }

    /// Whether a partition is named.
    #[must_use]
    pub fn contains(&self, partition: i32) -> bool {
        self.0.contains(&partition)
    }
}

impl FromStr for PartitionList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || format!("\"{text}\" is no list of partitions; write 0,2,5-7");
        let number = |part: &str| {
            part.trim().parse::<i32>().ok().filter(|number| *number >= 0).ok_or_else(refused)
        };
        let mut all = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            let count = usize::try_from(last.saturating_sub(first)).unwrap_or(MOST);
            if first > last || count >= MOST {
                return Err(refused());
            }
            all.extend(first..=last);
        }
        Ok(Self(all))
    }
}

/// The partitions asked for of each topic.
///
/// # Errors
/// When a topic or partition does not exist, or no broker answers.
pub async fn partitions_of(
    cluster: &Cluster,
    topics: &[String],
    only: Option<&PartitionList>,
) -> Result<Vec<(Text, i32)>, Failure> {
    let mut names: Vec<Text> = topics.iter().map(Text::from).collect();
    names.sort_unstable();
    names.dedup();
    let view = cluster.refresh(Topics::Named(&names)).await?;
    let mut all = Vec::new();
    for name in names {
        let count = view.topic(&name).map_or(0, |topic| topic.partitions.len());
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        match only {
            None => all.extend((0..count).map(|partition| (name.clone(), partition))),
            Some(list) => {
                if let Some(missing) = list.iter().find(|partition| *partition >= count) {
                    let words = format!(
                        "topic {name} has no partition {missing}; it has {count}, numbered from 0"
                    );
                    return Err(Failure::new(Exit::NotFound, words));
                }
                all.extend(list.iter().map(|partition| (name.clone(), partition)));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges() {
        let list: PartitionList = "5-7,0, 2,6".parse().unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [0, 2, 5, 6, 7]);
        assert!(list.contains(6) && !list.contains(1));
        for text in ["", "a", "1-", "3-1", "-1", "0,,1", "0-2000000000"] {
            assert!(text.parse::<PartitionList>().is_err(), "{text}");
        }
    }
}

//! Offsets of a group as a file: CSV as Kafka's own tool reads and writes it, or JSON.
//!
//! ```text
//! orders,0,1500            topic, partition, offset
//! payments,orders,0,1500   the same of several groups
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use duramen_client::consumer::TopicPartition;
use serde_json::{Value, json};

use crate::cli::exit::{Exit, Failure};

/// No file of offsets is larger; another may be.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// Reads the offsets of `group` from a file.
///
/// # Errors
/// When it can't be read, or a line is none; the message names it.
#[expect(clippy::disallowed_methods, reason = "the user's own file, not the broker's")]
pub(super) fn read(path: &Path, group: &str) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let failed = |error| Failure::io(path.display(), &error);
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(failed)?;
    parse(&text, group)
        .map_err(|words| Failure::new(Exit::Input, format!("{}: {words}", path.display())))
}

fn parse(text: &str, group: &str) -> Result<BTreeMap<TopicPartition, i64>, String> {
    match text.trim_start().starts_with('[') {
        true => parse_json(text),
        false => parse_csv(text, group),
    }
}

fn parse_csv(text: &str, group: &str) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let mut offsets = BTreeMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let fault = || format!("line {line}: write topic,partition,offset");
        let cells: Vec<&str> = text.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let (of, topic, partition, offset) = match *cells.as_slice() {
            [topic, partition, offset] => (group, topic, partition, offset),
            [of, topic, partition, offset] => (of, topic, partition, offset),
            _ => return Err(fault()),
        };
        let partition = partition.parse().ok().filter(|number: &i32| *number >= 0);
        let offset = offset.parse().ok().filter(|number: &i64| *number >= 0);
        let (Some(partition), Some(offset)) = (partition, offset) else { return Err(fault()) };
        if of == group && offsets.insert(TopicPartition::new(topic, partition), offset).is_some() {
            return Err(format!("line {line}: {topic}-{partition} stands here twice"));
        }
    }
    Ok(offsets)
}

fn parse_json(text: &str) -> Result<BTreeMap<TopicPartition, i64>, String> {
    let all: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut offsets = BTreeMap::new();
    for (number, value) in (1..).zip(all) {
        let topic = value.get("topic").and_then(Value::as_str);
        let partition = value.get("partition").and_then(Value::as_i64);
        let partition = partition.and_then(|number| i32::try_from(number).ok());
        let offset = value.get("offset").and_then(Value::as_i64);
        let (Some(topic), Some(partition @ 0..), Some(offset @ 0..)) = (topic, partition, offset)
        else {
            let form = r#"{"topic": "t", "partition": 0, "offset": 0}"#;
            return Err(format!("entry {number}: write {form}"));
        };
        if offsets.insert(TopicPartition::new(topic, partition), offset).is_some() {
            return Err(format!("entry {number}: {topic}-{partition} stands here twice"));
        }
    }
    Ok(offsets)
}

/// Writes offsets to a file, as JSON when its name ends so.
///
/// # Errors
/// When it can't be written.
#[expect(clippy::disallowed_methods, reason = "the user's own file, not the broker's")]
pub(super) fn write(path: &Path, offsets: &[(TopicPartition, i64)]) -> Result<(), Failure> {
    let json = path.extension().is_some_and(|extension| extension == "json");
    fs::write(path, text(offsets, json)).map_err(|error| Failure::io(path.display(), &error))
}

fn text(offsets: &[(TopicPartition, i64)], json: bool) -> String {
    if !json {
        let line = |(at, offset): &(TopicPartition, i64)| {
            format!("{},{},{offset}\n", at.topic, at.partition)
        };
        return offsets.iter().map(line).collect();
    }
    let all: Vec<Value> = offsets
        .iter()
        .map(|(at, offset)| {
            json!({"topic": at.topic.as_str(), "partition": at.partition, "offset": offset})
        })
        .collect();
    format!("{}\n", serde_json::to_string_pretty(&all).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_in_both_forms() {
        let offsets = vec![(TopicPartition::new("a", 0), 5), (TopicPartition::new("b.c", 11), 0)];
        for json in [false, true] {
            let read = parse(&text(&offsets, json), "g").unwrap();
            assert_eq!(read.into_iter().collect::<Vec<_>>(), offsets);
        }
        assert_eq!(text(&offsets, false), "a,0,5\nb.c,11,0\n");
    }

    #[test]
    fn of_several_groups_only_the_one_asked_for_is_read() {
        let read = parse("g,a,0,5\nother,a,0,9\n\"g\",\"a\",1,6\n", "g").unwrap();
        let want = [(TopicPartition::new("a", 0), 5), (TopicPartition::new("a", 1), 6)];
        assert_eq!(read, want.into());
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for (text, words) in [
            ("a,0,1\na,0\n", "line 2: write topic,partition,offset"),
            ("a,x,1", "line 1"),
            ("a,0,-1", "line 1"),
            ("a,0,1\na,0,2", "line 2: a-0 stands here twice"),
            (r#"[{"topic": "a"}]"#, "entry 1"),
            ("[", "EOF"),
        ] {
            let error = parse(text, "g").unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

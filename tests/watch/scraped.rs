//! What `/metrics` says, taken apart without any of the product's own code.

use std::collections::{BTreeMap, BTreeSet};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A family of metrics, under the name that its samples have in expressions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    pub kind: String,
    pub help: String,
    pub labels: BTreeSet<String>,
}

/// Asks for a path; status and body.
pub async fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The families of a scrape. Every sample must belong to the family above it.
pub fn families(text: &str) -> BTreeMap<String, Exported> {
    let mut families = BTreeMap::new();
    let (mut family, mut name, mut helped) = (String::new(), String::new(), None);
    assert!(text.ends_with("# EOF\n"), "the text is whole");
    for line in text.lines().filter(|line| *line != "# EOF") {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "TYPE", told, kind] => {
                family = told.to_owned();
                name = told.to_owned() + if kind == "counter" { "_total" } else { "" };
                let (of, help) = helped.take().expect("help before the type");
                assert_eq!(told, of);
                let one = Exported { kind: kind.to_owned(), help, ..Exported::default() };
                assert_eq!(families.insert(name.clone(), one), None, "{told} is there twice");
            }
            ["#", "UNIT", told, unit] => assert!(told == family && told.ends_with(unit), "{line}"),
            ["#", "HELP", told, _] => {
                let help = line.splitn(4, ' ').nth(3).unwrap();
                helped = Some((told.to_owned(), help.to_owned()));
            }
            _ => {
                assert!(line.starts_with(&family), "{line} stands below {family}");
                let labels = line.split_once('{').map_or("", |(_, rest)| rest);
                let found = labels
                    .match_indices("=\"")
                    .map(|(at, _)| labels[..at].rsplit([',', '{']).next().unwrap().to_owned());
                let one = families.get_mut(&name).unwrap();
                one.labels.extend(found.filter(|label| label != "le"));
            }
        }
    }
    families
}

/// The value of a sample, written with its labels as the text has them.
pub fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
    line.parse().ok()
}

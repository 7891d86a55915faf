//! A broker's HTTP side as the CLI reads it: `/metrics` taken apart into samples, and `/health`. What
//! comes is bounded in size and time, and never trusted to be what it claims.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest answer taken.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Where metrics and health are, unless `--http` says otherwise.
pub const DEFAULT_HTTP: &str = "127.0.0.1:9644";

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status, as 200.
    pub status: u16,
    /// The `Date` header: the clock of the machine that answered.
    pub date: Option<String>,
    /// The body.
    pub body: String,
}

/// Asks `address` for `path`.
///
/// # Errors
/// Why there is no answer, in a few words.
pub async fn get(address: &str, path: &str, timeout: Duration) -> Result<Answer, String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        // In this version the answer comes in one piece and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = match tokio::time::timeout(timeout, ask).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            return Err("nothing listens there".to_owned());
        }
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no answer in {} ms", timeout.as_millis())),
    };
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| "what answers is no HTTP".to_owned())
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let version = first.next().filter(|version| version.starts_with("HTTP/"));
    let status = version.and(first.next())?.parse().ok()?;
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let date = headers.find(|(name, _)| name.eq_ignore_ascii_case("date"));
    Some(Answer {
        status,
        date: date.map(|(_, value)| value.trim().to_owned()),
        body: body.to_owned(),
    })
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its whole name, as `duramen_requests_total`.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of a label; empty when it has none of that name.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

/// The samples of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Reads the text format; lines that are none are passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(sample).collect())
    }

    /// Asks `address` for them.
    ///
    /// # Errors
    /// Why there are none, in a few words.
    pub async fn of(address: &str, timeout: Duration) -> Result<Self, String> {
        let answer = get(address, "/metrics", timeout).await?;
        let samples = Self::read(&answer.body);
        match samples.one("duramen_build_info") {
            Some(_) if answer.status == 200 => Ok(samples),
            _ => Err("what answers there is no duramen".to_owned()),
        }
    }

    /// All samples of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The first sample of a name.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&Sample> {
        self.all(name).next()
    }

    /// The sum of all samples of a name; `None` when there are none.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.all(name).map(|sample| sample.value).reduce(|left, right| left + right)
    }

    /// The sample of a name that has this label.
    #[must_use]
    pub fn with(&self, name: &str, label: &str, value: &str) -> Option<f64> {
        self.all(name).find(|sample| sample.label(label) == value).map(|sample| sample.value)
    }

    /// The cluster that the broker behind them belongs to.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        self.one("duramen_broker_info").map_or("", |sample| sample.label("cluster_id"))
    }
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(end)?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = value.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// `a="x",b="y"} 1`: the labels, and what follows them.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = after.get(end..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let samples = Samples::read(
            "# HELP a b\na 1\na_total{x=\"1,\\\"}\\\\\",y=\"z\"} 2.5 # {} 3\nbroken{\nno value\na_total{x=\"2\"} 1\n",
        );
        assert_eq!(samples.one("a").map(|sample| sample.value), Some(1.0));
        assert_eq!(samples.with("a_total", "x", "1,\"}\\"), Some(2.5));
        assert_eq!((samples.sum("a_total"), samples.sum("none")), (Some(3.5), None));
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse("HTTP/1.0 503 Service Unavailable\r\nDate: x\r\n\r\nwhy\n").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "why\n"));
        assert_eq!(answer.date.as_deref(), Some("x"));
        assert_eq!(parse("\0\0\r\n\r\n"), None);
    }
}

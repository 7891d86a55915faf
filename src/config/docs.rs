//! `docs/configuration.md`, made from the table. The test at the foot keeps the two equal.

use std::fmt::Write as _;

use super::describe::documentation;
use super::setting::{Kind, Level, Setting};
use super::table::PARTS;

const INTRODUCTION: &str = "\
# Configuration

Settings have Kafka's names and defaults; where a default differs, the meaning says so. The few that
Kafka does not have are marked with a star. They are given, from weak to strong, by

1. the defaults below,
2. a properties file in Kafka's format: `duramen serve server.properties`,
3. environment variables: `DURAMEN_LOG_RETENTION_MS` is `log.retention.ms`,
4. the command line: `--set log.retention.ms=86400000`,
5. at run time, `kafka-configs` or any client that can alter configs: for all brokers, for one
   broker, for one topic (`duramen topic alter`) or for one group (`duramen group alter`).

A name that is neither Duramen's nor Kafka's is an error. A name of Kafka's that has no effect here
is taken, with one warning, so that a Kafka properties file works as it is. `DescribeConfigs` shows
of each setting the value that holds, where it comes from, and what it would be otherwise.

*Changes* says when a broker setting can change: `read-only` before the start only, `per-broker` and
`cluster-wide` at any time. Settings of topics and groups can change at any time.

This page is made from the table in `src/config/table/`: `UPDATE_DOCS=1 cargo test docs` rewrites it.
";

/// Names that Kafka does not have.
const OURS: &[&str] = &[
    "connection.max.inflight.bytes",
    "connection.max.inflight.requests",
    "durability",
    "http.listener",
    "log.durability",
    "log.free.high.bytes",
    "log.free.low.bytes",
    "log.validate.records",
    "validate.records",
];

/// The page.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for part in PARTS {
        let _ = write!(page, "\n## {}\n\n", part.title);
        let own = part.rows.iter().all(|row| row.level != Level::Broker);
        let changes = if own { "broker default" } else { "changes" };
        let _ = writeln!(page, "| setting | default | type | values | {changes} | meaning |");
        page.push_str("|---|---|---|---|---|---|\n");
        for row in part.rows.iter().filter(|row| !row.internal) {
            let _ = writeln!(page, "{}", line(row));
        }
    }
    page
}

fn line(row: &'static Setting) -> String {
    let star = if OURS.contains(&row.name) { "\\*" } else { "" };
    let default = match row.default {
        None => "unset".to_owned(),
        Some("") => "empty".to_owned(),
        Some("9223372036854775807") => "2^63-1".to_owned(),
        Some("2147483647") => "2^31-1".to_owned(),
        Some(default) => format!("`{default}`"),
    };
    let unit = row.unit.word();
    let kind = row.kind.name().to_ascii_lowercase();
    let kind = if unit.is_empty() { kind } else { format!("{kind}, {unit}") };
    let values = match row.kind {
        Kind::Boolean => "true, false".to_owned(),
        _ => row.valid.to_string(),
    };
    let changes = match row.level {
        Level::Broker => row.mode.word().to_owned(),
        Level::Topic | Level::Group => {
            let names: Vec<_> = row.from.iter().map(|from| format!("`{}`", from.name)).collect();
            names.join(", ")
        }
    };
    let meaning = documentation(row).replace('|', "\\|");
    format!("| `{}`{star} | {default} | {kind} | {values} | {changes} | {meaning} |", row.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_configuration_is_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let page = markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            #[expect(clippy::disallowed_methods, reason = "a page of this repository, not data")]
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page, "run `UPDATE_DOCS=1 cargo test docs` to bring {path} up to date");
    }
}

//! `docs/protocol-support.md` is the API table, printed. `UPDATE_DOCS=1 cargo test -p
//! duramen-protocol --test protocol_support` prints it anew.

#![allow(clippy::disallowed_methods, reason = "writes a page of the repository, not a log")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write;
use std::path::Path;

use duramen_protocol::api::{self, ApiKey, Listeners, TABLE, Throttle, VersionRange};

const HEAD: &str = "\
# Protocol support

<!-- Printed from the table in protocol/src/api.rs: edit the table, then run
     UPDATE_DOCS=1 cargo test -p duramen-protocol --test protocol_support -->

What Duramen serves of the Kafka protocol. Clients learn the same from ApiVersions, which answers from
the same table. Every message below is compared byte for byte with an independent implementation, in
every version that it knows.

Versions are compact and have tagged fields (KIP-482) from the version under *flexible*. *Listener* says
where an API is served, *quota* which quota it counts against besides `request_percentage`.

## Served

| key | API | versions | advertised | Kafka 4.3 | flexible | listener | quota | notes |
|---:|---|---|---|---|---|---|---|---|
";

const NOT_SERVED: &str = "
## Not served

Left out of ApiVersions, so clients do without or say so. A request for one of these closes the
connection, as Kafka does.

| key | API | Kafka 4.3 |
|---:|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for row in TABLE {
        let flexible = row.first_flexible.map_or("never".to_owned(), |first| format!("{first}+"));
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {flexible} | {} | {} | {} |",
            row.key.code(),
            row.name,
            row.versions(),
            VersionRange::new(row.advertised_min, row.max),
            row.key.kafka_versions().unwrap(),
            listener(row.listeners),
            quota(row.throttle),
            row.note,
        )
        .unwrap();
    }
    page.push_str(NOT_SERVED);
    for key in ApiKey::ALL.iter().filter(|key| api::spec(**key).is_none()) {
        if let Some(versions) = key.kafka_versions() {
            writeln!(page, "| {} | {key} | {versions} |", key.code()).unwrap();
        }
    }
    page
}

fn listener(listeners: Listeners) -> &'static str {
    match listeners {
        Listeners::Broker => "broker",
        Listeners::Controller => "controller",
        Listeners::Both => "both",
    }
}

fn quota(throttle: Throttle) -> &'static str {
    match throttle {
        Throttle::Produce => "produce bytes",
        Throttle::Fetch => "fetch bytes",
        Throttle::Mutation => "controller mutations",
        Throttle::Request => "",
        Throttle::Never => "none at all",
    }
}

#[test]
fn the_page_says_what_the_table_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol-support.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        committed,
        page(),
        "docs/protocol-support.md is not what protocol/src/api.rs says: run \
         UPDATE_DOCS=1 cargo test -p duramen-protocol --test protocol_support"
    );
}

//! What consume writes, produce reads: whole records, bytes of every kind.

use proptest::prelude::*;

use super::*;
use crate::cli::fields::HeaderFields;

fn parsed(line: &str) -> JsonRecord<'_> {
    JsonRecord::parse(line.as_bytes()).unwrap()
}

#[test]
fn fields_in_their_forms() {
    let record = parsed(
        r#"{"key":"k\n1","value":{"base64":"dv8="},"headers":[{"key":"a","value":"1"},{"key":"a","value":null}],"partition":2,"timestamp":5}"#,
    );
    assert_eq!(record.key.as_deref(), Some(&b"k\n1"[..]));
    assert_eq!(record.value.as_deref(), Some(&b"v\xff"[..]));
    assert_eq!(record.headers.len(), 2);
    assert_eq!((record.partition, record.timestamp), (Some(2), Some(5)));
    assert_eq!(parsed(r#"{"value":{"hex":"76FF"}}"#).value.as_deref(), Some(&b"v\xff"[..]));
    assert_eq!(parsed(r#"{"value":null}"#).value, None);
    let named = parsed(r#"{"value":"v","headers":{"x":"y"},"timestamp":"2022-02-14"}"#);
    assert_eq!(named.headers, vec![(Cow::Borrowed(&b"x"[..]), Some(Cow::Borrowed(&b"y"[..])))]);
    assert_eq!(named.timestamp, Some(1_644_796_800_000));
}

#[test]
fn other_json_stands_for_its_text() {
    for text in ["{\"a\": 1}", "[1, 2]", "1.50", "true", "{}", "{\"hex\":1}"] {
        let line = format!("{{\"value\":{text}}}");
        assert_eq!(parsed(&line).value.as_deref(), Some(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_wrong_line_says_why() {
    for (line, want) in [
        ("{\"vlaue\":1}", "unknown field \"vlaue\""),
        ("{\"key\":\"a\"}", "no \"value\""),
        ("{\"value\":{\"hex\":\"x\"}}", "not valid hex"),
        ("{\"value\":\"v\",\"partition\":\"x\"}", "invalid type"),
        ("{\"value\":\"v\",\"timestamp\":\"-1h\"}", "must be an instant"),
        ("{\"value\":\"v\",\"headers\":[{\"value\":1}]}", "lacks its key"),
        ("[1]", "a record as"),
        ("{\"value\":\"v\"", "EOF"),
        ("{\"value\":\"v\"} x", "trailing"),
    ] {
        let error = JsonRecord::parse(line.as_bytes()).expect_err(line).to_string();
        assert!(error.contains(want), "{line}: {error}");
    }
}

type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_lost_on_the_way(
        key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        value in proptest::option::of(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            ".{0,40}".prop_map(String::into_bytes),
        ]),
        headers in proptest::collection::vec(
            (
                proptest::collection::vec(any::<u8>(), 0..8),
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..8)),
            ),
            0..3,
        ),
        partition in 0..i32::MAX,
        timestamp in -1..i64::MAX,
        form in 0..3_usize,
    ) {
        let headers: Vec<OwnedHeader> = headers;
        let views: Vec<HeaderFields<'_>> = headers
            .iter()
            .map(|(key, value)| HeaderFields { key, value: value.as_deref() })
            .collect();
        let fields = RecordFields {
            topic: "t",
            partition,
            timestamp,
            key: key.as_deref(),
            value: value.as_deref(),
            headers: &views,
            ..RecordFields::default()
        };
        let binary = [JsonBinary::WhenNeeded, JsonBinary::Hex, JsonBinary::Base64][form];
        let mut line = Vec::new();
        write_record(&mut line, &fields, binary);
        prop_assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        let back = JsonRecord::parse(&line).unwrap();
        prop_assert_eq!(back.key.as_deref(), key.as_deref());
        prop_assert_eq!(back.value.as_deref(), value.as_deref());
        prop_assert_eq!(back.partition, Some(partition));
        prop_assert_eq!(back.timestamp, (timestamp >= 0).then_some(timestamp));
        let back_headers: Vec<OwnedHeader> = back
            .headers
            .into_iter()
            .map(|(key, value)| (key.into_owned(), value.map(Cow::into_owned)))
            .collect();
        prop_assert_eq!(back_headers, headers);
    }
}

//! The verbs of `consume -f`, each as a user would see it.

use super::*;

fn record() -> RecordFields<'static> {
    RecordFields {
        topic: "orders",
        partition: 3,
        offset: 42,
        timestamp: 1_644_796_800_250,
        attributes: 0x0a,
        leader_epoch: 5,
        producer_id: 1000,
        producer_epoch: 2,
        log_start: 1,
        last_stable: 90,
        high_watermark: 99,
        key: Some(b"k1"),
        value: Some(b"v\xff"),
        headers: &[
            HeaderFields { key: b"a", value: Some(b"1") },
            HeaderFields { key: b"b", value: None },
        ],
    }
}

fn written(format: &str, record: &RecordFields<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    RecordFormat::compile(format).unwrap().write(&mut out, record, 7);
    out
}

#[test]
fn each_verb_writes_its_field() {
    let table: &[(&str, &[u8])] = &[
        ("%t:%p:%o\\n", b"orders:3:42\n"),
        ("%k=%v", b"k1=v\xff"),
        ("%T %K %V %H %i", b"6 2 2 2 7"),
        ("%v{hex} %v{base64} %v{base64raw} %k{json}", b"76ff dv8= dv8 \"k1\""),
        ("%v{json}", b"{\"base64\":\"dv8=\"}"),
        ("%e %x %y", b"5 1000 2"),
        ("%[ %| %]", b"1 90 99"),
        ("%d", b"1644796800250"),
        ("%d{rfc3339}", b"2022-02-14T00:00:00.250Z"),
        ("%d{strftime[%F %T]}", b"2022-02-14 00:00:00"),
        ("%d{strftime##[%F]##}", b"[2022-02-14]"),
        ("%d{hex64}", b"0000017ef5876cfa"),
        ("%h{%k=%v;}", b"a=1;b=;"),
        ("%h{ %k{hex}:%V }", b" 61:1  62:-1 "),
        ("%a{compression} %a{compression;number}", b"snappy 2"),
        ("%a{timestamp-type} %a{transactional-bit;bool}", b"1 false"),
        ("%% %{ %}", b"% { }"),
        ("\\t\\\\\\x41\\r", b"\t\\A\r"),
        ("%K{big32}", &[0, 0, 0, 2]),
        ("é%k", "ék1".as_bytes()),
        ("", b""),
    ];
    for (format, want) in table {
        let got = written(format, &record());
        assert_eq!(got, *want, "{format}: {}", String::from_utf8_lossy(&got));
    }
}

#[test]
fn a_null_differs_from_an_empty_value() {
    let null = RecordFields { key: None, value: None, ..record() };
    let empty = RecordFields { key: Some(b""), value: Some(b""), ..record() };
    assert_eq!(written("%K %V %k%v %v{json}", &null), b"-1 -1  null");
    assert_eq!(written("%K %V %k%v %v{json}", &empty), b"0 0  \"\"");
}

#[test]
fn a_wrong_format_says_what_would_do() {
    for (format, want) in [
        ("%q", "%q is no verb"),
        ("%", "ends in a single %"),
        ("\\q", "\\q is no escape"),
        ("\\xg1", "\\xg1 is no escape"),
        ("%k{hex", "no matching }"),
        ("%k{big32}", "hex, base64"),
        ("%p{base64}", "big64"),
        ("%d{go[2006]}", "strftime"),
        ("%d{strftime[%!]}", "strftime"),
        ("%h", "in braces"),
        ("%h{%o}", "no meaning within"),
        ("%a{other}", "compression"),
        ("%a", "compression"),
    ] {
        let error = RecordFormat::compile(format).expect_err(format).to_string();
        assert!(error.contains(want), "{format}: {error}");
    }
}

#[test]
fn headers_are_collected_only_when_shown() {
    assert!(RecordFormat::compile("%h{%k}").unwrap().needs_headers());
    assert!(RecordFormat::compile("%H").unwrap().needs_headers());
    assert!(!RecordFormat::compile("%k %v\\n").unwrap().needs_headers());
}

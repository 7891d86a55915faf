//! What goes through comes back, and what does not says why.

use super::*;

fn there_and_back<T, S>(value: T, serializer: S, bytes: &[u8])
where
    T: std::fmt::Debug + PartialEq,
    S: Serializer<T> + Deserializer<T>,
{
    let mut out = b"before".to_vec();
    serializer.serialize(&value, &mut out).unwrap();
    assert_eq!(out, [b"before", bytes].concat());
    assert_eq!(serializer.deserialize(&Bytes::copy_from_slice(bytes)).unwrap(), value);
}

fn record(key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> ConsumerRecord {
    ConsumerRecord {
        topic: "orders".into(),
        partition: 0,
        offset: 0,
        timestamp: 0,
        leader_epoch: 0,
        key: key.map(Bytes::from_static),
        value: value.map(Bytes::from_static),
        headers: Vec::new(),
    }
}

#[test]
fn plain_values_have_kafkas_bytes() {
    there_and_back(Bytes::from_static(b"\0\xff"), Raw, b"\0\xff");
    there_and_back("straße".to_owned(), Utf8, b"stra\xc3\x9fe");
    there_and_back(-2_i16, BigEndian, b"\xff\xfe");
    there_and_back(1_i32, BigEndian, b"\0\0\0\x01");
    there_and_back(-1_i64, BigEndian, &[0xff; 8]);
    there_and_back(1.0_f32, BigEndian, b"\x3f\x80\0\0");
    there_and_back(-2.0_f64, BigEndian, b"\xc0\0\0\0\0\0\0\0");
}

#[test]
fn a_record_says_which_part_is_something_else() {
    let record = record(Some(b"\xff"), Some(b"123"));
    let error = record.key_as(&Utf8).unwrap_err();
    assert!(
        error.to_string().starts_with("the key of a record of topic orders is no UTF-8 text: ")
    );
    let error = record.value_as::<i64, _>(&BigEndian).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "the value of a record of topic orders is no big-endian i64: it has 3 bytes"
        )
    );
    assert_eq!(record.value_as::<Vec<u8>, _>(&Raw).unwrap().unwrap(), b"123");
    let value: Bytes = record.value_as(&Raw).unwrap().unwrap();
    assert_eq!(value.as_ptr(), record.value.as_ref().unwrap().as_ptr(), "nothing is copied");
}

#[test]
fn null_is_none_for_everyone() {
    let record = record(None, None);
    assert_eq!(record.key_as::<i64, _>(&BigEndian).unwrap(), None);
    assert_eq!(record.value_as(&Utf8).unwrap(), None);
}

#[cfg(feature = "json")]
#[test]
fn json_is_what_serde_makes_of_it() {
    #[derive(Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
    struct Order {
        id: u64,
        item: Option<String>,
    }
    there_and_back(Order { id: 7, item: None }, Json, br#"{"id":7,"item":null}"#);
    let error = record(None, Some(br#"{"id":"x"}"#)).value_as::<Order, _>(&Json).unwrap_err();
    assert!(error.to_string().contains("expected u64"), "{error}");
    struct Unspeakable;
    impl ::serde::Serialize for Unspeakable {
        fn serialize<S: ::serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(::serde::ser::Error::custom("no words"))
        }
    }
    assert!(Json.serialize(&Unspeakable, &mut Vec::new()).is_err());
}

#[cfg(feature = "prost")]
#[test]
fn protobuf_is_the_message_alone() {
    there_and_back("duramen".to_owned(), Protobuf, b"\x0a\x07duramen");
    assert!(record(None, Some(b"\x0a\xff")).value_as::<String, _>(&Protobuf).is_err());
}

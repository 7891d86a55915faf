//! Makes encoded messages of every shape from the declarations: an encoder of its own, which knows
//! nothing of the codec under test but the schema.

use bytes::Bytes;
use duramen_protocol::messages::Message;
use duramen_protocol::schema::{Field, Schema, Type};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

type Encoded = BoxedStrategy<Vec<u8>>;

/// A runner that makes the same `cases` values every time.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

/// Encoded messages of type `M` in this version.
#[allow(dead_code, reason = "not every test makes messages only")]
pub(crate) fn encoded<M: Message>(version: i16) -> impl Strategy<Value = Bytes> + use<M> {
    shaped(M::SCHEMA, version, M::KEY.is_flexible(version))
}

/// What `schema` declares, encoded in this version.
pub(crate) fn shaped(
    schema: &'static Schema,
    version: i16,
    flexible: bool,
) -> impl Strategy<Value = Bytes> + use<> {
    fields(schema, Form { version, flexible }).prop_map(Bytes::from)
}

#[derive(Clone, Copy)]
struct Form {
    version: i16,
    flexible: bool,
}

fn joined(parts: Vec<Encoded>) -> Encoded {
    parts.prop_map(|parts| parts.concat()).boxed()
}

fn fields(schema: &'static Schema, form: Form) -> Encoded {
    let in_body = schema.fields.iter().filter(|field| field.is_in_body(form.version));
    let mut parts: Vec<Encoded> = in_body.map(|field| nullable(field, form)).collect();
    if form.flexible {
        parts.push(tags(schema, form));
    }
    joined(parts)
}

fn tags(schema: &'static Schema, form: Form) -> Encoded {
    let tagged: Vec<_> =
        schema
            .fields
            .iter()
            .filter(|field| field.is_tagged(form.version))
            .map(|field| {
                let tag = field.tag.unwrap();
                prop::option::of(nullable(field, form).prop_map(move |value| {
                    [uvarint(tag), uvarint(value.len() as u32), value].concat()
                }))
            })
            .collect();
    let section = tagged.prop_map(|sent| {
        let sent: Vec<Vec<u8>> = sent.into_iter().flatten().collect();
        [uvarint(sent.len() as u32), sent.concat()].concat()
    });
    section.boxed()
}

fn nullable(field: &'static Field, form: Form) -> Encoded {
    let is_option = field.nullable.is_some();
    let present = match field.ty {
        // A nullable struct has a byte before it.
        Type::Struct(_) if is_option => joined(vec![Just(vec![1]).boxed(), value(field.ty, form)]),
        ty => value(ty, form),
    };
    if !field.may_be_null(form.version) {
        return present;
    }
    let null = match (field.ty, form.flexible) {
        (Type::Struct(_), _) => vec![0xff],
        (_, true) => vec![0],
        (Type::String, false) => vec![0xff; 2],
        (_, false) => vec![0xff; 4],
    };
    prop_oneof![1 => Just(null), 4 => present].boxed()
}

fn value(ty: Type, form: Form) -> Encoded {
    match ty {
        Type::Bool => any::<bool>().prop_map(|value| vec![value.into()]).boxed(),
        Type::Int8 => number(1),
        Type::Int16 | Type::Uint16 => number(2),
        Type::Int32 | Type::Uint32 => number(4),
        Type::Int64 | Type::Float64 => number(8),
        Type::Uuid => vec(any::<u8>(), 16).boxed(),
        Type::String => vec(any::<char>(), 0..8)
            .prop_map(move |chars| {
                let text: String = chars.into_iter().collect();
                [length(text.len(), 2, form), text.into_bytes()].concat()
            })
            .boxed(),
        Type::Bytes => prop_oneof![4 => 0..40_usize, 1 => 1000..3000_usize]
            .prop_flat_map(|len| (any::<u8>(), Just(len)))
            .prop_map(move |(fill, len)| [length(len, 4, form), vec![fill; len]].concat())
            .boxed(),
        Type::Array(element) => vec(value(*element, form), 0..4)
            .prop_map(move |all| [length(all.len(), 4, form), all.concat()].concat())
            .boxed(),
        Type::Struct(schema) => fields(schema, form),
    }
}

fn number(width: usize) -> Encoded {
    prop_oneof![
        1 => Just(vec![0; width]),
        1 => Just(vec![0xff; width]),
        3 => vec(any::<u8>(), width)
    ]
    .boxed()
}

fn length(len: usize, width: usize, form: Form) -> Vec<u8> {
    match (form.flexible, width) {
        (true, _) => uvarint(len as u32 + 1),
        (false, 2) => (len as i16).to_be_bytes().to_vec(),
        (false, _) => (len as i32).to_be_bytes().to_vec(),
    }
}

/// An unsigned variable-length integer.
pub(crate) fn uvarint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The least encoding of `M` in which every array has `elements` elements.
#[allow(dead_code, reason = "not every test makes messages only")]
pub(crate) fn crowded<M: Message>(version: i16, elements: usize) -> Bytes {
    crowded_shape(M::SCHEMA, version, M::KEY.is_flexible(version), elements)
}

/// [`crowded`], of what `schema` declares.
#[allow(dead_code, reason = "not every test that makes shapes needs a crowd")]
pub(crate) fn crowded_shape(
    schema: &'static Schema,
    version: i16,
    flexible: bool,
    elements: usize,
) -> Bytes {
    let mut out = Vec::new();
    crowd(schema, Form { version, flexible }, elements, &mut out);
    Bytes::from(out)
}

fn crowd(schema: &Schema, form: Form, elements: usize, out: &mut Vec<u8>) {
    for field in schema.fields.iter().filter(|field| field.is_in_body(form.version)) {
        if matches!((field.ty, field.nullable), (Type::Struct(_), Some(_))) {
            out.push(1);
        }
        crowd_value(field.ty, form, elements, out);
    }
    if form.flexible {
        out.push(0);
    }
}

fn crowd_value(ty: Type, form: Form, elements: usize, out: &mut Vec<u8>) {
    match ty {
        Type::Bool | Type::Int8 => out.push(0),
        Type::Int16 | Type::Uint16 => out.extend([0; 2]),
        Type::Int32 | Type::Uint32 => out.extend([0; 4]),
        Type::Int64 | Type::Float64 => out.extend([0; 8]),
        Type::Uuid => out.extend([0; 16]),
        Type::String => out.extend(length(0, 2, form)),
        Type::Bytes => out.extend(length(0, 4, form)),
        Type::Array(element) => {
            out.extend(length(elements, 4, form));
            (0..elements).for_each(|_| crowd_value(*element, form, elements, out));
        }
        Type::Struct(schema) => crowd(schema, form, elements, out),
    }
}

//! How a declaration becomes bytes: [`Value`] is what a field's type can do, the functions here are
//! what the declaration macro calls for each field, and `declare` is that macro.

mod declare;
mod value;

pub(crate) use declare::{declare, field_default, field_type, first_flexible, last_version};
pub(crate) use value::{DecodeFailure, EncodeFailure, Form, Value};

use crate::data::Data;
use crate::error::{
    DataDecodeError, DataEncodeError, DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind,
    Failure,
};
use crate::messages::Message;
use crate::primitives::{Decoder, Encoder, Size, uvarint_len};
use crate::schema::Field;

/// Reads a field that is written in order; a version without it reads its default.
#[inline]
pub(crate) fn read<T: Value>(
    field: &Field,
    default: T,
    decoder: &mut Decoder,
    form: Form,
) -> Result<T, DecodeFailure> {
    if field.is_in_body(form.version) { read_present(field, decoder, form) } else { Ok(default) }
}

#[inline]
fn read_present<T: Value>(
    field: &Field,
    decoder: &mut Decoder,
    form: Form,
) -> Result<T, DecodeFailure> {
    let value = T::read(decoder, form).map_err(|failure| failure.within(field.name))?;
    check_null(field, &value, form)?;
    Ok(value)
}

#[inline]
fn check_null<T: Value>(field: &Field, value: &T, form: Form) -> Result<(), DecodeFailure> {
    if value.is_null() && !field.may_be_null(form.version) {
        return Err(Failure { field: field.name, kind: DecodeErrorKind::NotNullable });
    }
    Ok(())
}

/// [`read`] in the place of a former value.
#[inline]
pub(crate) fn read_over<T: Value>(
    field: &Field,
    into: &mut T,
    default: T,
    decoder: &mut Decoder,
    form: Form,
) -> Result<(), DecodeFailure> {
    if !field.is_in_body(form.version) {
        *into = default;
        return Ok(());
    }
    into.read_over(decoder, form).map_err(|failure| failure.within(field.name))?;
    check_null(field, into, form)
}

/// Reads the section of tagged fields. `read_known` takes those it knows, and says whether it did;
/// the others are passed over.
pub(crate) fn read_tags(
    decoder: &mut Decoder,
    mut read_known: impl FnMut(u32, &mut Decoder) -> Result<bool, DecodeFailure>,
) -> Result<(), DecodeFailure> {
    for _ in 0..decoder.uvarint()? {
        let tag = decoder.uvarint()?;
        let size = decoder.uvarint()? as usize;
        decoder.within(size, |value| match read_known(tag, value)? {
            true => Ok(()),
            false => value.skip(size).map_err(DecodeFailure::from),
        })?;
    }
    Ok(())
}

/// Reads the value of a tagged field, if this is its tag.
pub(crate) fn read_tagged<T: Value>(
    field: &Field,
    into: &mut T,
    tag: u32,
    decoder: &mut Decoder,
    form: Form,
) -> Result<bool, DecodeFailure> {
    let known = field.tag == Some(tag) && field.is_tagged(form.version);
    if known {
        *into = read_present(field, decoder, form)?;
    }
    Ok(known)
}

/// Writes a field that is written in order, and refuses to lose a value that the version can't say.
#[inline]
pub(crate) fn write<T: Value>(
    field: &Field,
    value: &T,
    default: T,
    encoder: &mut Encoder,
    form: Form,
) -> Result<(), EncodeFailure> {
    if field.versions.contains(form.version) {
        if value.is_null() && !field.may_be_null(form.version) {
            return Err(Failure { field: field.name, kind: EncodeErrorKind::NotNullable });
        }
        match field.tag {
            Some(_) => Ok(()),
            None => value.write(encoder, form).map_err(|failure| failure.within(field.name)),
        }
    } else if field.ignorable || *value == default {
        Ok(())
    } else {
        Err(Failure { field: field.name, kind: EncodeErrorKind::NotInVersion })
    }
}

/// Whether a tagged field is written: the version has it and it differs from its default.
#[inline]
pub(crate) fn is_sent<T: Value>(field: &Field, value: &T, default: T, form: Form) -> bool {
    field.is_tagged(form.version) && *value != default
}

/// Writes a tagged field, if it [`is_sent`].
pub(crate) fn write_tagged<T: Value>(
    field: &Field,
    value: &T,
    default: T,
    encoder: &mut Encoder,
    form: Form,
) -> Result<(), EncodeFailure> {
    if !is_sent(field, value, default, form) {
        return Ok(());
    }
    let mut size = Size::new();
    value.measure(&mut size, form);
    encoder.uvarint(field.tag.unwrap_or_default());
    encoder.uvarint(u32::try_from(size.total()).unwrap_or(u32::MAX));
    value.write(encoder, form).map_err(|failure| failure.within(field.name))
}

/// Counts a field that is written in order.
#[inline]
pub(crate) fn measure<T: Value>(field: &Field, value: &T, size: &mut Size, form: Form) {
    if field.is_in_body(form.version) {
        value.measure(size, form);
    }
}

/// Counts a tagged field, if it [`is_sent`].
pub(crate) fn measure_tagged<T: Value>(
    field: &Field,
    value: &T,
    default: T,
    size: &mut Size,
    form: Form,
) {
    if !is_sent(field, value, default, form) {
        return;
    }
    let mut inner = Size::new();
    value.measure(&mut inner, form);
    size.add(uvarint_len(field.tag.unwrap_or_default()));
    size.add(uvarint_len(u32::try_from(inner.total()).unwrap_or(u32::MAX)));
    size.include(&inner);
}

/// [`Message::encode`] of a declared message.
pub(crate) fn encode_message<M: Message + Value>(
    message: &M,
    encoder: &mut Encoder,
    version: i16,
) -> Result<(), EncodeError> {
    let written = match M::VERSIONS.contains(version) {
        true => message.write(encoder, Form::of(M::KEY, version)),
        false => Err(EncodeErrorKind::UnsupportedVersion.into()),
    };
    written.map_err(|failure| failure.within(M::NAME).encoding(M::KEY, version))
}

/// [`Message::decode`] of a declared message.
pub(crate) fn decode_message<M: Message + Value>(
    decoder: &mut Decoder,
    version: i16,
) -> Result<M, DecodeError> {
    let read = match M::VERSIONS.contains(version) {
        true => M::read(decoder, Form::of(M::KEY, version)),
        false => Err(DecodeErrorKind::UnsupportedVersion.into()),
    };
    read.map_err(|failure| failure.within(M::NAME).decoding(M::KEY, version))
}

/// [`Message::decode_over`] of a declared message.
pub(crate) fn decode_message_over<M: Message + Value>(
    message: &mut M,
    decoder: &mut Decoder,
    version: i16,
) -> Result<(), DecodeError> {
    let read = match M::VERSIONS.contains(version) {
        true => message.read_over(decoder, Form::of(M::KEY, version)),
        false => Err(DecodeErrorKind::UnsupportedVersion.into()),
    };
    read.map_err(|failure| failure.within(M::NAME).decoding(M::KEY, version))
}

/// [`Message::measure`] of a declared message.
pub(crate) fn measure_message<M: Message + Value>(message: &M, version: i16) -> Size {
    let mut size = Size::new();
    Value::measure(message, &mut size, Form::of(M::KEY, version));
    size
}

/// [`Data::encode`] of declared data.
pub(crate) fn encode_data<D: Data + Value>(
    data: &D,
    encoder: &mut Encoder,
    version: i16,
) -> Result<(), DataEncodeError> {
    let written = match D::VERSIONS.contains(version) {
        true => data.write(encoder, Form { version, flexible: D::is_flexible(version) }),
        false => Err(EncodeErrorKind::UnsupportedVersion.into()),
    };
    written.map_err(|failure| failure.within(D::NAME).of_data(D::NAME, version))
}

/// [`Data::decode`] of declared data.
pub(crate) fn decode_data<D: Data + Value>(
    decoder: &mut Decoder,
    version: i16,
) -> Result<D, DataDecodeError> {
    let read = match D::VERSIONS.contains(version) {
        true => D::read(decoder, Form { version, flexible: D::is_flexible(version) }),
        false => Err(DecodeErrorKind::UnsupportedVersion.into()),
    };
    read.map_err(|failure| failure.within(D::NAME).of_data(D::NAME, version))
}

#[cfg(test)]
mod tests;

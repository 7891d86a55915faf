//! What each type of field can do: be read, be written, be counted, and say how small it can be.

use bytes::Bytes;
use uuid::Uuid;

use crate::api::ApiKey;
use crate::error::{DecodeErrorKind, EncodeErrorKind, Failure};
use crate::primitives::{Decoder, Encoder, Size};
use crate::schema::Type;
use crate::text::Text;

pub(crate) type DecodeFailure = Failure<DecodeErrorKind>;
pub(crate) type EncodeFailure = Failure<EncodeErrorKind>;

/// The first room made for an array, in bytes. More is made only as elements really come, so what
/// an array takes stays in proportion to the bytes it was read from, however many it claims.
const FIRST_ROOM: usize = 4096;

/// The form in which a message is written: its version, and whether lengths are compact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) version: i16,
    pub(crate) flexible: bool,
}

impl Form {
    pub(crate) const fn of(api: ApiKey, version: i16) -> Self {
        Self { version, flexible: api.is_flexible(version) }
    }
}

/// The type of a field.
///
/// A nullable field is an `Option<T>`, and what null looks like is up to `T`: the `_nullable` methods
/// are those of `Option<T>`. By default they put a byte before the value, as Kafka does for structs.
pub(crate) trait Value: Sized + PartialEq {
    const TYPE: Type;

    /// The value of a field that was never set and has no other default.
    fn unset() -> Self;

    /// The least number of bytes that a value takes.
    fn least(form: Form) -> usize;

    fn read(decoder: &mut Decoder, form: Form) -> Result<Self, DecodeFailure>;

    /// The same in the place of a former value, whose lists are used again.
    fn read_over(&mut self, decoder: &mut Decoder, form: Form) -> Result<(), DecodeFailure> {
        *self = Self::read(decoder, form)?;
        Ok(())
    }

    fn write(&self, encoder: &mut Encoder, form: Form) -> Result<(), EncodeFailure>;

    fn measure(&self, size: &mut Size, form: Form);

    /// Tells `found` the error codes in it; `is_code` says that the value itself is one.
    #[inline]
    fn error_codes(&self, _is_code: bool, _found: &mut dyn FnMut(i16)) {}

    fn is_null(&self) -> bool {
        false
    }

    fn least_nullable(_: Form) -> usize {
        1
    }

    fn read_nullable(decoder: &mut Decoder, form: Form) -> Result<Option<Self>, DecodeFailure> {
        match decoder.i8()? {
            ..0 => Ok(None),
            _ => Self::read(decoder, form).map(Some),
        }
    }

    fn write_nullable(
        value: Option<&Self>,
        encoder: &mut Encoder,
        form: Form,
    ) -> Result<(), EncodeFailure> {
        encoder.i8(if value.is_some() { 1 } else { -1 });
        value.map_or(Ok(()), |value| value.write(encoder, form))
    }

    fn measure_nullable(value: Option<&Self>, size: &mut Size, form: Form) {
        size.add(1);
        if let Some(value) = value {
            value.measure(size, form);
        }
    }
}

macro_rules! fixed_width {
    ($($rust:ty = $ty:ident $method:ident $(, code $found:ident)?;)*) => {$(
        impl Value for $rust {
            const TYPE: Type = Type::$ty;

            fn unset() -> Self {
                Self::default()
            }

            fn least(_: Form) -> usize {
                size_of::<Self>()
            }

            #[inline]
            fn read(decoder: &mut Decoder, _: Form) -> Result<Self, DecodeFailure> {
                decoder.$method().map_err(Failure::from)
            }

            #[inline]
            fn write(&self, encoder: &mut Encoder, _: Form) -> Result<(), EncodeFailure> {
                encoder.$method(*self);
                Ok(())
            }

            #[inline]
            fn measure(&self, size: &mut Size, _: Form) {
                size.add(size_of::<Self>());
            }

            $(
                #[inline]
                fn error_codes(&self, is_code: bool, $found: &mut dyn FnMut(i16)) {
                    if is_code {
                        $found(*self);
                    }
                }
            )?
        }
    )*};
}

fixed_width! {
    bool = Bool bool;
    i8 = Int8 i8;
    i16 = Int16 i16, code found;
    u16 = Uint16 u16;
    i32 = Int32 i32;
    u32 = Uint32 u32;
    i64 = Int64 i64;
    f64 = Float64 f64;
    Uuid = Uuid uuid;
}

/// What a type whose null is a special length does as itself: the same, but never null.
macro_rules! never_null {
    () => {
        fn least(form: Form) -> usize {
            Self::least_nullable(form)
        }

        fn read(decoder: &mut Decoder, form: Form) -> Result<Self, DecodeFailure> {
            Self::read_nullable(decoder, form)?.ok_or(DecodeErrorKind::NotNullable.into())
        }

        fn write(&self, encoder: &mut Encoder, form: Form) -> Result<(), EncodeFailure> {
            Self::write_nullable(Some(self), encoder, form)
        }

        fn measure(&self, size: &mut Size, form: Form) {
            Self::measure_nullable(Some(self), size, form);
        }
    };
}

impl Value for Text {
    const TYPE: Type = Type::String;

    fn unset() -> Self {
        Self::EMPTY
    }

    never_null!();

    fn least_nullable(form: Form) -> usize {
        if form.flexible { 1 } else { 2 }
    }

    fn read_nullable(decoder: &mut Decoder, form: Form) -> Result<Option<Self>, DecodeFailure> {
        decoder.text(form.flexible).map_err(Failure::from)
    }

    fn write_nullable(
        value: Option<&Self>,
        encoder: &mut Encoder,
        form: Form,
    ) -> Result<(), EncodeFailure> {
        encoder.text(value.map(Self::as_str), form.flexible).map_err(Failure::from)
    }

    fn measure_nullable(value: Option<&Self>, size: &mut Size, form: Form) {
        size.text(value.map(Self::as_str), form.flexible);
    }
}

impl Value for Bytes {
    const TYPE: Type = Type::Bytes;

    fn unset() -> Self {
        Self::new()
    }

    never_null!();

    fn least_nullable(form: Form) -> usize {
        if form.flexible { 1 } else { 4 }
    }

    fn read_nullable(decoder: &mut Decoder, form: Form) -> Result<Option<Self>, DecodeFailure> {
        decoder.blob(form.flexible).map_err(Failure::from)
    }

    fn write_nullable(
        value: Option<&Self>,
        encoder: &mut Encoder,
        form: Form,
    ) -> Result<(), EncodeFailure> {
        encoder.blob(value, form.flexible).map_err(Failure::from)
    }

    fn measure_nullable(value: Option<&Self>, size: &mut Size, form: Form) {
        size.blob(value, form.flexible);
    }
}

/// Reads elements until there are `count`.
#[inline]
fn read_up_to<T: Value>(
    count: usize,
    elements: &mut Vec<T>,
    decoder: &mut Decoder,
    form: Form,
) -> Result<(), DecodeFailure> {
    let first = (FIRST_ROOM / size_of::<T>().max(1)).max(1);
    for read in elements.len()..count {
        if read == elements.capacity() {
            elements.reserve_exact(read.max(first).min(count - read));
        }
        elements.push(T::read(decoder, form)?);
    }
    Ok(())
}

impl<T: Value> Value for Vec<T> {
    const TYPE: Type = Type::Array(&T::TYPE);

    fn unset() -> Self {
        Self::new()
    }

    never_null!();

    fn least_nullable(form: Form) -> usize {
        if form.flexible { 1 } else { 4 }
    }

    fn read_nullable(decoder: &mut Decoder, form: Form) -> Result<Option<Self>, DecodeFailure> {
        let Some(count) = decoder.count(form.flexible, T::least(form))? else { return Ok(None) };
        let mut elements = Self::new();
        read_up_to(count, &mut elements, decoder, form)?;
        Ok(Some(elements))
    }

    fn read_over(&mut self, decoder: &mut Decoder, form: Form) -> Result<(), DecodeFailure> {
        let count = decoder.count(form.flexible, T::least(form))?;
        let count = count.ok_or(DecodeErrorKind::NotNullable)?;
        self.truncate(count);
        self.iter_mut().try_for_each(|element| element.read_over(decoder, form))?;
        read_up_to(count, self, decoder, form)
    }

    fn write_nullable(
        value: Option<&Self>,
        encoder: &mut Encoder,
        form: Form,
    ) -> Result<(), EncodeFailure> {
        encoder.count(value.map(Self::len), form.flexible)?;
        value.into_iter().flatten().try_for_each(|element| element.write(encoder, form))
    }

    fn measure_nullable(value: Option<&Self>, size: &mut Size, form: Form) {
        size.count(value.map(Self::len), form.flexible);
        for element in value.into_iter().flatten() {
            element.measure(size, form);
        }
    }

    fn error_codes(&self, is_code: bool, found: &mut dyn FnMut(i16)) {
        self.iter().for_each(|element| element.error_codes(is_code, found));
    }
}

impl<T: Value> Value for Option<T> {
    const TYPE: Type = T::TYPE;

    fn unset() -> Self {
        Some(T::unset())
    }

    fn least(form: Form) -> usize {
        T::least_nullable(form)
    }

    fn read(decoder: &mut Decoder, form: Form) -> Result<Self, DecodeFailure> {
        T::read_nullable(decoder, form)
    }

    fn write(&self, encoder: &mut Encoder, form: Form) -> Result<(), EncodeFailure> {
        T::write_nullable(self.as_ref(), encoder, form)
    }

    fn measure(&self, size: &mut Size, form: Form) {
        T::measure_nullable(self.as_ref(), size, form);
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn error_codes(&self, is_code: bool, found: &mut dyn FnMut(i16)) {
        if let Some(value) = self {
            value.error_codes(is_code, found);
        }
    }
}

//! The declaration of messages. What it looks like, beside Kafka's JSON:
//!
//! ```text
//! declare! {
//!     /// Appends batches to partitions.
//!     request ProduceRequest -> ProduceResponse, Produce 3-13 {
//!         /// The transactional id; null outside transactions.
//!         transactional_id: string (3+, nullable 3+, default null),
//!         /// Who must have a batch before the answer: 0 nobody, 1 the leader, -1 all in sync.
//!         acks: int16 (0+),
//!         /// The batches by topic.
//!         topic_data: [TopicProduceData] (0+),
//!     }
//!     struct TopicProduceData {
//!         /// The topic's name.
//!         name: string (0-12) ignorable,
//!         …
//! ```
//!
//! A field is `name: type (versions[, nullable versions][, default value][, tag number]) [ignorable],`.
//! Types have Kafka's names; a struct's name stands for itself and `[T]` is an array. Fields are
//! written in the order in which they stand, tagged ones after them by rising tag. Without a default
//! a field is zero, false, empty or, for a struct, all defaults, also when it is nullable (as in
//! Kafka). A struct with `-> Response` is a request; one with an API and versions is a message.
//! Which versions are flexible is a fact of the API: see [`ApiKey`](crate::api::ApiKey). Data that
//! belongs to no API says it itself: `data OffsetCommitValue: 0-4 flexible 4 {` is a
//! [`Data`](crate::data::Data), `flexible never` stands for none.

/// The Rust type of a declared type.
macro_rules! field_type {
    ($ty:tt nullable $since:literal) => { Option<$crate::codec::field_type!($ty)> };
    (bool) => { bool };
    (int8) => { i8 };
    (int16) => { i16 };
    (uint16) => { u16 };
    (int32) => { i32 };
    (uint32) => { u32 };
    (int64) => { i64 };
    (float64) => { f64 };
    (uuid) => { uuid::Uuid };
    (string) => { $crate::text::Text };
    (bytes) => { bytes::Bytes };
    (records) => { bytes::Bytes };
    ([$element:tt]) => { Vec<$crate::codec::field_type!($element)> };
    ($declared:ident) => { $declared };
}

/// The value of a declared default.
macro_rules! field_default {
    () => {
        $crate::codec::Value::unset()
    };
    (null) => {
        None
    };
    (- $value:literal) => {
        -$value
    };
    ($value:literal) => {
        $value
    };
}

/// The upper end of declared versions: `4+` has none.
macro_rules! last_version {
    () => {
        i16::MAX
    };
    ($last:literal) => {
        $last
    };
}

/// The first flexible version of declared data.
macro_rules! first_flexible {
    (never) => {
        None
    };
    ($first:literal) => {
        Some($first)
    };
}

macro_rules! declare {
    ($(
        $(#[$struct_meta:meta])*
        $kind:ident $name:ident $(-> $response:ident)? $(, $api:ident $min:literal - $max:literal)?
            $(: $low:literal - $high:literal flexible $flexible:tt)?
        {
            $(
                $(#[$meta:meta])*
                $field:ident : $ty:tt (
                    $since:literal $(- $until:literal)? $(+)?
                    $(, nullable $null_since:literal $(- $null_until:literal)? $(+)?)?
                    $(, default $default:tt $($digits:literal)?)?
                    $(, tag $tag:literal)?
                ) $($ignorable:ident)? ,
            )*
        }
    )*) => {$(
        $(#[$struct_meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                $(#[$meta])*
                pub $field: $crate::codec::field_type!($ty $(nullable $null_since)?),
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $crate::codec::field_default!($($default $($digits)?)?), )* }
            }
        }

        #[allow(non_upper_case_globals, reason = "a field's facts bear the field's name")]
        impl $name {
            $(
                const $field: $crate::schema::Field = $crate::schema::Field::new(
                    concat!(stringify!($name), ".", stringify!($field)),
                    $since,
                    $crate::codec::last_version!($($until)?),
                    <$crate::codec::field_type!($ty $(nullable $null_since)?)
                        as $crate::codec::Value>::TYPE,
                )
                $(.nullable($null_since, $crate::codec::last_version!($($null_until)?)))?
                $(.tag($tag))?
                $(.$ignorable())?;
            )*

            const SCHEMA: $crate::schema::Schema = $crate::schema::Schema {
                name: stringify!($name),
                fields: &[$( Self::$field ),*],
            };
        }

        #[allow(unused_mut, reason = "not every struct has tagged fields, or any")]
        impl $crate::codec::Value for $name {
            const TYPE: $crate::schema::Type = $crate::schema::Type::Struct(&Self::SCHEMA);

            fn unset() -> Self {
                Self::default()
            }

            fn least(form: $crate::codec::Form) -> usize {
                let mut least = usize::from(form.flexible);
                $(
                    if Self::$field.is_in_body(form.version) {
                        least += <$crate::codec::field_type!($ty $(nullable $null_since)?)
                            as $crate::codec::Value>::least(form);
                    }
                )*
                least
            }

            fn read(
                decoder: &mut $crate::primitives::Decoder,
                form: $crate::codec::Form,
            ) -> Result<Self, $crate::codec::DecodeFailure> {
                $(
                    let mut $field = $crate::codec::read(
                        &Self::$field,
                        $crate::codec::field_default!($($default $($digits)?)?),
                        decoder,
                        form,
                    )?;
                )*
                if form.flexible {
                    $crate::codec::read_tags(decoder, |tag, decoder| {
                        Ok(false $(
                            || $crate::codec::read_tagged(
                                &Self::$field, &mut $field, tag, decoder, form,
                            )?
                        )*)
                    })?;
                }
                Ok(Self { $($field),* })
            }

            fn read_over(
                &mut self,
                decoder: &mut $crate::primitives::Decoder,
                form: $crate::codec::Form,
            ) -> Result<(), $crate::codec::DecodeFailure> {
                $(
                    $crate::codec::read_over(
                        &Self::$field,
                        &mut self.$field,
                        $crate::codec::field_default!($($default $($digits)?)?),
                        decoder,
                        form,
                    )?;
                )*
                if form.flexible {
                    $crate::codec::read_tags(decoder, |tag, decoder| {
                        Ok(false $(
                            || $crate::codec::read_tagged(
                                &Self::$field, &mut self.$field, tag, decoder, form,
                            )?
                        )*)
                    })?;
                }
                Ok(())
            }

            fn write(
                &self,
                encoder: &mut $crate::primitives::Encoder,
                form: $crate::codec::Form,
            ) -> Result<(), $crate::codec::EncodeFailure> {
                $(
                    $crate::codec::write(
                        &Self::$field,
                        &self.$field,
                        $crate::codec::field_default!($($default $($digits)?)?),
                        encoder,
                        form,
                    )?;
                )*
                if form.flexible {
                    encoder.uvarint(self.tags_sent(form));
                    $(
                        $crate::codec::write_tagged(
                            &Self::$field,
                            &self.$field,
                            $crate::codec::field_default!($($default $($digits)?)?),
                            encoder,
                            form,
                        )?;
                    )*
                }
                Ok(())
            }

            fn error_codes(&self, _: bool, found: &mut dyn FnMut(i16)) {
                // Told apart at compile time, so that other fields cost nothing.
                $( $crate::codec::Value::error_codes(
                    &self.$field, const { Self::$field.is_error_code() }, found,
                ); )*
            }

            fn measure(&self, size: &mut $crate::primitives::Size, form: $crate::codec::Form) {
                $( $crate::codec::measure(&Self::$field, &self.$field, size, form); )*
                if form.flexible {
                    size.add($crate::primitives::uvarint_len(self.tags_sent(form)));
                    $(
                        $crate::codec::measure_tagged(
                            &Self::$field,
                            &self.$field,
                            $crate::codec::field_default!($($default $($digits)?)?),
                            size,
                            form,
                        );
                    )*
                }
            }
        }

        impl $name {
            /// How many tagged fields differ from their defaults.
            fn tags_sent(&self, form: $crate::codec::Form) -> u32 {
                0 $(
                    + u32::from($crate::codec::is_sent(
                        &Self::$field,
                        &self.$field,
                        $crate::codec::field_default!($($default $($digits)?)?),
                        form,
                    ))
                )*
            }
        }

        $(
            impl $crate::messages::Message for $name {
                const KEY: $crate::api::ApiKey = $crate::api::ApiKey::$api;
                const NAME: &'static str = stringify!($name);
                const VERSIONS: $crate::api::VersionRange =
                    $crate::api::VersionRange::new($min, $max);
                const SCHEMA: &'static $crate::schema::Schema = &Self::SCHEMA;

                fn encode(
                    &self,
                    encoder: &mut $crate::primitives::Encoder,
                    version: i16,
                ) -> Result<(), $crate::error::EncodeError> {
                    $crate::codec::encode_message(self, encoder, version)
                }

                fn decode(
                    decoder: &mut $crate::primitives::Decoder,
                    version: i16,
                ) -> Result<Self, $crate::error::DecodeError> {
                    $crate::codec::decode_message(decoder, version)
                }

                fn decode_over(
                    &mut self,
                    decoder: &mut $crate::primitives::Decoder,
                    version: i16,
                ) -> Result<(), $crate::error::DecodeError> {
                    $crate::codec::decode_message_over(self, decoder, version)
                }

                fn measure(&self, version: i16) -> $crate::primitives::Size {
                    $crate::codec::measure_message(self, version)
                }

                fn error_codes(&self, found: &mut dyn FnMut(i16)) {
                    $crate::codec::Value::error_codes(self, false, found);
                }
            }
        )?

        $(
            impl $crate::data::Data for $name {
                const NAME: &'static str = stringify!($name);
                const VERSIONS: $crate::api::VersionRange =
                    $crate::api::VersionRange::new($low, $high);
                const FIRST_FLEXIBLE: Option<i16> = $crate::codec::first_flexible!($flexible);
                const SCHEMA: &'static $crate::schema::Schema = &Self::SCHEMA;

                fn encode(
                    &self,
                    encoder: &mut $crate::primitives::Encoder,
                    version: i16,
                ) -> Result<(), $crate::error::DataEncodeError> {
                    $crate::codec::encode_data(self, encoder, version)
                }

                fn decode(
                    decoder: &mut $crate::primitives::Decoder,
                    version: i16,
                ) -> Result<Self, $crate::error::DataDecodeError> {
                    $crate::codec::decode_data(decoder, version)
                }
            }
        )?

        $(
            impl $crate::messages::Request for $name {
                type Response = $response;
            }
        )?
    )*};
}

pub(crate) use {declare, field_default, field_type, first_flexible, last_version};

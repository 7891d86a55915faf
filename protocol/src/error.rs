//! What can go wrong on the wire: Kafka's error codes, which travel in responses, and the errors of
//! the codec itself, which say API, version and field.

mod code;

pub use code::ErrorCode;

use crate::api::ApiKey;

/// Bytes that are no message of the API and version they claim to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {field} of {api} v{version}: {kind}")]
pub struct DecodeError {
    /// The API that the bytes claim to belong to.
    pub api: ApiKey,
    /// The version that they claim.
    pub version: i16,
    /// Where it went wrong: `Struct.field`, or the message's name.
    pub field: &'static str,
    /// What went wrong.
    pub kind: DecodeErrorKind,
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// A value needs more bytes than are left.
    #[error("needs {needed} bytes where {remaining} are left")]
    Truncated {
        /// Bytes the value needs.
        needed: usize,
        /// Bytes that were left.
        remaining: usize,
    },
    /// A length or count that is negative and not the mark of null.
    #[error("length {length} is negative")]
    NegativeLength {
        /// The length as it was sent.
        length: i32,
    },
    /// An array that claims more elements than the bytes left can hold.
    #[error("claims {count} elements where {remaining} bytes are left")]
    CountTooLarge {
        /// Elements claimed.
        count: usize,
        /// Bytes that were left.
        remaining: usize,
    },
    /// Null where this version allows none.
    #[error("is null, which this version does not allow")]
    NotNullable,
    /// A string that is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A variable-length integer that goes on after 32 bits.
    #[error("has a variable-length integer of more than 32 bits")]
    VarintTooLong,
    /// A tagged field whose value does not fill the size sent with it.
    #[error("leaves {unread} bytes of its tagged size unread")]
    TagNotFilled {
        /// Bytes left over.
        unread: usize,
    },
    /// Bytes after the end of the message.
    #[error("is followed by {unread} bytes too many")]
    TrailingBytes {
        /// Bytes left over.
        unread: usize,
    },
    /// A version outside the range of the message.
    #[error("has no such version")]
    UnsupportedVersion,
}

/// A message that its version can't express.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write {field} of {api} v{version}: {kind}")]
pub struct EncodeError {
    /// The API of the message.
    pub api: ApiKey,
    /// The version asked for.
    pub version: i16,
    /// Where it went wrong: `Struct.field`, or the message's name.
    pub field: &'static str,
    /// What went wrong.
    pub kind: EncodeErrorKind,
}

/// Why a message could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeErrorKind {
    /// The version lacks the field, the field may not be dropped, and it does not hold its default.
    #[error("this version lacks the field: leave it at its default or use another version")]
    NotInVersion,
    /// Null where this version allows none.
    #[error("is null, which this version does not allow")]
    NotNullable,
    /// A string, byte string or array longer than its length field can say.
    #[error("is too long with {length} bytes or elements")]
    TooLong {
        /// Bytes or elements.
        length: usize,
    },
    /// A version outside the range of the message.
    #[error("has no such version")]
    UnsupportedVersion,
}

/// What is wrong with [`Data`](crate::data::Data), which belongs to no API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{data} v{version}: {field} {kind}")]
pub struct DataError<K> {
    /// Kafka's name of the data.
    pub data: &'static str,
    /// Its version.
    pub version: i16,
    /// Where it went wrong: `Struct.field`, or the data's name.
    pub field: &'static str,
    /// What went wrong.
    pub kind: K,
}

/// Bytes that are not the data they should be.
pub type DataDecodeError = DataError<DecodeErrorKind>;

/// Data that its version can't express.
pub type DataEncodeError = DataError<EncodeErrorKind>;

/// A codec error on its way up: the field is known where it is noticed, API and version above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure<K> {
    pub(crate) field: &'static str,
    pub(crate) kind: K,
}

impl<K> From<K> for Failure<K> {
    fn from(kind: K) -> Self {
        Self { field: "", kind }
    }
}

impl<K> Failure<K> {
    /// Names the field, unless a field further inside has been named already.
    pub(crate) fn within(mut self, field: &'static str) -> Self {
        if self.field.is_empty() {
            self.field = field;
        }
        self
    }

    pub(crate) fn of_data(self, data: &'static str, version: i16) -> DataError<K> {
        DataError { data, version, field: self.field, kind: self.kind }
    }
}

impl Failure<DecodeErrorKind> {
    pub(crate) fn decoding(self, api: ApiKey, version: i16) -> DecodeError {
        DecodeError { api, version, field: self.field, kind: self.kind }
    }
}

impl Failure<EncodeErrorKind> {
    pub(crate) fn encoding(self, api: ApiKey, version: i16) -> EncodeError {
        EncodeError { api, version, field: self.field, kind: self.kind }
    }
}

//! What a message's declaration says, as data: the tests make values of every shape from it.

use crate::api::VersionRange;

/// A declared struct.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Its fields, in the order in which they are written.
    pub fields: &'static [Field],
}

/// A declared field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// `Struct.field`.
    pub name: &'static str,
    /// The versions that have it.
    pub versions: VersionRange,
    /// The versions in which it may be null.
    pub nullable: Option<VersionRange>,
    /// Its number among the tagged fields (KIP-482); untagged fields are written in order.
    pub tag: Option<u32>,
    /// Whether its value is dropped where the version lacks the field; else that is an error.
    pub ignorable: bool,
    /// Its type.
    pub ty: Type,
}

/// The type of a field, nullable or not.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// One byte, 0 or 1.
    Bool,
    /// One byte.
    Int8,
    /// Two bytes.
    Int16,
    /// Two bytes, unsigned.
    Uint16,
    /// Four bytes.
    Int32,
    /// Four bytes, unsigned.
    Uint32,
    /// Eight bytes.
    Int64,
    /// Eight bytes, IEEE 754.
    Float64,
    /// Sixteen bytes.
    Uuid,
    /// A length and UTF-8.
    String,
    /// A length and bytes; record batches travel as such.
    Bytes,
    /// A count and elements.
    Array(&'static Type),
    /// Fields.
    Struct(&'static Schema),
}

impl Field {
    pub(crate) const fn new(name: &'static str, since: i16, until: i16, ty: Type) -> Self {
        let versions = VersionRange::new(since, until);
        Self { name, versions, nullable: None, tag: None, ignorable: false, ty }
    }

    pub(crate) const fn nullable(mut self, since: i16, until: i16) -> Self {
        self.nullable = Some(VersionRange::new(since, until));
        self
    }

    pub(crate) const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }

    pub(crate) const fn ignorable(mut self) -> Self {
        self.ignorable = true;
        self
    }

    /// Whether the field is the `error_code` of its struct.
    pub(crate) const fn is_error_code(&self) -> bool {
        const NAME: &[u8] = b".error_code";
        match self.name.as_bytes().last_chunk::<{ NAME.len() }>() {
            Some(end) => matches!(end, b".error_code"),
            None => false,
        }
    }

    /// Whether the field may be null in `version`.
    pub const fn may_be_null(&self, version: i16) -> bool {
        match &self.nullable {
            Some(versions) => versions.contains(version),
            None => false,
        }
    }

    /// Whether `version` writes the field in order, without a tag.
    pub const fn is_in_body(&self, version: i16) -> bool {
        self.tag.is_none() && self.versions.contains(version)
    }

    /// Whether `version` writes the field with a tag when it differs from its default.
    pub const fn is_tagged(&self, version: i16) -> bool {
        self.tag.is_some() && self.versions.contains(version)
    }
}

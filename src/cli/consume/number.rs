//! How a number is shown: decimal, hex of a width, or raw bytes of a width and byte order.

use crate::cli::encode::{write_decimal, write_hex};

/// The form of a number verb.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NumberFormat {
    /// Decimal digits.
    #[default]
    Decimal,
    /// So many hex digits, cut from the left.
    Hex(u8),
    /// So many bytes, most significant first.
    Big(u8),
    /// So many bytes, least significant first.
    Little(u8),
    /// `true` unless zero.
    Bool,
}

impl NumberFormat {
    /// The modifier's name as rpk has it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ascii" | "number" => Self::Decimal,
            "hex64" | "hex" => Self::Hex(16),
            "hex32" => Self::Hex(8),
            "hex16" => Self::Hex(4),
            "hex8" => Self::Hex(2),
            "hex4" => Self::Hex(1),
            "big64" => Self::Big(8),
            "big32" => Self::Big(4),
            "big16" => Self::Big(2),
            "byte" | "big8" | "little8" => Self::Big(1),
            "little64" => Self::Little(8),
            "little32" => Self::Little(4),
            "little16" => Self::Little(2),
            "bool" => Self::Bool,
            _ => return None,
        })
    }

    /// Appends the number.
    pub fn write(self, out: &mut Vec<u8>, number: i64) {
        let bytes = number.to_be_bytes();
        let low = |width: u8| bytes.len().saturating_sub(usize::from(width));
        match self {
            Self::Decimal => write_decimal(out, number),
            Self::Hex(digits) => {
                let start = out.len();
                write_hex(out, &bytes);
                let cut = out.len().saturating_sub(usize::from(digits)).max(start);
                out.drain(start..cut);
            }
            Self::Big(width) => out.extend_from_slice(bytes.get(low(width)..).unwrap_or_default()),
            Self::Little(width) => {
                out.extend(bytes.iter().rev().take(usize::from(width)));
            }
            Self::Bool => out.extend_from_slice(if number == 0 { b"false" } else { b"true" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_number() {
        let table: &[(&str, i64, &[u8])] = &[
            ("ascii", -7, b"-7"),
            ("hex64", 255, b"00000000000000ff"),
            ("hex8", 0x1ff, b"ff"),
            ("hex4", 0x1f, b"f"),
            ("big32", 256, &[0, 0, 1, 0]),
            ("big16", 256, &[1, 0]),
            ("little32", 256, &[0, 1, 0, 0]),
            ("byte", 256, &[0]),
            ("bool", 3, b"true"),
            ("bool", 0, b"false"),
        ];
        for (name, number, want) in table {
            let mut out = Vec::new();
            NumberFormat::parse(name).unwrap().write(&mut out, *number);
            assert_eq!(out, *want, "{name} {number}");
        }
        assert_eq!(NumberFormat::parse("big12"), None);
    }
}

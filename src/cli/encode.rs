//! Bytes as text: hex, base64 and JSON strings, written into a buffer without allocating.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// How a text field is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextEncoding {
    /// The bytes themselves.
    #[default]
    Raw,
    /// Two lower-case hex digits a byte.
    Hex,
    /// Standard base64 with padding.
    Base64,
    /// Standard base64 without padding.
    Base64Raw,
    /// A JSON string, `null`, or `{"base64":…}` for bytes that are not UTF-8.
    Json,
}

impl TextEncoding {
    /// Appends `bytes`; an absent field shows as nothing, in JSON as `null`.
    pub fn write(self, out: &mut Vec<u8>, bytes: Option<&[u8]>) {
        match (self, bytes) {
            (Self::Json, bytes) => write_json(out, bytes),
            (_, None) => {}
            (Self::Raw, Some(bytes)) => out.extend_from_slice(bytes),
            (Self::Hex, Some(bytes)) => write_hex(out, bytes),
            (Self::Base64, Some(bytes)) => write_base64(out, bytes, true),
            (Self::Base64Raw, Some(bytes)) => write_base64(out, bytes, false),
        }
    }
}

/// Appends two hex digits a byte.
pub fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.extend(HEX.get(usize::from(nibble)));
        }
    }
}

/// Reads hex digits of either case, an even number of them.
#[must_use]
pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?))
        .collect()
}

/// Reads standard base64, with or without its padding.
#[must_use]
pub fn parse_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8], padded: bool) {
    let engine = if padded { STANDARD } else { STANDARD_NO_PAD };
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = match out.get_mut(start..) {
        // The room is the largest the encoding can take, so this cannot fail.
        Some(room) => engine.encode_slice(bytes, room).unwrap_or(0),
        None => 0,
    };
    out.truncate(start + written);
}

/// Appends a JSON string for UTF-8, `{"base64":"…"}` for other bytes, `null` for nothing.
pub fn write_json(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else {
        out.extend_from_slice(b"null");
        return;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => write_json_str(out, text),
        Err(_) => {
            out.extend_from_slice(b"{\"base64\":\"");
            write_base64(out, bytes, true);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Appends a JSON string literal.
pub fn write_json_str(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Runs without anything to escape are copied whole.
    while let Some(at) = rest.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\') {
        let (clean, tail) = rest.split_at(at);
        out.extend_from_slice(clean);
        let Some((special, tail)) = tail.split_first() else { break };
        match special {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                out.extend_from_slice(b"\\u00");
                write_hex(out, &[*other]);
            }
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends a decimal number.
pub fn write_decimal(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        if let Some(slot) = digits.get_mut(at) {
            *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        }
        rest /= 10;
        if rest == 0 || at == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(encoding: TextEncoding, bytes: Option<&[u8]>) -> String {
        let mut out = Vec::new();
        encoding.write(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_encoding_of_some_bytes() {
        let bytes: Option<&[u8]> = Some(b"a\xff\x00z");
        assert_eq!(shown(TextEncoding::Hex, bytes), "61ff007a");
        assert_eq!(shown(TextEncoding::Base64, bytes), "Yf8Aeg==");
        assert_eq!(shown(TextEncoding::Base64Raw, bytes), "Yf8Aeg");
        assert_eq!(shown(TextEncoding::Json, bytes), "{\"base64\":\"Yf8Aeg==\"}");
        assert_eq!(
            shown(TextEncoding::Json, Some("\"\\\n\u{1}é".as_bytes())),
            "\"\\\"\\\\\\n\\u0001é\""
        );
        assert_eq!(shown(TextEncoding::Json, None), "null");
        assert_eq!(shown(TextEncoding::Hex, None), "");
    }

    #[test]
    fn hex_and_base64_read_back() {
        assert_eq!(parse_hex("61FF007a").as_deref(), Some(&b"a\xff\x00z"[..]));
        assert_eq!(parse_base64("Yf8Aeg==").as_deref(), Some(&b"a\xff\x00z"[..]));
        assert_eq!(parse_base64("Yf8Aeg").as_deref(), Some(&b"a\xff\x00z"[..]));
        assert_eq!(parse_hex("6"), None);
        assert_eq!(parse_hex("6x"), None);
        assert_eq!(parse_base64("*"), None);
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, -1, 10, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_decimal(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}

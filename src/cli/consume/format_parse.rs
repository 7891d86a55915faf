//! The parser of `consume -f`: text → pieces.

use std::iter::Peekable;
use std::str::CharIndices;

use super::format::{Attribute, FormatError, NumberField, Piece, TextField, TimeFormat};
use super::number::NumberFormat;
use crate::cli::encode::TextEncoding;

const TEXT_HINT: &str = "hex, base64, base64raw or json do";
const NUMBER_HINT: &str = "ascii, hex64…hex4, big64…big8, little64…little8, byte or bool do";
const TIME_HINT: &str = "rfc3339, strftime[…] or a number form do";
const ATTRIBUTE_HINT: &str =
    "compression, timestamp-type, transactional-bit or control-bit do, with ;number after it";

/// Compiles a whole format.
pub(super) fn parse(format: &str) -> Result<Vec<Piece>, FormatError> {
    Parser { format, chars: format.char_indices().peekable(), pieces: Vec::new() }.run(false)
}

struct Parser<'a> {
    format: &'a str,
    chars: Peekable<CharIndices<'a>>,
    pieces: Vec<Piece>,
}

impl<'a> Parser<'a> {
    fn run(mut self, in_headers: bool) -> Result<Vec<Piece>, FormatError> {
        while let Some((_, c)) = self.chars.next() {
            match c {
                '%' => self.verb(in_headers)?,
                '\\' => self.escape()?,
                other => self.literal(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(self.pieces)
    }

    fn literal(&mut self, bytes: &[u8]) {
        if let Some(Piece::Literal(run)) = self.pieces.last_mut() {
            run.extend_from_slice(bytes);
        } else {
            self.pieces.push(Piece::Literal(bytes.to_vec()));
        }
    }

    fn escape(&mut self) -> Result<(), FormatError> {
        let unknown = |text: &str| Err(FormatError::UnknownEscape(text.to_owned()));
        let byte = match self.chars.next().map(|(_, c)| c) {
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('r') => b'\r',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let mut digits = String::new();
                for _ in 0..2 {
                    digits.extend(self.chars.next().map(|(_, c)| c));
                }
                match u8::from_str_radix(&digits, 16) {
                    Ok(byte) if digits.len() == 2 => byte,
                    _ => return unknown(&format!("x{digits}")),
                }
            }
            Some(other) => return unknown(other.encode_utf8(&mut [0; 4])),
            None => return unknown(""),
        };
        self.literal(&[byte]);
        Ok(())
    }

    fn verb(&mut self, in_headers: bool) -> Result<(), FormatError> {
        let (_, verb) = self.chars.next().ok_or(FormatError::LonePercent)?;
        if let '%' | '{' | '}' = verb {
            self.literal(verb.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        if in_headers && !matches!(verb, 'k' | 'K' | 'v' | 'V') {
            return Err(FormatError::NotInHeaders(verb));
        }
        let kind = kind_of(verb).ok_or(FormatError::UnknownVerb(verb))?;
        let modifier = self.braces(verb)?;
        let refuse = |hint| FormatError::Modifier {
            verb,
            modifier: modifier.unwrap_or_default().to_owned(),
            hint,
        };
        let piece = match kind {
            Kind::Text(field) => Piece::Text(
                field,
                match modifier {
                    None => TextEncoding::Raw,
                    Some(name) => text_encoding(name).ok_or_else(|| refuse(TEXT_HINT))?,
                },
            ),
            Kind::Number(field) => Piece::Number(
                field,
                match modifier {
                    None => NumberFormat::Decimal,
                    Some(name) => NumberFormat::parse(name).ok_or_else(|| refuse(NUMBER_HINT))?,
                },
            ),
            Kind::Time => time_piece(modifier).ok_or_else(|| refuse(TIME_HINT))?,
            Kind::Attribute => {
                modifier.and_then(attribute_piece).ok_or_else(|| refuse(ATTRIBUTE_HINT))?
            }
            Kind::Headers => {
                let inner = modifier.ok_or(FormatError::BareHeaders)?;
                Piece::Headers(
                    Parser {
                        format: inner,
                        chars: inner.char_indices().peekable(),
                        pieces: Vec::new(),
                    }
                    .run(true)?,
                )
            }
        };
        self.pieces.push(piece);
        Ok(())
    }

    /// What stands in the braces after a verb; braces within nest, `%{` and `%}` do not count.
    fn braces(&mut self, verb: char) -> Result<Option<&'a str>, FormatError> {
        let Some((open, _)) = self.chars.next_if(|(_, c)| *c == '{') else { return Ok(None) };
        let mut depth = 1_u32;
        while let Some((at, c)) = self.chars.next() {
            match c {
                '%' => {
                    self.chars.next_if(|(_, c)| matches!(c, '{' | '}' | '%'));
                }
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.format.get(open + 1..at));
            }
        }
        Err(FormatError::OpenBrace(verb))
    }
}

enum Kind {
    Text(TextField),
    Number(NumberField),
    Time,
    Attribute,
    Headers,
}

fn kind_of(verb: char) -> Option<Kind> {
    Some(match verb {
        't' => Kind::Text(TextField::Topic),
        'k' => Kind::Text(TextField::Key),
        'v' => Kind::Text(TextField::Value),
        'T' => Kind::Number(NumberField::TopicLength),
        'K' => Kind::Number(NumberField::KeyLength),
        'V' => Kind::Number(NumberField::ValueLength),
        'H' => Kind::Number(NumberField::HeaderCount),
        'p' => Kind::Number(NumberField::Partition),
        'o' => Kind::Number(NumberField::Offset),
        'e' => Kind::Number(NumberField::LeaderEpoch),
        'x' => Kind::Number(NumberField::ProducerId),
        'y' => Kind::Number(NumberField::ProducerEpoch),
        '[' => Kind::Number(NumberField::LogStart),
        '|' => Kind::Number(NumberField::LastStable),
        ']' => Kind::Number(NumberField::HighWatermark),
        'i' => Kind::Number(NumberField::Count),
        'd' => Kind::Time,
        'a' => Kind::Attribute,
        'h' => Kind::Headers,
        _ => return None,
    })
}

fn text_encoding(name: &str) -> Option<TextEncoding> {
    Some(match name {
        "hex" => TextEncoding::Hex,
        "base64" => TextEncoding::Base64,
        "base64raw" => TextEncoding::Base64Raw,
        "json" => TextEncoding::Json,
        _ => return None,
    })
}

fn time_piece(modifier: Option<&str>) -> Option<Piece> {
    let Some(modifier) = modifier else {
        return Some(Piece::Number(NumberField::Timestamp, NumberFormat::Decimal));
    };
    if modifier == "rfc3339" {
        return Some(Piece::Time(TimeFormat::Rfc3339));
    }
    if let Some(wrapped) = modifier.strip_prefix("strftime") {
        let inner = unwrap_delimiters(wrapped)?;
        // A format that cannot be written is refused here, not for each record.
        let probe = jiff::fmt::strtime::format(inner, jiff::Timestamp::UNIX_EPOCH);
        return probe.is_ok().then(|| Piece::Time(TimeFormat::Strftime(inner.to_owned())));
    }
    Some(Piece::Number(NumberField::Timestamp, NumberFormat::parse(modifier)?))
}

/// Takes away the equal number of `[`, `{`, `(` or `#` in front and their partners behind.
fn unwrap_delimiters(text: &str) -> Option<&str> {
    let open = text.chars().next()?;
    let close = match open {
        '[' => ']',
        '{' => '}',
        '(' => ')',
        '#' => '#',
        _ => return None,
    };
    let depth = text.chars().take_while(|c| *c == open).count();
    if text.len() < depth * 2 {
        return None;
    }
    let tail = text.len() - depth;
    text.get(tail..)?.chars().all(|c| c == close).then_some(())?;
    text.get(depth..tail)
}

fn attribute_piece(modifier: &str) -> Option<Piece> {
    let (name, form) = match modifier.split_once(';') {
        Some((name, form)) => (name, Some(NumberFormat::parse(form)?)),
        None => (modifier, None),
    };
    let which = match name {
        "compression" => Attribute::Compression,
        "timestamp-type" => Attribute::TimestampType,
        "transactional-bit" => Attribute::Transactional,
        "control-bit" => Attribute::Control,
        _ => return None,
    };
    Some(Piece::Attribute(which, form))
}

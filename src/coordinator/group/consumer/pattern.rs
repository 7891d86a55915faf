//! PURE. Subscriptions by regular expression: matched in time linear in the name, against the whole
//! name, as Kafka's brokers do.

use duramen_protocol::error::ErrorCode;
use regex::{Regex, RegexBuilder};

/// Bytes that a compiled expression may take.
const COMPILED_MAX: usize = 1 << 20;
/// Bytes that an expression may have.
const PATTERN_MAX: usize = 4096;

/// Compiles an expression that matches whole names.
pub(super) fn compile(pattern: &str) -> Result<Regex, ErrorCode> {
    if pattern.len() > PATTERN_MAX {
        return Err(ErrorCode::InvalidRegularExpression);
    }
    let build = |pattern: &str| {
        let built = RegexBuilder::new(pattern).size_limit(COMPILED_MAX).build();
        built.map_err(|_| ErrorCode::InvalidRegularExpression)
    };
    // By itself first: `a)(b` is none, though it would be within the group.
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn whole_names_match() {
        let regex = compile("orders|pay").unwrap();
        assert!(regex.is_match("orders") && regex.is_match("pay"));
        assert!(!regex.is_match("orders2") && !regex.is_match("prepay"));
    }

    #[test]
    fn what_is_no_expression_or_too_big_is_refused() {
        for pattern in ["(", "a)(b", "*", r"(a)\1", "(?=a)", "(a{1000}){1000}"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
        assert!(compile(&"a".repeat(5_000)).is_err());
    }
}

//! PURE. Regular expressions over the names of topics, at a cost that is known before the first name is
//! looked at: a pattern becomes an automaton that takes one step a byte, or is refused. Memory and
//! time of making it are bounded too, since any client may send any pattern.

use duramen_protocol::error::ErrorCode;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::Refusal;

/// Bytes of a pattern: parsing takes some hundred times as much.
const PATTERN_BYTES_MAX: usize = 8 << 10;

/// Bytes of the automaton.
const AUTOMATON_BYTES_MAX: usize = 1 << 20;

/// Bytes that making it may take: what blows up does so here, within some ten milliseconds.
const WORK_BYTES_MAX: usize = 256 << 10;

/// Brackets within brackets.
const NESTING_MAX: u32 = 50;

/// A regular expression that must match a whole name.
#[derive(Debug)]
pub(super) struct TopicRegex(dense::DFA<Vec<u32>>);

impl TopicRegex {
    /// Makes one of a pattern in Rust's syntax.
    pub(super) fn compile(pattern: &str) -> Result<Self, Refusal> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(invalid(format!(
                "has {} bytes, of which {PATTERN_BYTES_MAX} are taken: use a shorter one",
                pattern.len()
            )));
        }
        // Names of topics are ASCII. Classes that go beyond it would only make the automaton large.
        let ascii = syntax::Config::new().unicode(false).utf8(false).nest_limit(NESTING_MAX);
        let all = syntax::Config::new().nest_limit(NESTING_MAX);
        let parsed = match syntax::parse_with(pattern, &ascii) {
            Err(_) => syntax::parse_with(pattern, &all),
            parsed => parsed,
        };
        let parsed = parsed.map_err(|error| {
            // The last line is the reason, the others show where.
            let shown = error.to_string();
            let reason = shown.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            invalid(format!("is not a valid regular expression: {reason}"))
        })?;
        let steps = thompson::Config::new()
            .nfa_size_limit(Some(AUTOMATON_BYTES_MAX))
            .which_captures(WhichCaptures::None);
        let bounds = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .unicode_word_boundary(true)
            .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
            .determinize_size_limit(Some(WORK_BYTES_MAX));
        let made = thompson::Compiler::new().configure(steps).build_from_hir(&parsed).ok();
        let made =
            made.and_then(|nfa| dense::Builder::new().configure(bounds).build_from_nfa(&nfa).ok());
        made.map(Self).ok_or_else(|| {
            invalid("takes too much to match: use a simpler one, or name the topics".to_owned())
        })
    }

    /// Whether it matches the whole of a name.
    pub(super) fn matches(&self, name: &str) -> bool {
        let input = Input::new(name).anchored(Anchored::Yes);
        // The longest match; an error is a byte that no topic has.
        let longest = self.0.try_search_fwd(&input);
        longest.is_ok_and(|found| found.is_some_and(|end| end.offset() == name.len()))
    }
}

fn invalid(what: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidRegularExpression, format!("SubscribedTopicRegex {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        TopicRegex::compile(pattern).unwrap_or_else(|it| panic!("{}", it.message)).matches(name)
    }

    fn refused(pattern: &str) -> String {
        let refusal = TopicRegex::compile(pattern).expect_err("it is refused");
        assert_eq!(refusal.code, ErrorCode::InvalidRegularExpression);
        refusal.message
    }

    #[test]
    fn a_whole_name_must_match() {
        for (pattern, name, expected) in [
            ("orders", "orders", true),
            ("orders", "orders-eu", false),
            ("orders|orders-eu", "orders-eu", true),
            ("orders-eu|orders", "orders-eu", true),
            ("order.*", "orders-eu", true),
            ("^order.*s$", "orders", true),
            ("^order.*s$", "orders-eu", false),
            (r"\w+\.(eu|us)-[0-9]{1,3}", "bills.us-17", true),
            (r"(?:\w+\.){1,5}orders", "a.b.c.orders", true),
            (r".*\borders\b.*", "eu.orders-1", true),
            (r".*\borders\b.*", "eu.reorders", false),
            (r"(?u)\w+", "orders", true),
            ("(?i)ORDERS", "orders", true),
            ("[^_].*", "_orders", false),
            ("é|orders", "orders", true),
            (".*", "", true),
            ("", "orders", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn as_many_names_as_anyone_writes_into_a_pattern() {
        let names: Vec<String> = (0..200).map(|n| format!("team-{n}-orders-topic-{n}")).collect();
        assert!(matches(&names.join("|"), "team-150-orders-topic-150"));
    }

    #[test]
    fn what_is_no_regular_expression_is_told_in_a_line() {
        for (pattern, reason) in [
            ("(", "unclosed group"),
            ("a)(b", "unopened group"),
            ("a{2,1}", "invalid repetition count range"),
            ("*", "repetition operator missing expression"),
            (r"(a)\1", "backreferences are not supported"),
            ("(?=a)", "look-around"),
            (
                &("(".repeat(60) + &")".repeat(60)),
                "exceed the maximum number of nested parentheses/brackets",
            ),
        ] {
            let message = refused(pattern);
            assert!(message.contains(reason) && message.lines().count() == 1, "{message}");
        }
    }

    #[test]
    fn what_would_take_much_is_refused_and_not_tried() {
        for pattern in [
            "a{1000}{1000}{1000}",
            "((a{100}){100}){100}",
            ".*a.{100}",
            "(?:(?:a?){100}){100}b",
            r"(?u)(?:\w|\s){1,200}",
            "[a0-9]*a[a0-9]{200}[a0-9]*",
        ] {
            assert!(refused(pattern).contains("takes too much to match"), "{pattern}");
        }
        for pattern in ["a|".repeat(5_000), "[".repeat(5_000_000)] {
            assert!(refused(&pattern).contains("8192 are taken"));
        }
    }
}

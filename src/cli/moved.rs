//! The note to a person when reading had to go on elsewhere.

use duramen_client::consumer::{Moved, MovedWhy};

use super::output;

/// Says that reading went on elsewhere.
pub fn tell_moved(moved: &Moved) {
    let Moved { topic, partition, from, to, why, .. } = moved;
    output::note(&match why {
        MovedWhy::OutOfRange => {
            format!("{topic}-{partition}: offsets {from} to {to} were deleted meanwhile")
        }
        MovedWhy::Damaged => {
            format!("{topic}-{partition}: offsets {from} to {} are damaged and left out", to - 1)
        }
        MovedWhy::Recreated => {
            format!("{topic}-{partition}: the topic was made again: reading from its start, {to}")
        }
        MovedWhy::Truncated => format!(
            "{topic}-{partition}: the log was cut back from {from} to {to}; records taken from there on \
             may be gone"
        ),
        _ => format!("{topic}-{partition}: reading goes on at {to} instead of {from}"),
    });
}

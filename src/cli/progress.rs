//! Progress for a person who waits, and the line of figures at the end.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::output;

/// A bar or counter on stderr; nothing when no person reads it.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Counts bytes up to `total`, if that is known.
    #[must_use]
    pub fn bytes(total: Option<u64>, show: bool) -> Self {
        let (bar, form) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg} {left}",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec} {msg}"),
        };
        Self::shown(bar, form, show)
    }

    fn shown(bar: ProgressBar, form: &str, show: bool) -> Self {
        if !(show && output::stderr_is_terminal()) {
            return Self::none();
        }
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.with_key("left", left));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// Nothing to show.
    #[must_use]
    pub fn none() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    /// Counts offsets of a range up to `total`.
    #[must_use]
    pub fn offsets(total: u64, show: bool) -> Self {
        let form = "{bar:30} {percent}% {human_pos}/{human_len} offsets {msg} {left}";
        Self::shown(ProgressBar::new(total), form, show)
    }

    /// Whether anybody sees it.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// So many bytes (or offsets) and records by now.
    pub fn set(&self, bytes: u64, records: u64) {
        if self.is_shown() {
            self.bar.set_position(bytes);
            self.bar.set_message(format!("{records} records"));
        }
    }

    /// So many bytes by now.
    pub fn set_bytes(&self, bytes: u64) {
        if !self.bar.is_hidden() {
            self.bar.set_position(bytes);
        }
    }

    /// Takes it away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// `12s left`, once there is something to tell it from.
fn left(state: &ProgressState, out: &mut dyn fmt::Write) {
    if state.per_sec() > 0.0 {
        let seconds = Duration::from_secs(state.eta().as_secs_f64().ceil() as u64);
        // Where it can't be written there is nobody to read it.
        let _ = write!(out, "{:#} left", HumanDuration(seconds));
    }
}

/// `1234 records, 1.2 MB in 0.50 s (2468 records/s, 2.4 MB/s)`.
#[must_use]
pub fn summary(records: u64, bytes: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(0.000_001);
    let rate = |count: u64| count as f64 / seconds;
    format!(
        "{records} record{}, {} in {seconds:.2} s ({:.0} records/s, {}/s)",
        if records == 1 { "" } else { "s" },
        size(bytes as f64),
        rate(records),
        size(rate(bytes)),
    )
}

/// A number of bytes in decimal units.
fn size(bytes: f64) -> String {
    match bytes {
        b if b >= 1e9 => format!("{:.2} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b if b >= 1e3 => format!("{:.1} kB", b / 1e3),
        b => format!("{b:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_read_well() {
        let line = summary(1000, 1_500_000, Duration::from_millis(500));
        assert_eq!(line, "1000 records, 1.5 MB in 0.50 s (2000 records/s, 3.0 MB/s)");
        assert!(summary(1, 12, Duration::ZERO).starts_with("1 record, 12 B"));
    }
}

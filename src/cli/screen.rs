//! The terminal while `top` or `group lag --watch` has it: another screen, keys without echo, and all as it was afterwards,
//! however the verb ends.

use std::io::{self, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::cli::exit::Failure;
use crate::cli::output::Output;

/// The other screen, cleared, without a cursor; and back.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// A terminal taken over. Gives it back on drop.
#[derive(Debug)]
pub(super) struct Screen {
    out: Output,
    /// The terminal's modes before, when keys come from one.
    before: Option<Termios>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When stdout does not take it.
    pub(super) fn enter() -> Result<Self, Failure> {
        let before = take_keys();
        let mut screen = Self { out: Output::stdout()?, before };
        screen.out.buffer().extend_from_slice(ENTER);
        screen.out.flush()?;
        Ok(screen)
    }

    /// Whether keys can be read.
    pub(super) fn has_keys(&self) -> bool {
        self.before.is_some()
    }

    /// Draws the lines over what is there, cut to the size of the window.
    ///
    /// # Errors
    /// When stdout does not take them.
    pub(super) fn draw(&mut self, text: &[u8]) -> Result<(), Failure> {
        let (rows, columns) = size();
        let text = String::from_utf8_lossy(text);
        let buffer = self.out.buffer();
        buffer.extend_from_slice(b"\x1b[H");
        for (at, line) in text.lines().take(rows).enumerate() {
            if at > 0 {
                buffer.extend_from_slice(b"\r\n");
            }
            buffer.extend_from_slice(clip(line, columns).as_bytes());
            // What the line before it left to the right.
            buffer.extend_from_slice(b"\x1b[K");
        }
        buffer.extend_from_slice(b"\x1b[J");
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.out.buffer().clear();
        self.out.buffer().extend_from_slice(LEAVE);
        // The terminal may be gone already.
        let _ = self.out.flush();
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Has keys come one by one and unseen. Ctrl-C still is a signal. The modes before; `None` when stdin
/// is no terminal.
fn take_keys() -> Option<Termios> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return None;
    }
    let before = tcgetattr(&stdin).ok()?;
    let mut modes = before.clone();
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &modes).ok()?;
    Some(before)
}

/// Rows and columns of the window.
fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}

/// A line that fits, and can't steer the terminal whatever a broker called itself.
fn clip(line: &str, columns: usize) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    line.chars().take(columns).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_and_cannot_steer_the_terminal() {
        assert_eq!(clip("abcdef", 4), "abcd");
        assert_eq!(clip("a\x1b[2Jé", 80), "a?[2Jé");
    }
}

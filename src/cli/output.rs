//! The one place that prints: a buffered output that survives closed pipes, notes on stderr, tables.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use clap::ValueEnum;

use super::exit::Failure;

/// Bytes gathered before they are written.
const SPILL_BYTES: usize = 64 * 1024;

/// How a verb that shows something shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns with a heading
    #[default]
    Table,
    /// JSON, for programs
    Json,
    /// Columns between tabs without a heading, for cut and awk
    Text,
}

/// Stdout or a file, written in large pieces.
#[derive(Debug)]
pub struct Output {
    out: File,
    /// What it is called in messages.
    name: String,
    buffer: Vec<u8>,
}

impl Output {
    /// Takes stdout.
    ///
    /// # Errors
    /// When it is closed.
    pub fn stdout() -> Result<Self, Failure> {
        // The file itself: std's handle would look for line ends in what is gathered here already.
        let fd = io::stdout().as_fd().try_clone_to_owned();
        let out = fd.map_err(|error| Failure::io("stdout", &error))?.into();
        Ok(Self::to(out, "stdout".to_owned()))
    }

    /// Writes to an open file from where it stands; `name` is what it is called in messages.
    #[must_use]
    pub fn to(out: File, name: String) -> Self {
        Self { out, name, buffer: Vec::with_capacity(2 * SPILL_BYTES) }
    }

    /// Brings everything to the disk, and tells how long the file is now.
    ///
    /// # Errors
    /// As [`Output::spill`].
    pub fn sync(&mut self) -> Result<u64, Failure> {
        self.flush()?;
        let synced = self.out.sync_data().and_then(|()| self.out.metadata());
        Ok(synced.map_err(|error| Failure::io(&self.name, &error))?.len())
    }

    /// Where to put what is to be printed.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes what was gathered if it is enough.
    ///
    /// # Errors
    /// When it can't be written; [`Failure::ReaderGone`] when nobody reads.
    pub fn spill(&mut self) -> Result<(), Failure> {
        if self.buffer.len() < SPILL_BYTES { Ok(()) } else { self.flush() }
    }

    /// Writes everything gathered.
    ///
    /// # Errors
    /// As [`Output::spill`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        let written = self.out.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|error| Failure::io(&self.name, &error))
    }
}

/// Says something on stderr, in one line.
pub fn note(line: &str) {
    // Nothing can be done about a stderr that does not take it.
    let _ = writeln!(io::stderr().lock(), "duramen: {line}");
}

/// Whether a person reads stderr.
#[must_use]
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether a person reads stdout.
#[must_use]
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Rows under headings.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet.
    #[must_use]
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, a cell per column.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends the rows in aligned columns under their headings.
    pub fn write_aligned(&self, out: &mut Vec<u8>) {
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let heading = self.columns.get(column).map_or(0, |name| name.chars().count());
            cells.map(|cell| cell.chars().count()).fold(heading, usize::max)
        };
        let is_number = |cell: &String| !cell.is_empty() && cell.parse::<i64>().is_ok();
        let layout: Vec<(usize, bool)> = (0..self.columns.len())
            .map(|column| {
                let mut cells = self.rows.iter().filter_map(|row| row.get(column));
                (width_of(column), !self.rows.is_empty() && cells.all(is_number))
            })
            .collect();
        let heading: Vec<String> = self.columns.iter().map(|name| name.to_uppercase()).collect();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = String::new();
            for (cell, (width, right)) in row.iter().zip(&layout) {
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                match right {
                    true => line.extend([gap.as_str(), cell]),
                    false => line.extend([cell.as_str(), &gap]),
                }
                line.push_str("  ");
            }
            out.extend_from_slice(line.trim_end().as_bytes());
            out.push(b'\n');
        }
    }

    /// Appends the rows with tabs between the columns.
    pub fn write_tabbed(&self, out: &mut Vec<u8>) {
        for row in &self.rows {
            out.extend_from_slice(row.join("\t").as_bytes());
            out.push(b'\n');
        }
    }
}

/// The same thing in the form asked for.
#[must_use]
pub fn rendered(format: Format, json: &serde_json::Value, tables: &[Table]) -> Vec<u8> {
    let mut out = Vec::new();
    match format {
        Format::Json => {
            out.extend(serde_json::to_string_pretty(json).unwrap_or_default().into_bytes());
            out.push(b'\n');
        }
        Format::Table => {
            for (at, table) in tables.iter().filter(|table| !table.is_empty()).enumerate() {
                if at > 0 {
                    out.push(b'\n');
                }
                table.write_aligned(&mut out);
            }
        }
        Format::Text => tables.iter().for_each(|table| table.write_tabbed(&mut out)),
    }
    out
}

/// Prints the same thing in the form asked for.
///
/// # Errors
/// When stdout does not take it.
pub fn print(format: Format, json: &serde_json::Value, tables: &[Table]) -> Result<(), Failure> {
    let mut out = Output::stdout()?;
    out.buffer().extend(rendered(format, json, tables));
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_on_the_right_and_words_on_the_left() {
        let mut table = Table::new(&["name", "partitions"]);
        table.row(vec!["orders".into(), "12".into()]);
        table.row(vec!["é".into(), "3".into()]);
        let mut out = Vec::new();
        table.write_aligned(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "NAME    PARTITIONS\norders          12\né                3\n");
        let mut out = Vec::new();
        table.write_tabbed(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "orders\t12\né\t3\n");
    }
}

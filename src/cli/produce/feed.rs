//! The loop of `produce`: blocks of input → lines → records → the producer, fates followed in order.

use std::io;

use duramen_client::producer::{HeaderView, Producer, ProducerRecord};
use tokio::sync::mpsc;

use super::ProduceArgs;
use super::input::Piece;
use super::line::{LineForm, LineRecord};
use super::tracker::{Place, Tracker};
use crate::cli::encode::write_decimal;
use crate::cli::exit::{Exit, Failure, at_place};
use crate::cli::output::{self, Output};
use crate::cli::progress::Progress;
use crate::cli::time::now_ms;

/// See the top of the file.
pub(super) struct Feed<'a> {
    producer: Producer,
    pub(super) tracker: Tracker,
    bytes_read: u64,
    records: u64,
    /// The beginning of a line whose end has not been read yet.
    carry: Vec<u8>,
    max_line: usize,
    place: Place,
    names: Vec<String>,
    now_ms: i64,
    offsets: Option<Output>,
    form: Form<'a>,
}

/// How a line becomes a record of the topic.
struct Form<'a> {
    line: LineForm,
    topic: &'a str,
    key: Option<&'a [u8]>,
    partition: Option<i32>,
    ignore_partitions: bool,
    headers: Vec<HeaderView<'a>>,
}

impl<'a> Feed<'a> {
    pub(super) fn new(
        args: &'a ProduceArgs,
        line: LineForm,
        producer: Producer,
        max_line: usize,
        names: Vec<String>,
    ) -> Result<Self, Failure> {
        let headers = args.headers.iter();
        let headers = headers
            .map(|(name, value)| HeaderView { key: name.as_bytes(), value: Some(value.as_bytes()) })
            .collect();
        Ok(Self {
            producer,
            tracker: Tracker::default(),
            bytes_read: 0,
            records: 0,
            carry: Vec::new(),
            max_line,
            place: Place { file: 0, line: 0 },
            names,
            now_ms: now_ms(),
            offsets: args.print_offsets.then(Output::stdout).transpose()?,
            form: Form {
                line,
                topic: &args.topic,
                key: args.key.as_deref().map(str::as_bytes),
                partition: args.partition,
                ignore_partitions: args.ignore_partitions,
                headers,
            },
        })
    }

    /// Reads until the input ends or a record fails.
    pub(super) async fn run(
        &mut self,
        mut pieces: mpsc::Receiver<io::Result<Piece>>,
        progress: &Progress,
    ) -> Result<(), Failure> {
        while self.tracker.failed == 0 {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                () = self.tracker.oldest() => {
                    self.settle()?;
                    continue;
                }
            };
            match piece {
                None => return Ok(()),
                Some(Ok(Piece::Block(file, block))) => self.block(file, &block).await?,
                Some(Ok(Piece::End(file))) => self.end_of_file(file).await?,
                Some(Err(error)) => {
                    let place = self.place_words(self.place);
                    return Err(Failure::new(Exit::Input, format!("{place}: {error}")));
                }
            }
            self.settle()?;
            progress.set(self.bytes_read, self.records);
        }
        Ok(())
    }

    /// Waits for what is on its way.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        self.producer.flush().await;
        self.settle()?;
        if self.tracker.failed == 0 {
            return Ok(());
        }
        let mut words = String::new();
        for (place, error) in &self.tracker.failures {
            words = format!("{}: {error}", self.place_words(*place));
            if self.tracker.failed > 1 {
                output::note(&words);
            }
        }
        let message = match self.tracker.failed {
            1 => words,
            failed => format!(
                "{failed} of {} records were not delivered, see the first above",
                failed + self.tracker.delivered
            ),
        };
        Err(Failure::new(Exit::Delivery, message))
    }

    async fn block(&mut self, file: usize, block: &[u8]) -> Result<(), Failure> {
        self.begin(file);
        self.bytes_read += u64::try_from(block.len()).unwrap_or(0);
        self.now_ms = now_ms();
        let mut rest = block;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(at);
            rest = after.get(1..).unwrap_or_default();
            if self.carry.is_empty() {
                self.line(line).await?;
            } else {
                let mut whole = std::mem::take(&mut self.carry);
                whole.extend_from_slice(line);
                self.line(&whole).await?;
            }
        }
        if self.carry.len() + rest.len() > self.max_line {
            let place = Place { line: self.place.line + 1, ..self.place };
            let words = format!(
                "{}: a line of more than {} bytes; is this text?",
                self.place_words(place),
                self.max_line
            );
            return Err(Failure::new(Exit::Input, words));
        }
        self.carry.extend_from_slice(rest);
        Ok(())
    }

    async fn end_of_file(&mut self, file: usize) -> Result<(), Failure> {
        self.begin(file);
        // The last line need not end in a newline.
        if !self.carry.is_empty() {
            let last = std::mem::take(&mut self.carry);
            self.line(&last).await?;
        }
        Ok(())
    }

    fn begin(&mut self, file: usize) {
        let file = u32::try_from(file).unwrap_or(u32::MAX);
        if self.place.file != file {
            self.place = Place { file, line: 0 };
        }
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.place.line += 1;
        let Self { form, place, .. } = self;
        let place = *place;
        let read = match form.line.read(line) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(()),
            Err(words) => {
                let words = format!("{}: {words}", self.place_words(place));
                return Err(Failure::new(Exit::Input, words));
            }
        };
        let own_headers = !read.json.headers.is_empty();
        let headers = if own_headers { read.headers(&form.headers) } else { Vec::new() };
        let headers = if own_headers { &headers } else { &form.headers };
        let record = form.record(&read, headers, self.now_ms);
        let delivery = match self.producer.try_enqueue(&record) {
            Ok(Some(delivery)) => Ok(delivery),
            Ok(None) => self.producer.enqueue(record).await,
            Err(error) => Err(error),
        };
        match delivery {
            Ok(delivery) => {
                self.records += 1;
                // With the newline that ended it.
                self.tracker.push(delivery, place, line.len() + 1);
                Ok(())
            }
            Err(error) => Err(at_place(&self.place_words(place), &error)),
        }
    }

    /// Takes note of the fates known by now.
    fn settle(&mut self) -> Result<(), Failure> {
        let Some(out) = &mut self.offsets else {
            self.tracker.settle(|_| ());
            return Ok(());
        };
        self.tracker.settle(|delivered| {
            write_decimal(out.buffer(), delivered.partition.into());
            out.buffer().push(b'\t');
            write_decimal(out.buffer(), delivered.offset);
            out.buffer().push(b'\n');
        });
        out.flush()
    }

    fn place_words(&self, place: Place) -> String {
        let name = usize::try_from(place.file).ok().and_then(|file| self.names.get(file));
        format!("{}:{}", name.map_or("input", String::as_str), place.line)
    }
}

impl Form<'_> {
    fn record<'r>(
        &'r self,
        read: &'r LineRecord<'r>,
        headers: &'r [HeaderView<'r>],
        now_ms: i64,
    ) -> ProducerRecord<'r> {
        let own_partition = read.json.partition.filter(|_| !self.ignore_partitions);
        ProducerRecord {
            topic: self.topic,
            partition: self.partition.or(own_partition),
            timestamp: Some(read.json.timestamp.unwrap_or(now_ms)),
            key: read.json.key.as_deref().or(self.key),
            value: read.json.value.as_deref(),
            headers,
        }
    }
}

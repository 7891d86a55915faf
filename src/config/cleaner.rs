//! The settings of compaction that concern the whole broker, checked.

use std::time::Duration;

use super::error::ConfigError;
use super::reader::Reader;
use super::settings::Settings;

/// How logs are compacted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub enabled: bool,
    /// `log.cleaner.threads`: directories that are cleaned at the same time, at most.
    pub threads: u32,
    /// `log.cleaner.backoff.ms`.
    pub backoff: Duration,
    /// `log.cleaner.dedupe.buffer.size`, of all threads together.
    pub map_bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`, 0 to 1.
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`, of all threads together.
    pub io_bytes: u32,
    /// `log.cleaner.io.max.bytes.per.second`, of all threads together.
    pub bytes_per_second: f64,
}

impl CleanerConfig {
    /// What `settings` come to.
    ///
    /// # Errors
    /// [`ConfigError`] for a wrong value.
    pub fn resolve(settings: &Settings) -> Result<Self, ConfigError> {
        let of = &Reader::broker(settings);
        Ok(Self {
            enabled: of.boolean("log.cleaner.enable")?,
            threads: of.size("log.cleaner.threads")?,
            backoff: of.duration("log.cleaner.backoff.ms")?.unwrap_or(Duration::MAX),
            map_bytes: of.bytes("log.cleaner.dedupe.buffer.size")?.unwrap_or_default(),
            load_factor: of.double("log.cleaner.io.buffer.load.factor")?.clamp(0.0, 1.0),
            io_bytes: of.size("log.cleaner.io.buffer.size")?,
            bytes_per_second: of.double("log.cleaner.io.max.bytes.per.second")?.max(1.0),
        })
    }
}

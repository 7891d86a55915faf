//! The cluster as data. Metadata records, committed in one order by [`crate::raft`], become deltas
//! and images here; nothing else ever changes an image.
//!
//! ```text
//! committed stream ─▶ loader ─▶ delta (image + metadata records) ─▶ next image ─▶ watchers
//!                                  └──▶ the one applier (broker.rs), before the image is published
//! ```
//!
//! * [`record`]: between metadata records and the parts of an image, both ways;
//! * [`image`]: the immutable [`MetadataImage`];
//! * [`delta`]: replay, and what it changed;
//! * [`loader`]: the task that follows the committed stream;
//! * [`watch`]: the handle that everyone reads the newest image by;
//! * [`map`]: the sorted map that images share their parts by.

pub mod delta;
pub mod image;
pub mod loader;
pub mod map;
pub mod record;
pub mod watch;

pub use delta::{MetadataDelta, Replay};
pub use image::{
    BrokerImage, ConfigResource, MetadataImage, PartitionImage, Provenance, TopicImage,
};
pub use watch::{LoaderStopped, MetadataWatch};

#[cfg(test)]
mod tests;

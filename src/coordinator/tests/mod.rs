//! Groups driven by values: scripts, and a model of many clients with faults.

mod bounds;
mod classic;
mod consumer;
mod consumer_model;
mod migration;
mod mixed_model;
mod model;
mod offsets;
pub(super) mod world;

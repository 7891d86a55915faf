//! Registrations of brokers (KIP-631). Pure.
//!
//! There are no sessions yet: with one node, the lock on its directory already says that no other
//! process is this broker, so a new registration takes the place of the old one at once.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::NO_NODE;
use duramen_protocol::metadata::MetadataRecord;

use super::View;
use crate::controller::command::{Refusal, RegisterBroker, Registered};
use crate::metadata::image::PartitionImage;
use crate::metadata::{BrokerImage, record};

/// Decides whether a broker may join, and what changes when it does.
pub fn register(
    view: View<'_>,
    command: &RegisterBroker,
) -> (Vec<MetadataRecord>, Result<Registered, Refusal>) {
    if let Err(refusal) = check(view, command) {
        return (Vec::new(), Err(refusal));
    }
    let present = view.image.brokers().get(command.id);
    if let Some(same) = present.filter(|known| known.incarnation_id == command.incarnation_id) {
        // A repeated request, whose first answer was lost.
        return (Vec::new(), Ok(Registered { broker_epoch: same.epoch }));
    }
    let after_present = present.map_or(0, |known| known.epoch.saturating_add(1));
    let broker_epoch = view.image.offset().saturating_add(1).max(after_present);
    let mut records = vec![record::broker_registration(&BrokerImage {
        id: command.id,
        incarnation_id: command.incarnation_id,
        epoch: broker_epoch,
        endpoints: command.endpoints.clone(),
        features: command.features.clone(),
        rack: command.rack.clone(),
        fenced: false,
        in_controlled_shutdown: false,
        log_dirs: command.log_dirs.clone(),
    })];
    records.extend(new_terms(view, command.id));
    (records, Ok(Registered { broker_epoch }))
}

fn check(view: View<'_>, command: &RegisterBroker) -> Result<(), Refusal> {
    if command.id < 0 {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "Invalid negative broker ID."));
    }
    let (expected, got) = (view.image.cluster_id(), &command.cluster_id);
    if !got.is_empty() && !expected.is_empty() && got != expected {
        return Err(Refusal::new(
            ErrorCode::InconsistentClusterId,
            format!("Expected cluster ID {expected}, but got cluster ID {got}"),
        ));
    }
    for (feature, &level) in view.image.features() {
        let supported = command.features.get(feature);
        if !supported.is_some_and(|range| (range.min..=range.max).contains(&level)) {
            return Err(Refusal::new(
                ErrorCode::UnsupportedVersion,
                format!(
                    "Unable to register because the broker does not support finalized version \
                     {level} of {feature}."
                ),
            ));
        }
    }
    Ok(())
}

/// A process that starts again leads in a new term: it may have lost what was not on disk, and a
/// client that compares leader epochs (KIP-320) must be able to see that.
fn new_terms(view: View<'_>, id: i32) -> impl Iterator<Item = MetadataRecord> {
    let leads_again = move |partition: &PartitionImage| {
        partition.leader == id || partition.leader == NO_NODE && partition.isr.contains(&id)
    };
    view.image.topics().iter().flat_map(move |topic| {
        topic
            .partitions()
            .filter(move |(_, partition)| leads_again(partition))
            .map(move |(index, _)| record::partition_leader(topic.id(), index, id))
    })
}

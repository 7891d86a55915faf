//! The replicas of new partitions: chosen by the controller, or by the client. Pure.

use std::collections::BTreeSet;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::NO_NODE;

use super::{Dice, Outcome, View};
use crate::controller::command::Refusal;
use crate::controller::placement::{Candidate, place};
use crate::metadata::PartitionImage;

/// Partitions that one request may create, as in Kafka.
const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// Refuses a request that would create too many partitions at once.
pub(super) fn check_total(partitions: impl Iterator<Item = usize>) -> Outcome<()> {
    if partitions.fold(0, usize::saturating_add) > PARTITIONS_PER_REQUEST_MAX {
        return Err(Refusal::new(
            ErrorCode::PolicyViolation,
            "Excessively large number of partitions per request.",
        ));
    }
    Ok(())
}

/// New partitions whose replicas the controller chooses.
pub(super) fn placed(
    view: View<'_>,
    count: usize,
    replication_factor: usize,
    dice: Dice<'_>,
) -> Outcome<Vec<PartitionImage>> {
    let candidates: Vec<_> = view
        .image
        .brokers()
        .iter()
        .map(|broker| Candidate {
            id: broker.id,
            rack: broker.rack.clone(),
            active: broker.is_active(),
        })
        .collect();
    let placed = place(&candidates, count, replication_factor, dice()).map_err(|error| {
        Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            format!("Unable to replicate the partition {replication_factor} time(s): {error}"),
        )
    })?;
    Ok(placed.into_iter().map(|replicas| new_partition(view, replicas)).collect())
}

/// A partition that nobody wrote to yet. Its leader is the first replica that is active; the
/// caller has seen to it that there is one.
fn new_partition(view: View<'_>, replicas: Vec<i32>) -> PartitionImage {
    let isr: Vec<_> =
        replicas.iter().copied().filter(|&id| view.image.brokers().is_active(id)).collect();
    PartitionImage {
        leader: isr.first().copied().unwrap_or(NO_NODE),
        isr,
        replicas,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        recovering: false,
        leader_epoch: 0,
        partition_epoch: 0,
        directories: Vec::new(),
        eligible_leader_replicas: Vec::new(),
        last_known_elr: Vec::new(),
    }
}

pub(super) fn invalid_assignment(message: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidReplicaAssignment, message)
}

/// A new partition with the replicas that the client wants.
pub(super) fn assigned_partition(
    view: View<'_>,
    index: i32,
    replicas: &[i32],
    replication_factor: Option<usize>,
) -> Outcome<PartitionImage> {
    let refuse =
        |what: String| Err(invalid_assignment(format!("The manual partition assignment {what}")));
    if replicas.is_empty() {
        return refuse("includes an empty replica list.".to_owned());
    }
    let mut seen = BTreeSet::new();
    for &id in replicas {
        if view.image.brokers().get(id).is_none() {
            return refuse(format!("includes broker {id}, but no such broker is registered."));
        }
        if !seen.insert(id) {
            return refuse(format!("includes the broker {id} more than once."));
        }
    }
    if let Some(expected) = replication_factor.filter(|&expected| expected != replicas.len()) {
        return refuse(format!(
            "includes a partition with {} replica(s), but this is not consistent with previous \
             partitions, which have {expected} replica(s).",
            replicas.len()
        ));
    }
    let partition = new_partition(view, replicas.to_vec());
    if partition.isr.is_empty() {
        return Err(invalid_assignment(format!(
            "All brokers specified in the manual partition assignment for partition {index} are \
             fenced or in controlled shutdown."
        )));
    }
    Ok(partition)
}

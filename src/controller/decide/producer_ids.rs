//! Blocks of producer ids (KIP-730). Pure.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::metadata::MetadataRecord;

use super::View;
use crate::controller::command::{AllocateProducerIds, ProducerIdBlock, Refusal};
use crate::metadata::record;

/// Producer ids in a block, as in Kafka.
pub const BLOCK_LEN: i32 = 1000;

/// Decides which producer ids a broker gets: some that nobody ever had.
pub fn allocate(
    view: View<'_>,
    command: AllocateProducerIds,
) -> (Vec<MetadataRecord>, Result<ProducerIdBlock, Refusal>) {
    let AllocateProducerIds { broker_id, broker_epoch } = command;
    let refuse = |code, message: String| (Vec::new(), Err(Refusal::new(code, message)));
    match view.image.brokers().get(broker_id) {
        None => {
            return refuse(
                ErrorCode::BrokerIdNotRegistered,
                format!("Broker ID {broker_id} is not currently registered."),
            );
        }
        Some(broker) if broker.epoch != broker_epoch => {
            return refuse(
                ErrorCode::StaleBrokerEpoch,
                format!("Expected broker epoch {}, but got {broker_epoch}", broker.epoch),
            );
        }
        Some(_) => {}
    }
    let first = view.image.next_producer_id();
    let Some(next) = first.checked_add(BLOCK_LEN.into()) else {
        return refuse(
            ErrorCode::UnknownServerError,
            "Exhausted all producerIds as the next block's end producerId has exceeded the int64 \
             type limit"
                .to_owned(),
        );
    };
    let records = vec![record::producer_ids(broker_id, broker_epoch, next)];
    (records, Ok(ProducerIdBlock { first, len: BLOCK_LEN }))
}

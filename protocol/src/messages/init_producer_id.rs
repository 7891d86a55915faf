//! InitProducerId (key 22): a producer's identity (KIP-98, KIP-360).

use crate::codec::declare;

declare! {
    /// Asks for a producer id, or for a new epoch of one.
    request InitProducerIdRequest -> InitProducerIdResponse, InitProducerId 0-5 {
        /// The transactional id; null for a producer that is idempotent only.
        transactional_id: string (0+, nullable 0+),
        /// How long a transaction may stay open before it is aborted, in milliseconds.
        transaction_timeout_ms: int32 (0+),
        /// The producer id to go on with; -1 for a new one.
        producer_id: int64 (3+, default -1),
        /// The epoch that the producer has; -1 for none.
        producer_epoch: int16 (3+, default -1),
    }

    /// The producer's identity.
    response InitProducerIdResponse, InitProducerId 0-5 {
        /// How long the client was held back by a quota, in milliseconds.
        throttle_time_ms: int32 (0+) ignorable,
        /// The error, or 0.
        error_code: int16 (0+),
        /// The producer id.
        producer_id: int64 (0+, default -1),
        /// The epoch.
        producer_epoch: int16 (0+),
    }
}

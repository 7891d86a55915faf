//! Producer ids (KIP-98): handed out one by one from blocks that the controller allocates, so that
//! no id is ever given twice in the life of a cluster.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use duramen_protocol::error::ErrorCode;

use crate::controller::command::{AllocateProducerIds, ProducerIdBlock};
use crate::controller::{Command, Controller, Reply};

/// The ids that this broker may still give.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    /// Who asks the controller.
    asking: AllocateProducerIds,
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// No ids yet, for the broker `broker_id` in its registration `broker_epoch`.
    pub(crate) fn new(broker_id: i32, broker_epoch: i64) -> Self {
        let asking = AllocateProducerIds { broker_id, broker_epoch };
        Self { asking, block: Mutex::default() }
    }

    /// The next id; `None` when the block is used up.
    pub(crate) fn next(&self) -> Option<i64> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    /// Gets a new block and gives its first id. Two refills at once both get a block, and the rest
    /// of one of them is never used: there are 2^63 ids.
    pub(crate) async fn refill(&self, controller: &Controller) -> Result<i64, ErrorCode> {
        let command = Command::AllocateProducerIds(self.asking);
        let reply = controller.submit(command).await.map_err(|error| error.code)?;
        let Reply::AllocateProducerIds(allocated) = reply else {
            return Err(ErrorCode::UnknownServerError);
        };
        let ProducerIdBlock { first, len } = allocated.map_err(|refusal| refusal.code)?;
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        *block = first + 1..first + i64::from(len);
        Ok(first)
    }
}

//! The controller: the one place that decides cluster metadata, active on the leader of the
//! metadata quorum.
//!
//! ```text
//! server/api ─▶ Controller::submit ─▶ queue ─▶ task: decide (pure) ─▶ raft.propose ─▶ commit
//!                                                       reply ◀─ applied here ◀─ loader
//! ```
//!
//! * [`command`]: what can be asked;
//! * [`decide`]: the decisions, pure;
//! * [`placement`]: which brokers get replicas, pure;
//! * [`task`]: the task behind the handle.

pub mod command;
pub mod decide;
mod events;
pub mod placement;
pub mod task;

use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use tokio::sync::{mpsc, oneshot};

pub use command::{
    AllocateProducerIds, AlterConfigs, Command, ConfigChange, CreatePartitions, CreateTopics,
    CreatedTopic, DeleteTopics, DeletedTopic, IncrementalAlterConfigs, MorePartitions, NewTopic,
    ProducerIdBlock, Refusal, RegisterBroker, Registered, Reply, TopicRef,
};
pub use decide::Settings;
pub use task::{Bootstrap, ControllerTask};

/// How long a command may take when nobody says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a command as a whole was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControllerError {
    /// Kafka's error code.
    pub code: ErrorCode,
    /// One line for a person.
    pub message: Text,
}

impl ControllerError {
    fn new(code: ErrorCode, message: impl Into<Text>) -> Self {
        Self { code, message: message.into() }
    }

    fn stopped() -> Self {
        Self::new(ErrorCode::NotController, "the controller has stopped")
    }
}

impl From<ControllerError> for Refusal {
    fn from(error: ControllerError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

/// A command on its way to the task.
#[derive(Debug)]
struct Request {
    command: Command,
    answer: oneshot::Sender<Result<Reply, ControllerError>>,
}

/// A handle to the controller.
#[derive(Debug, Clone)]
pub struct Controller {
    requests: mpsc::Sender<Request>,
}

impl Controller {
    /// Carries out `command`, within [`DEFAULT_TIMEOUT`]. The reply comes when the change is
    /// committed and this broker has applied it.
    ///
    /// # Errors
    ///
    /// As [`Self::submit_within`].
    pub async fn submit(&self, command: Command) -> Result<Reply, ControllerError> {
        self.submit_within(command, DEFAULT_TIMEOUT).await
    }

    /// Carries out `command`. A caller that goes away before its turn came takes the command with
    /// it; after that the change is made whether somebody waits or not.
    ///
    /// # Errors
    ///
    /// REQUEST_TIMED_OUT when it took longer than `timeout` (the change may still be made),
    /// NOT_CONTROLLER when this node does not lead or is stopping, KAFKA_STORAGE_ERROR when the
    /// metadata log can't be written, POLICY_VIOLATION when the change is too large for one batch.
    /// What is wrong with single items stands in the reply.
    pub async fn submit_within(
        &self,
        command: Command,
        timeout: Duration,
    ) -> Result<Reply, ControllerError> {
        let (answer, reply) = oneshot::channel();
        let carried_out = async {
            let request = Request { command, answer };
            self.requests.send(request).await.map_err(|_| ControllerError::stopped())?;
            reply.await.map_err(|_| ControllerError::stopped())?
        };
        tokio::time::timeout(timeout, carried_out).await.unwrap_or_else(|_| {
            Err(ControllerError::new(
                ErrorCode::RequestTimedOut,
                "the change was not committed in time; it may still be",
            ))
        })
    }
}

#[cfg(test)]
mod tests;

//! Requests on their way to the active controller: a deadline, and one way to say that it failed.

use std::time::Duration;

use duramen_protocol::error::ErrorCode;

use super::context::RequestContext;
use crate::controller::{Command, Refusal, Reply};

/// Hands `command` to the controller and waits for its reply, at most `timeout_ms`.
pub(crate) async fn submit(
    context: &RequestContext,
    command: Command,
    timeout_ms: i32,
) -> Result<Reply, Refusal> {
    let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let reply = context.services.controller.submit_within(command, timeout).await;
    reply.map_err(|error| Refusal::new(error.code, error.message))
}

/// The refusal for a reply of the wrong kind, which only a bug of ours can cause.
pub(crate) fn mismatched() -> Refusal {
    Refusal::plain(ErrorCode::UnknownServerError)
}

/// The code and the message of a result, as responses carry them.
pub(crate) fn outcome<T>(
    result: &Result<T, Refusal>,
) -> (i16, Option<duramen_protocol::text::Text>) {
    match result {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(refusal) => (refusal.code.code(), Some(refusal.message.clone())),
    }
}

//! What the handlers of group requests share.

use std::future::Future;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::text::Text;
use tokio_util::sync::CancellationToken;

use super::context::{End, RequestContext};
use super::in_process;

/// Where a client is, as Kafka prints it.
pub(super) fn client_host(context: &RequestContext) -> Text {
    match context.peer.remote {
        End::Socket(remote) => format!("/{}", remote.ip().to_canonical()).into(),
        End::InProcess => format!("/{}", in_process::HOST).into(),
    }
}

/// The answer, unless the broker stops first: a member that waits for others must not hold it up.
pub(super) async fn until_stopped<A>(
    stop: CancellationToken,
    asked: impl Future<Output = Result<A, ErrorCode>>,
) -> Result<A, ErrorCode> {
    stop.run_until_cancelled(asked).await.unwrap_or(Err(ErrorCode::NotCoordinator))
}

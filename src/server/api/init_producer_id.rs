//! InitProducerId (key 22): an id for an idempotent producer, out of a block that the controller
//! gave this broker.

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};
use duramen_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::server::context::RequestContext;
use crate::server::reply::Reply;

/// Serves a request.
pub(crate) fn handle(
    context: &RequestContext,
    request: InitProducerIdRequest,
) -> Reply<InitProducerIdResponse> {
    match request.transactional_id.as_deref() {
        None => {}
        Some("") => return Reply::Now(refused(ErrorCode::InvalidRequest)),
        // Transactions have no coordinator yet; FindCoordinator says so in words.
        Some(_) => return Reply::Now(refused(ErrorCode::CoordinatorNotAvailable)),
    }
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH) {
        return Reply::Now(refused(ErrorCode::InvalidRequest));
    }
    if let Some(id) = context.services.producer_ids.next() {
        return Reply::Now(given(id));
    }
    let context = context.clone();
    Reply::exclusive(async move {
        match context.services.producer_ids.refill(&context.services.controller).await {
            Ok(id) => given(id),
            Err(error) => refused(error),
        }
    })
}

fn given(producer_id: i64) -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id, producer_epoch: 0, ..InitProducerIdResponse::default() }
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..InitProducerIdResponse::default()
    }
}

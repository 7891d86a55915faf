//! The broker that looks after one group: found, called, and found again when it has moved.
//! `find.rs` asks who it is, `offsets.rs` reads and writes what groups have committed.

pub(crate) mod find;
pub(crate) mod offsets;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::messages::Request;
use duramen_protocol::text::Text;

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::error::ClientError;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Coordinator {
    cluster: Cluster,
    group: Text,
    node: Mutex<Option<i32>>,
    /// A connection of the member's own, where a JoinGroup may wait without holding up others.
    own: tokio::sync::Mutex<Option<Connection>>,
}

/// On which connection a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The one that all of the client share.
    Shared,
    /// The member's own.
    Own,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) lane: Lane,
    /// The newest version to use.
    pub(crate) cap: i16,
    /// How long the answer may take, above the ordinary time.
    pub(crate) patience: Duration,
}

impl How {
    pub(crate) const SHARED: Self =
        Self { lane: Lane::Shared, cap: i16::MAX, patience: Duration::ZERO };
    pub(crate) const OWN: Self = Self { lane: Lane::Own, ..Self::SHARED };
}

impl Coordinator {
    pub(crate) fn new(cluster: &Cluster, group: &Text) -> Self {
        Self {
            cluster: cluster.clone(),
            group: group.clone(),
            node: Mutex::default(),
            own: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn group(&self) -> &Text {
        &self.group
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Sends a request to the group's coordinator, once; `build` makes it for a version.
    ///
    /// # Errors
    /// When no coordinator is found or it does not answer. What the answer says is for the caller to
    /// [`Coordinator::check`].
    pub(crate) async fn call<R: Request>(
        &self,
        how: How,
        build: impl FnOnce(i16) -> Result<R, ClientError>,
    ) -> Result<R::Response, ClientError> {
        let answer = self.call_once(how, build).await;
        // Whoever can't be reached may have handed the group over.
        if answer.as_ref().is_err_and(ClientError::is_retriable) {
            self.forget();
        }
        answer
    }

    async fn call_once<R: Request>(
        &self,
        how: How,
        build: impl FnOnce(i16) -> Result<R, ClientError>,
    ) -> Result<R::Response, ClientError> {
        let connection = self.connection(how.lane).await?;
        let version = connection.version_of::<R>(how.cap)?;
        let timeout = self.cluster.options().connection.request_timeout + how.patience;
        Ok(connection.call_version(version, &build(version)?, timeout).await?)
    }

    /// The error of an answer, about the group.
    pub(crate) fn check(&self, code: i16, message: Option<&Text>) -> Result<(), ClientError> {
        let code = ErrorCode::from_code(code);
        if matches!(code, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) {
            self.forget();
        }
        match code {
            ErrorCode::None => Ok(()),
            code => Err(self.refused(code, message.cloned())),
        }
    }

    pub(crate) fn refused(&self, code: ErrorCode, message: Option<Text>) -> ClientError {
        find::refused(&self.group, code, message)
    }

    fn forget(&self) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn connection(&self, lane: Lane) -> Result<Connection, ClientError> {
        let known = *self.node.lock().unwrap_or_else(PoisonError::into_inner);
        let node = match known {
            Some(node) => node,
            None => self.find().await?,
        };
        if lane == Lane::Shared {
            return self.cluster.broker(node).await;
        }
        let mut own = self.own.lock().await;
        match own.as_ref().filter(|open| known.is_some() && open.ended().is_none()) {
            Some(open) => Ok(open.clone()),
            None => {
                let made = self.cluster.dedicated(node).await?;
                *own = Some(made.clone());
                Ok(made)
            }
        }
    }

    /// Asks who it is; the broker's address is in the view then.
    pub(crate) async fn find(&self) -> Result<i32, ClientError> {
        let found = find::find(&self.cluster, std::slice::from_ref(&self.group)).await?;
        let missing = || self.refused(ErrorCode::CoordinatorNotAvailable, None);
        let node = found.into_values().next().unwrap_or_else(|| Err(missing()))?;
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
        Ok(node)
    }
}

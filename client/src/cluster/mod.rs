//! The cluster as one client sees it: what was last heard, and a connection per broker.
//!
//! `view.rs` is the pure cache of metadata, `pool.rs` keeps connections. A [`Cluster`] is cheap to clone
//! and shared by producers, consumers and admin calls.

mod breaker;
mod pool;
mod view;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use duramen_protocol::error::ErrorCode;
use duramen_protocol::ids::TopicId;
use duramen_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use duramen_protocol::text::Text;
use tokio::time::Instant;
use tracing::Instrument;

pub use breaker::Circuit;
pub use view::{Broker, ClusterView, Partition, Topic};

use crate::backoff::Backoff;
use crate::connection::{Connection, ConnectionOptions};
use crate::error::{ClientError, at_least, wrong};
use crate::metrics::{Meter, Metrics};
use crate::random::Random;
use crate::setters::setters;
use crate::transport::{Address, Connector};
use crate::trouble::{Trouble, Trying};
use pool::Pool;

/// How a client behaves towards the cluster.
///
/// ```
/// use duramen_client::{ClusterOptions, ConnectionOptions};
/// use std::time::Duration;
///
/// let options = ClusterOptions::default()
///     .connection(ConnectionOptions::default().client_id("billing"))
///     .operation_timeout(Duration::from_secs(20));
/// assert!(options.check().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// How each connection behaves.
    pub connection: ConnectionOptions,
    /// How connections are made, and what is said first on each: the place for TLS and SASL.
    pub connector: Connector,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one operation is tried, over all its attempts (`default.api.timeout.ms`).
    pub operation_timeout: Duration,
    /// How old metadata may become before it is asked for again (`metadata.max.age.ms`).
    pub metadata_max_age: Duration,
    /// The waits between attempts of an operation (`retry.backoff.ms`, `retry.backoff.max.ms`).
    pub backoff: Backoff,
    /// The waits between attempts to connect to a broker that does not answer (`reconnect.backoff.ms`,
    /// `reconnect.backoff.max.ms`).
    pub reconnect: Backoff,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            connection: ConnectionOptions::default(),
            connector: Connector::tcp(),
            connect_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(60),
            metadata_max_age: Duration::from_secs(300),
            backoff: Backoff::default(),
            reconnect: Backoff::default().first(Duration::from_millis(50)),
        }
    }
}

setters! { ClusterOptions {
    connection: ConnectionOptions,
    connector: Connector,
    connect_timeout: Duration,
    operation_timeout: Duration,
    metadata_max_age: Duration,
    backoff: Backoff,
    reconnect: Backoff,
} }

impl ClusterOptions {
    /// Whether these go together; [`Cluster::new`] looks, too.
    ///
    /// # Errors
    /// [`ClientError::Options`] with the first that does not.
    pub fn check(&self) -> Result<(), ClientError> {
        const MILLISECOND: Duration = Duration::from_millis(1);
        at_least(
            "connect_timeout (socket.connection.setup.timeout.ms)",
            self.connect_timeout,
            MILLISECOND,
        )?;
        at_least(
            "operation_timeout (default.api.timeout.ms)",
            self.operation_timeout,
            MILLISECOND,
        )?;
        at_least("metadata_max_age (metadata.max.age.ms)", self.metadata_max_age, MILLISECOND)?;
        for (name, Backoff { first, max }) in [
            ("backoff (retry.backoff.ms)", self.backoff),
            ("reconnect (reconnect.backoff.ms)", self.reconnect),
        ] {
            at_least(name, max, Duration::ZERO)?;
            if first > max {
                return Err(wrong(
                    name,
                    format!("begins with {first:?}, above its longest wait of {max:?}"),
                ));
            }
        }
        self.connection.check()
    }
}

/// Which topics to ask about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Topics<'a> {
    /// Brokers only.
    None,
    /// All of them.
    All,
    /// These.
    Named(&'a [Text]),
    /// Those with these ids.
    Ids(&'a [TopicId]),
    /// These, and the broker may make those that are missing.
    NamedOrMade(&'a [Text]),
}

/// A handle on a cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClusterOptions,
    pool: Arc<Pool>,
    view: RwLock<Arc<ClusterView>>,
    random: Mutex<Random>,
}

impl Cluster {
    /// Reads a list of addresses as `host:port,host:port`; nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError::Address`] when one is no address, or there is none; [`ClientError::Options`] when the
    /// options do not go together.
    pub fn new(bootstrap: &str, options: ClusterOptions) -> Result<Self, ClientError> {
        let addresses = bootstrap
            .split(',')
            .filter(|text| !text.trim().is_empty())
            .map(|text| Address::parse(text).ok_or_else(|| ClientError::Address(text.to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(ClientError::Address(bootstrap.to_owned()));
        }
        Self::of(addresses, options)
    }

    /// A cluster that is first asked at one address; nothing is connected yet.
    ///
    /// # Errors
    /// [`ClientError::Options`] when the options do not go together.
    pub fn at(address: Address, options: ClusterOptions) -> Result<Self, ClientError> {
        Self::of(vec![address], options)
    }

    /// A cluster that is reached through this connector, with the usual options; nothing is connected yet.
    #[must_use]
    pub fn through(connector: Connector, address: Address) -> Self {
        Self::build(vec![address], ClusterOptions::default().connector(connector))
    }

    fn of(bootstrap: Vec<Address>, options: ClusterOptions) -> Result<Self, ClientError> {
        options.check()?;
        Ok(Self::build(bootstrap, options))
    }

    fn build(bootstrap: Vec<Address>, options: ClusterOptions) -> Self {
        let inner = Inner {
            pool: Arc::new(Pool::new(bootstrap, &options)),
            options,
            view: RwLock::default(),
            random: Mutex::new(Random::from_entropy()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.inner.options
    }

    /// What was last heard; empty before the first answer.
    #[must_use]
    pub fn view(&self) -> Arc<ClusterView> {
        Arc::clone(&self.inner.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks a broker about topics, once; the answer becomes part of the view.
    ///
    /// # Errors
    /// When no broker answers. What the answer says of a topic is for the caller to judge.
    pub async fn fetch_metadata(
        &self,
        topics: Topics<'_>,
    ) -> Result<MetadataResponse, ClientError> {
        let connection = self.any().await?;
        let answer = connection.call(&metadata_request(topics)).await?;
        let whole = matches!(topics, Topics::All);
        let mut view = self.inner.view.write().unwrap_or_else(PoisonError::into_inner);
        *view = Arc::new(view.updated(&answer, whole));
        Ok(answer)
    }

    /// Asks about topics until a broker answers and says nothing of a passing fault, within the
    /// operation's time. A topic that does not exist is an error soon; one that the broker may make is
    /// waited for some seconds.
    ///
    /// # Errors
    /// When no broker answers in time, or a named topic does not exist or may not be seen.
    pub async fn refresh(&self, topics: Topics<'_>) -> Result<Arc<ClusterView>, ClientError> {
        self.refresh_within(topics, self.inner.options.operation_timeout, is_unreachable).await
    }

    /// [`Cluster::refresh`] within this time, that gives up early also where `hopeless` says so.
    pub(crate) async fn refresh_within(
        &self,
        topics: Topics<'_>,
        limit: Duration,
        hopeless: impl Fn(&ClientError, u32) -> bool,
    ) -> Result<Arc<ClusterView>, ClientError> {
        let patience = match topics {
            Topics::NamedOrMade(_) => 7,
            _ => 2,
        };
        let mut missed = 0;
        let hopeless = |error: &ClientError, failures| {
            missed += u32::from(is_unknown_topic(error));
            hopeless(error, failures) || is_unknown_topic(error) && missed >= patience
        };
        self.retrying_unless("metadata", limit, hopeless, || async move {
            let answer = self.fetch_metadata(topics).await?;
            for topic in &answer.topics {
                check_topic(topic.error_code, topic.name.as_ref(), &topic.topic_id, topics)?;
            }
            Ok(self.view())
        })
        .await
    }

    /// A topic from the view, or else from a broker.
    ///
    /// # Errors
    /// As [`Cluster::refresh`].
    pub async fn topic(&self, name: &str) -> Result<Arc<Topic>, ClientError> {
        if let Some(topic) = self.view().topic(name) {
            return Ok(Arc::clone(topic));
        }
        let view = self.refresh(Topics::Named(&[Text::from(name)])).await?;
        view.topic(name).cloned().ok_or(ClientError::Incomplete("Metadata"))
    }

    /// A connection to any broker, shared.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] when none can be reached.
    pub async fn any(&self) -> Result<Connection, ClientError> {
        self.inner.pool.any(&self.view()).await
    }

    /// The shared connection to a broker.
    ///
    /// # Errors
    /// When it can't be reached, or the cluster has no live broker with this id.
    pub async fn broker(&self, id: i32) -> Result<Connection, ClientError> {
        self.inner.pool.shared(&self.view(), id).await
    }

    /// A connection to a broker for one user alone, as for fetches that wait at the broker.
    ///
    /// # Errors
    /// As [`Cluster::broker`].
    pub async fn dedicated(&self, id: i32) -> Result<Connection, ClientError> {
        self.inner.pool.dedicated(&self.view(), id).await
    }

    /// What was done through this handle and everything made from it, so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.meter().read()
    }

    /// What fails now and is tried again, the longest lasting first: why a record is not delivered yet, or
    /// none comes. Nothing is told twice, and nothing that was given up: that is an error of its own.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        self.meter().troubles.read()
    }

    /// How many [`troubles`](Self::troubles) ended well so far: what failed has succeeded since. Those that
    /// were given up are not among them.
    #[must_use]
    pub fn troubles_over(&self) -> u64 {
        self.meter().troubles.over()
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        self.inner.pool.meter()
    }

    /// How a broker is dealt with: whether it answered when last called.
    #[must_use]
    pub fn circuit(&self, id: i32) -> Circuit {
        self.inner.pool.circuit(&self.view(), id)
    }

    /// A connection to the broker that takes changes of topics and configs.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn controller(&self) -> Result<Connection, ClientError> {
        if self.view().controller.is_none() {
            self.fetch_metadata(Topics::None).await?;
        }
        match self.view().controller {
            Some(id) => self.broker(id).await,
            None => self.any().await,
        }
    }

    /// The wait before another attempt.
    #[must_use]
    pub fn backoff(&self, failures: u32) -> Duration {
        let mut random = self.inner.random.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.options.backoff.wait(failures, &mut random)
    }

    /// Tries an operation until it succeeds, fails for good, or the operation's time is over; `what`
    /// names it in the last case. That no broker can be reached is told after a few attempts.
    ///
    /// # Errors
    /// The operation's own error, or [`ClientError::Expired`].
    pub async fn retrying<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        what: &str,
        operation: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        self.retrying_unless(what, self.inner.options.operation_timeout, is_unreachable, operation)
            .await
    }

    /// [`Cluster::retrying`] that also waits for brokers to come back.
    pub(crate) async fn persisting<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        what: &str,
        operation: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        let limit = self.inner.options.operation_timeout;
        self.retrying_unless(what, limit, |_, _| false, operation).await
    }

    /// [`Cluster::retrying`] that gives up early where `hopeless` says so, given the error and the
    /// number of failures.
    async fn retrying_unless<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        what: &str,
        limit: Duration,
        mut hopeless: impl FnMut(&ClientError, u32) -> bool,
        mut operation: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + limit;
        let mut failures = 0;
        let mut trying = Trying::new(self.meter());
        loop {
            let span = tracing::debug_span!("operation", what, failures);
            let error = match operation().instrument(span).await {
                Ok(done) => {
                    trying.is_well();
                    return Ok(done);
                }
                Err(error) => error,
            };
            failures += 1;
            let wait = self.backoff(failures);
            if !error.is_retriable() || hopeless(&error, failures) {
                return Err(error);
            }
            if Instant::now() + wait >= deadline {
                let what = what.to_owned();
                return Err(ClientError::Expired { what, after: limit, last: error.to_string() });
            }
            tracing::debug!(operation = what, %error, failures, "trying again");
            trying.failed(&error);
            tokio::time::sleep(wait).await;
        }
    }
}

fn metadata_request(topics: Topics<'_>) -> MetadataRequest {
    let named = |names: &[Text]| {
        names
            .iter()
            .map(|name| MetadataRequestTopic { topic_id: TopicId::nil(), name: Some(name.clone()) })
            .collect()
    };
    MetadataRequest {
        topics: match topics {
            Topics::All => None,
            Topics::None => Some(Vec::new()),
            Topics::Named(names) | Topics::NamedOrMade(names) => Some(named(names)),
            Topics::Ids(ids) => {
                let asked = |id: &TopicId| MetadataRequestTopic { topic_id: *id, name: None };
                Some(ids.iter().map(asked).collect())
            }
        },
        allow_auto_topic_creation: matches!(topics, Topics::NamedOrMade(_)),
        ..MetadataRequest::default()
    }
}

/// An unreachable cluster is known after a few attempts: a person is waiting.
fn is_unreachable(error: &ClientError, failures: u32) -> bool {
    matches!(error, ClientError::Unreachable { .. }) && failures >= 3
}

fn is_unknown_topic(error: &ClientError) -> bool {
    matches!(error.code(), Some(ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId))
}

fn check_topic(
    code: i16,
    name: Option<&Text>,
    id: &TopicId,
    topics: Topics<'_>,
) -> Result<(), ClientError> {
    let code = ErrorCode::from_code(code);
    // Among all topics, one that has a fault is not the caller's concern.
    if code.is_none() || matches!(topics, Topics::All) {
        return Ok(());
    }
    let what = match name {
        Some(name) => format!("topic {name}"),
        None => format!("topic id {id}"),
    };
    Err(ClientError::refused(what, code, None))
}

#[cfg(test)]
mod connector_tests;
#[cfg(test)]
mod tests;

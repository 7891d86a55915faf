//! The Kafka wire protocol as Duramen speaks it: no tokio, no files, no clock.
//!
//! # The map of the wire
//!
//! What travels, from the outside in:
//!
//! ```text
//! frame      length                                    frame.rs     4 bytes, bounded before it is believed
//!  header    api key, version, correlation id, client  header.rs    in 3 forms; which one is a fact of the api
//!   body     a message of that api and version         messages/    one file an api, fields as Kafka names them
//!    records whole batches, passed on as bytes         records/     opened only by those who must
//! ```
//!
//! and what it is made of:
//!
//! - [`api`] is THE table: which APIs and versions are served. ApiVersions, dispatch and the docs read it.
//! - [`messages`]: each message is declared once, and reading, writing and counting come from the
//!   declaration. What it looks like is told in `codec/declare.rs`; the declaration is also data
//!   ([`schema`]), from which the tests make messages of every shape.
//! - [`primitives`]: [`Decoder`](primitives::Decoder) compares every length with the bytes that are
//!   there before it makes room; [`Encoder`](primitives::Encoder) takes record bytes in without a copy.
//! - [`records`]: batches v2, their checksum, compression and records.
//! - [`error`]: Kafka's error codes, and codec errors that name API, version and field.
//! - [`text`] and [`ids`]: strings, topic ids, and the numbers with a special meaning.
//! - [`data`]: what is declared like messages but belongs to no API: [`consumer_protocol`], which
//!   travels inside JoinGroup and SyncGroup, and [`group_records`], of the topic `__consumer_offsets`.
//! - [`metadata`]: the records of the cluster metadata log; no Kafka client sees them.
//!
//! # To add an API
//!
//! A row in `api.rs` (of the unserved ones until there is a handler), a file in `messages/`, and `UPDATE_DOCS=1 cargo test -p duramen-protocol --test
//! protocol_support`. The differential and hostile tests run over the table and need no line.
//!
//! # Reading and writing
//!
//! ```
//! use duramen_protocol::messages::{ApiVersionsRequest, Message};
//! use duramen_protocol::{frame, header::RequestHeader, primitives::Decoder};
//!
//! let body = ApiVersionsRequest { client_software_name: "duramen".into(), ..Default::default() };
//! let sent = frame::request(3, 1, Some("me".into()), &body)?.into_bytes();
//!
//! let len = frame::peek_len(&sent, 1024)?.ok_or("not all there yet")?;
//! let mut decoder = Decoder::new(sent.slice(frame::LENGTH_PREFIX..frame::LENGTH_PREFIX + len));
//! let header = RequestHeader::decode(&mut decoder)?;
//! assert_eq!(header.client_id.as_deref(), Some("me"));
//! assert_eq!(ApiVersionsRequest::decode(&mut decoder, header.version)?, body);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod api;
mod codec;
pub mod consumer_protocol;
pub mod data;
pub mod error;
pub mod frame;
pub mod group_records;
pub mod header;
pub mod ids;
pub mod messages;
pub mod metadata;
pub mod primitives;
pub mod records;
pub mod schema;
pub mod text;

//! A blocking Kafka connection in a few lines, so that a test can say exactly what it sends when,
//! and depends on no client's own retries.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use duramen_protocol::error::ErrorCode;
use duramen_protocol::frame;
use duramen_protocol::header::ResponseHeader;
use duramen_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use duramen_protocol::messages::{Message, Request};
use duramen_protocol::primitives::Decoder;
use duramen_protocol::records::builder::{BatchBuilder, BatchOptions};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The last version that names topics by name.
const PRODUCE: i16 = 12;

/// A connection to a broker on this machine.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    next_correlation: i32,
}

impl Wire {
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, next_correlation: 0 })
    }

    /// From now on a write that is not taken within `time` is an error.
    pub fn set_write_timeout(&mut self, time: Duration) {
        self.stream.set_write_timeout(Some(time)).expect("a time above nothing");
    }

    /// Ends the connection without closing the socket.
    pub fn shutdown(&mut self, how: Shutdown) {
        let _ = self.stream.shutdown(how);
    }

    /// Sends a request and waits for its answer. Nothing else may be in flight.
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        let correlation = self.send(version, request)?;
        self.receive::<R>(version, correlation)
    }

    /// Sends a request; returns the number that its answer will carry.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<i32> {
        let correlation = self.next_correlation;
        self.next_correlation += 1;
        let frame = frame::request(version, correlation, Some("test".into()), request)
            .expect("the test's own request can be encoded");
        self.stream.write_all(&frame.into_bytes())?;
        Ok(correlation)
    }

    /// Waits for the next answer, which must be this one.
    pub fn receive<R: Request>(
        &mut self,
        version: i16,
        correlation: i32,
    ) -> io::Result<R::Response> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).expect("a length");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let mut decoder = Decoder::new(Bytes::from(body));
        let header = ResponseHeader::decode(&mut decoder, R::KEY, version).expect("a header");
        assert_eq!(header.correlation_id, correlation, "answers come in the order of requests");
        let answer = R::Response::decode(&mut decoder, version);
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", R::Response::NAME));
        assert_eq!(decoder.remaining(), 0, "{}: bytes are left over", R::Response::NAME);
        Ok(answer)
    }

    /// Sends a batch of one record with `acks=all`, without any retry; the outcome.
    pub fn produce(&mut self, topic: &str, partition: i32, value: &[u8]) -> io::Result<ErrorCode> {
        let mut builder = BatchBuilder::new(1 << 20);
        assert!(builder.append(1, None, Some(value), &[]).expect("a record"), "it has room");
        let records = Some(builder.build(&BatchOptions::default()).expect("a batch"));
        let topic = TopicProduceData {
            name: topic.into(),
            partition_data: vec![PartitionProduceData { index: partition, records }],
            ..TopicProduceData::default()
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 60_000,
            topic_data: vec![topic],
            ..ProduceRequest::default()
        };
        let answer = self.ask(PRODUCE, &request)?;
        let outcome = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        Ok(ErrorCode::from_code(outcome.expect("the partition's outcome").error_code))
    }
}

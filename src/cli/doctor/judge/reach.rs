//! PURE. Whether clients reach the broker: at the address given, and at those it tells them.

use duramen_client::probe::ProbeError;

use super::Finding;

/// The address that was given with `--brokers`. `stopped` says that no process uses the data directory.
pub(in crate::cli::doctor) fn given(
    address: &str,
    reached: Result<(), &ProbeError>,
    stopped: bool,
) -> Finding {
    const CHECK: &str = "broker";
    let Err(refusal) = reached else {
        return Finding::ok(CHECK, format!("{address} answers"));
    };
    let found = format!("{address} can't be used: {}", refusal);
    match refusal {
        ProbeError::Closed if stopped => {
            Finding::warn(CHECK, format!("{found}; the node is stopped"), "start it: duramen serve")
        }
        ProbeError::NoSuchHost => Finding::fail(CHECK, found, "correct the name after --brokers"),
        ProbeError::Closed => Finding::fail(
            CHECK,
            found,
            "start the broker, or give the address it listens on with --brokers",
        ),
        ProbeError::Silent => Finding::fail(
            CHECK,
            found,
            "look for a firewall between here and there, or a broker that hangs (its log says why)",
        ),
        ProbeError::NotKafka(_) => Finding::fail(
            CHECK,
            found,
            "give the port of the Kafka listener with --brokers (9092 by default)",
        ),
        _ => Finding::fail(CHECK, found, "see the broker's log"),
    }
}

/// What came of trying an address that a broker tells clients to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::doctor) struct Advertised {
    /// The broker.
    pub(in crate::cli::doctor) id: i32,
    /// What it tells.
    pub(in crate::cli::doctor) address: String,
    /// The cluster that answers there.
    pub(in crate::cli::doctor) reached: Result<String, ProbeError>,
}

/// An advertised address; `given` is the address that was asked, of the cluster `cluster`.
pub(in crate::cli::doctor) fn advertised(
    given: &str,
    cluster: &str,
    advertised: &Advertised,
) -> Finding {
    const CHECK: &str = "advertised address";
    const FIX: &str =
        "set advertised.listeners to an address that clients can use, or leave it out";
    let Advertised { id, address, reached } = advertised;
    match reached {
        Err(refusal) => Finding::fail(
            CHECK,
            format!("broker {id} tells clients to use {address}, which fails: {}", refusal),
            FIX,
        ),
        Ok(other) if other != cluster => Finding::fail(
            CHECK,
            format!("broker {id} tells clients to use {address}, where cluster {other} answers"),
            FIX,
        ),
        Ok(_) if is_loopback(address) && !is_loopback(given) => Finding::fail(
            CHECK,
            format!("broker {id} tells clients to use {address}: only this machine can"),
            FIX,
        ),
        Ok(_) => {
            Finding::ok(CHECK, format!("broker {id} tells clients to use {address}, and it works"))
        }
    }
}

/// Where the port is open, if this machine tells.
pub(in crate::cli::doctor) fn listener(port: u16, loopback_only: bool) -> Finding {
    const CHECK: &str = "listener";
    match loopback_only {
        true => Finding {
            fix: format!("for others: duramen serve --listen 0.0.0.0:{port}"),
            ..Finding::ok(CHECK, format!("port {port} is open to this machine only"))
        },
        false => Finding::ok(CHECK, format!("port {port} is open to other machines")),
    }
}

/// Whether an address leads to the machine it is used on.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host == "localhost" || host.starts_with("127.") || host == "[::1]" || host == "::1"
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_closed_port_fails_unless_the_node_is_known_to_be_stopped() {
        let closed = ProbeError::Closed;
        assert_eq!(given("a:1", Err(&closed), false).level, Level::Fail);
        assert_eq!(given("a:1", Err(&closed), true).level, Level::Warn);
        assert_eq!(given("a:1", Err(&ProbeError::Silent), true).level, Level::Fail);
        assert_eq!(given("a:1", Ok(()), false).level, Level::Ok);
    }

    #[test]
    fn an_advertised_address_must_work_for_the_clients_and_lead_to_the_same_cluster() {
        let level = |given: &str, address: &str, reached: Result<&str, ProbeError>| {
            let address = address.to_owned();
            let tried = Advertised { id: 1, address, reached: reached.map(str::to_owned) };
            advertised(given, "c", &tried).level
        };
        assert_eq!(level("127.0.0.1:1", "127.0.0.1:1", Ok("c")), Level::Ok);
        assert_eq!(level("10.0.0.1:1", "10.0.0.1:1", Ok("c")), Level::Ok);
        assert_eq!(level("10.0.0.1:1", "localhost:1", Ok("c")), Level::Fail);
        assert_eq!(level("a:1", "b:1", Ok("other")), Level::Fail);
        assert_eq!(level("a:1", "b:1", Err(ProbeError::NoSuchHost)), Level::Fail);
    }
}

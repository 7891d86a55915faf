//! The user's program, byte for byte, against a broker on the port that it names: in a network
//! namespace of the test's own, where no other server can stand in the way.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::runner::{Case, Context, Need};
use crate::support::child::Running;
use crate::support::eventually;
use crate::tools;

pub const CASES: &[Case] = &[Case {
    name: "network::orders_snippet_runs_byte_for_byte",
    need: Need::OwnNetwork,
    run: snippet,
}];

/// Ways to a namespace: as root, and as a user who may be root in a namespace of users. How to make
/// one, and how to enter it.
const WAYS: [(&[&str], &[&str]); 2] =
    [(&["-n"], &["-n"]), (&["-rn"], &["-U", "--preserve-credentials", "-n"])];

const UP: &str = "ip link set lo up";

fn way() -> Option<(&'static [&'static str], &'static [&'static str])> {
    WAYS.into_iter().find(|(make, _)| {
        let mut command = Command::new("unshare");
        command.args(*make).args(["sh", "-c", UP]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// Why there can be no such network here, if so.
pub fn unavailable() -> Option<String> {
    way()
        .is_none()
        .then(|| format!("`unshare -n sh -c '{UP}'` fails: it needs root, util-linux and iproute2"))
}

/// The broker as the README starts it, on its default ports.
fn serve(make: &[&str], data: &Path, log: &Path) -> Running {
    let mut command = Command::new("unshare");
    command.args(make).args(["sh", "-c", &format!("{UP} && exec \"$@\""), "sh"]);
    command.arg(env!("CARGO_BIN_EXE_duramen")).args(["serve", "--data"]).arg(data);
    let log = File::create(log).unwrap();
    let errors = log.try_clone().unwrap();
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    Running::start(&mut command)
}

fn snippet(context: &Context) {
    if context.node.is_reference() {
        return; // it is our defaults that are on trial
    }
    let (make, enter) = way().expect("it was there a moment ago");
    let home = tempfile::tempdir().unwrap();
    let server = serve(make, &home.path().join("data"), &home.path().join("log"));
    let inside = |command: &Command| {
        let mut inside = Command::new("nsenter");
        inside.args(enter).args(["-t", &server.id().to_string(), "--"]);
        inside.arg(command.get_program()).args(command.get_args()).env_remove("DURAMEN_BROKERS");
        tools::run(inside, b"")
    };
    let mut ask = Command::new(env!("CARGO_BIN_EXE_duramen"));
    ask.args(["topic", "list"]);
    eventually("the broker answers", Duration::from_secs(180), || {
        (inside(&ask).code == 0).then_some(())
    });
    let program = context.tools.python_script("orders.py", &[]);
    for which in ["first", "next"] {
        assert_eq!(inside(&program).ok().text().trim(), "100 orders, in order", "{which}");
    }
}

//! PURE. The versions of both sides.

use super::Finding;

const CHECK: &str = "versions";

/// The builds of both sides.
pub(in crate::cli::doctor) fn builds(cli: &str, broker: &str) -> Finding {
    match cli == broker {
        true => Finding::ok(CHECK, format!("cli and broker are {cli}")),
        false => Finding::warn(
            CHECK,
            format!("the cli is {cli}, the broker {broker}"),
            "use the same release on both sides",
        ),
    }
}

/// A broker that does not tell its build: another than ours, or one without HTTP. `level` is the
/// `metadata.version` of its cluster.
pub(in crate::cli::doctor) fn unnamed(cli: &str, level: Option<i16>) -> Finding {
    let broker = level.map_or("tells no version (a duramen does by HTTP)".to_owned(), |level| {
        format!("runs metadata.version {level}")
    });
    Finding::ok(CHECK, format!("the cli is {cli}, the broker {broker}"))
}

/// The APIs that this client speaks and the broker does not, by name; `served` is how many it does.
pub(in crate::cli::doctor) fn apis(served: usize, missing: &[&str]) -> Finding {
    const CHECK: &str = "protocol";
    match missing {
        [] => Finding::ok(CHECK, format!("the broker speaks all {served} APIs that this cli does")),
        missing => Finding::warn(
            CHECK,
            format!("the broker lacks versions of {} that this cli speaks", missing.join(", ")),
            "what needs them fails: use the same release on both sides",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn different_releases_are_told() {
        assert_eq!(builds("0.1.0", "0.1.0").level, Level::Ok);
        assert_eq!(builds("0.1.0", "0.2.0").level, Level::Warn);
        assert!(unnamed("0.1.0", Some(30)).found.contains("metadata.version 30"));
        assert_eq!(apis(3, &[]).level, Level::Ok);
        assert!(apis(3, &["Fetch", "Produce"]).found.contains("Fetch, Produce"));
    }
}

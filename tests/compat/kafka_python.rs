//! kafka-python 3: flexible versions, idempotence by default, and its admin client.

use std::fs;

use crate::runner::{Case, Context, Need};
use crate::tools::folder;

pub const CASES: &[Case] = &[
    Case { name: "kafka_python::orders_snippet_runs_unmodified", need: Need::Python, run: snippet },
    Case { name: "kafka_python::every_codec_comes_back", need: Need::Python, run: codecs },
    Case { name: "kafka_python::acks_and_errors", need: Need::Python, run: acks },
    Case { name: "kafka_python::offsets_and_times", need: Need::Python, run: offsets },
    Case { name: "kafka_python::admin_client", need: Need::Python, run: admin },
];

/// A program as a newcomer copies it; only the port is this test's. The same group goes on behind what
/// it has read, and another gets everything again.
fn snippet(context: &Context) {
    let source = fs::read_to_string(folder().join("python/orders.py")).expect("orders.py");
    let source = source.replace("localhost:9092", &context.bootstrap());
    let other = source.replace("payment-service", "audit");
    for (program, which) in [(&source, "first"), (&source, "next"), (&other, "all")] {
        let got = context.tools.python_source(program).ok();
        assert_eq!(got.text().trim(), "100 orders, in order", "{which}");
    }
}

fn codecs(context: &Context) {
    context.tools.python("kafka_python.py", &["codecs", &context.bootstrap()]).ok();
}

fn acks(context: &Context) {
    context.tools.python("kafka_python.py", &["acks", &context.bootstrap()]).ok();
}

fn offsets(context: &Context) {
    context.tools.python("kafka_python.py", &["offsets", &context.bootstrap()]).ok();
}

fn admin(context: &Context) {
    context.tools.python("kafka_python.py", &["admin", &context.bootstrap()]).ok();
}

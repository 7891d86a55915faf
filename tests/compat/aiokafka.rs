//! aiokafka 0.14: old API versions, ApiVersions version 0 first.

use crate::runner::{Case, Context, Need};

pub const CASES: &[Case] = &[
    Case { name: "aiokafka::every_codec_comes_back", need: Need::Python, run: codecs },
    Case { name: "aiokafka::offsets_and_times", need: Need::Python, run: offsets },
    Case { name: "aiokafka::admin_client", need: Need::Python, run: admin },
];

fn codecs(context: &Context) {
    context.tools.python("aio_kafka.py", &["codecs", &context.bootstrap()]).ok();
}

fn offsets(context: &Context) {
    context.tools.python("aio_kafka.py", &["offsets", &context.bootstrap()]).ok();
}

fn admin(context: &Context) {
    context.tools.python("aio_kafka.py", &["admin", &context.bootstrap()]).ok();
}

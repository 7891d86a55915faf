//! confluent-kafka 2.16, that is today's librdkafka: Fetch by topic id, its admin client.

use crate::runner::{Case, Context, Need};

pub const CASES: &[Case] = &[
    Case { name: "confluent::every_codec_comes_back", need: Need::Python, run: codecs },
    Case { name: "confluent::offsets_and_times", need: Need::Python, run: offsets },
    Case { name: "confluent::admin_client", need: Need::Python, run: admin },
];

fn codecs(context: &Context) {
    context.tools.python("confluent.py", &["codecs", &context.bootstrap()]).ok();
}

fn offsets(context: &Context) {
    context.tools.python("confluent.py", &["offsets", &context.bootstrap()]).ok();
}

fn admin(context: &Context) {
    context.tools.python("confluent.py", &["admin", &context.bootstrap()]).ok();
}

//! KafkaJS 2.2: old API versions, its own way to commit, its admin client.

use crate::runner::{Case, Context, Need};

pub const CASES: &[Case] = &[
    Case { name: "kafkajs::produce_and_consume", need: Need::Node, run: codecs },
    Case { name: "kafkajs::admin_client", need: Need::Node, run: admin },
    Case { name: "kafkajs::groups_of_the_admin_client", need: Need::Node, run: groups },
];

fn codecs(context: &Context) {
    context.tools.node("kafkajs.js", &["codecs", &context.bootstrap()]).ok();
}

fn admin(context: &Context) {
    context.tools.node("kafkajs.js", &["admin", &context.bootstrap()]).ok();
}

fn groups(context: &Context) {
    context.tools.node("kafkajs.js", &["groups", &context.bootstrap()]).ok();
}

//! `duramen group members`.

use clap::Args;
use duramen_client::admin::{GroupDescription, GroupKind, GroupMember, MemberName, Outcome};
use duramen_client::{Admin, ErrorCode, Text};
use serde_json::{Value, json};

use super::{existing, missing};
use crate::cli::exit::Failure;
use crate::cli::outcomes::tell;
use crate::cli::output::{self, Format, Table};

/// Show who is in a group and reads what, or remove a member
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen group members payments
  duramen group members payments --format json | jq '.[].partitions'
  duramen group members payments --remove worker-3        a member id or an instance id

A member that is removed and alive joins again: removing is for one whose process is gone, so that
the group need not wait for its session to end.")]
pub(super) struct MembersArgs {
    /// The group
    group: String,
    /// Remove this member; may be repeated
    #[arg(long, value_name = "MEMBER")]
    remove: Vec<String>,
    /// How to show it
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

pub(super) async fn run(admin: &Admin, args: MembersArgs) -> Result<(), Failure> {
    let name = Text::from(&args.group);
    let found = existing(admin, std::slice::from_ref(&name)).await?.into_iter().next();
    let group = found.ok_or_else(|| missing(&name))?;
    if !args.remove.is_empty() {
        return remove(admin, &group, &args.remove).await;
    }
    if !group.is_live() && args.format == Format::Table && output::stdout_is_terminal() {
        output::note("the group has no members");
    }
    let json: Vec<Value> = group.members.iter().map(member_json).collect();
    output::print(args.format, &json.into(), &[table(&group)])
}
/// The members as a table.
pub(super) fn table(group: &GroupDescription) -> Table {
    let mut table =
        Table::new(&["member", "instance", "protocol", "client", "host", "partitions", "reads"]);
    for member in &group.members {
        let assignment = member.assignment.as_deref();
        table.row(vec![
            member.member_id.to_string(),
            member.instance_id.as_ref().map_or_else(|| "-".to_owned(), Text::to_string),
            member.protocol.map_or("-", GroupKind::name).to_owned(),
            member.client_id.to_string(),
            member.host.to_string(),
            assignment.map_or_else(|| "-".to_owned(), |all| all.len().to_string()),
            reads(member),
        ]);
    }
    table
}

/// `orders:0,1 payments:3`.
fn reads(member: &GroupMember) -> String {
    let mut all: Vec<_> = member.assignment.iter().flatten().collect();
    all.sort_unstable();
    let mut text = String::new();
    let mut topic: Option<&Text> = None;
    for at in all {
        let gap = match topic {
            Some(same) if *same == at.topic => ",".to_owned(),
            Some(_) => format!(" {}:", at.topic),
            None => format!("{}:", at.topic),
        };
        topic = Some(&at.topic);
        text.push_str(&format!("{gap}{}", at.partition));
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

/// A member for programs.
pub(super) fn member_json(member: &GroupMember) -> Value {
    let partitions = member.assignment.as_ref().map(|all| {
        let one = |at: &duramen_client::consumer::TopicPartition| {
            json!({"topic": at.topic.as_str(), "partition": at.partition})
        };
        all.iter().map(one).collect::<Vec<_>>()
    });
    json!({
        "member": member.member_id.as_str(),
        "instance": member.instance_id.as_ref().map(Text::as_str),
        "protocol": member.protocol.map(GroupKind::name),
        "client": member.client_id.as_str(),
        "host": member.host.as_str(),
        "partitions": partitions,
    })
}

async fn remove(
    admin: &Admin,
    group: &GroupDescription,
    members: &[String],
) -> Result<(), Failure> {
    let is_instance =
        |name: &Text| group.members.iter().any(|member| member.instance_id.as_ref() == Some(name));
    let names: Vec<MemberName> = members
        .iter()
        .map(Text::from)
        .map(|name| match is_instance(&name) {
            true => MemberName::Instance(name),
            false => MemberName::Id(name),
        })
        .collect();
    let outcomes = admin.remove_members(&group.group, &names).await?;
    let readable = outcomes.into_iter().map(|Outcome { about, result, .. }| {
        let (MemberName::Id(name) | MemberName::Instance(name)) = about;
        Outcome::new(name, result)
    });
    let said = |name: &Text, (): &()| format!("{name} removed from {}", group.group);
    tell(readable.collect(), said).map_err(|failure| match failure {
        Failure::Told { exit, message } if message.contains(ErrorCode::UnknownMemberId.name()) => {
            let advice = format!("see `duramen group members {}`", group.group);
            Failure::new(exit, format!("{message}; {advice}"))
        }
        other => other,
    })
}

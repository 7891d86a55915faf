//! `duramen group list`.

use clap::Args;
use duramen_client::{Admin, Text};
use serde_json::json;

use crate::cli::exit::Failure;
use crate::cli::output::{self, Format, Table};
use crate::cli::pattern;

/// List groups
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  duramen group list
  duramen group list 'pay.*' --state stable --format json
  duramen group list --type consumer --format text | cut -f1

States are empty, stable, preparing-rebalance, completing-rebalance, assigning, reconciling, dead;
types are classic, consumer, share.")]
pub(super) struct ListArgs {
    /// Only groups whose whole name matches
    #[arg(value_name = "REGEX")]
    pattern: Option<String>,
    /// Only groups in these states
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    state: Vec<String>,
    /// Only groups of these types
    #[arg(long = "type", value_name = "TYPE,…", value_delimiter = ',')]
    kind: Vec<String>,
    /// How to show it
    #[arg(long, env = "DURAMEN_FORMAT", default_value = "table")]
    format: Format,
}

pub(super) async fn run(admin: &Admin, args: ListArgs) -> Result<(), Failure> {
    let pattern = args.pattern.as_deref().unwrap_or(".*");
    let pattern = pattern::whole(pattern)?;
    let (states, kinds) = (words(&args.state), words(&args.kind));
    let groups = admin.list_groups(&states, &kinds).await?.complete()?;
    let mut table = Table::new(&["group", "type", "state", "protocol"]);
    let mut json = Vec::new();
    for group in groups.iter().filter(|group| pattern.is_match(&group.group)) {
        // Brokers differ in how they write it.
        let kind = group.kind.to_lowercase();
        let cells = [group.group.as_str(), &kind, &group.state, &group.protocol_type];
        table.row(cells.map(shown).into());
        json.push(json!({
            "group": group.group.as_str(),
            "type": kind,
            "state": group.state.as_str(),
            "protocol": group.protocol_type.as_str(),
        }));
    }
    if table.is_empty() && args.format == Format::Table && output::stdout_is_terminal() {
        output::note("no groups; one begins with `duramen consume TOPIC --group NAME`");
    }
    output::print(args.format, &json.into(), &[table])
}

fn shown(cell: &str) -> String {
    if cell.is_empty() { "-".to_owned() } else { cell.to_owned() }
}

/// Kafka's words for what was typed: `preparing-rebalance` is `PreparingRebalance`.
fn words(typed: &[String]) -> Vec<Text> {
    let word = |text: &String| -> String {
        text.split(['-', '_'])
            .flat_map(|part| {
                let mut letters = part.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                first.into_iter().chain(letters)
            })
            .collect()
    };
    typed.iter().map(|text| Text::from(word(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_typed_in_any_case() {
        let typed = ["stable", "preparing-rebalance", "Empty", "completing_rebalance"];
        let typed: Vec<String> = typed.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(
            words(&typed).iter().map(Text::as_str).collect::<Vec<_>>(),
            ["Stable", "PreparingRebalance", "Empty", "CompletingRebalance"]
        );
    }
}

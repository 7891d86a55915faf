//! Configs as the verbs of topics and groups change and show them.

use clap::Args;
use duramen_client::admin::{
    ConfigChange, ConfigEntry, ConfigSource, Operation, Outcome, Resource,
};
use duramen_client::{Admin, ClientError, Text};
use serde_json::{Value, json};

use super::exit::Failure;
use super::outcomes::tell;
use super::output::Table;

/// What is to be changed.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Give a config this value; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(Text, Text)>,
    /// Take a config's value away, so that the default holds; may be repeated
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
}

/// `name=value` of a config.
pub(super) fn assignment(text: &str) -> Result<(Text, Text), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.trim().is_empty() {
        return Err("write NAME=VALUE".to_owned());
    }
    Ok((Text::from(name.trim()), Text::from(value)))
}

/// Changes that each do the same with a value.
pub(super) fn each(list: &[(Text, Text)], operation: fn(Text) -> Operation) -> Vec<ConfigChange> {
    let change =
        |(name, value): &(Text, Text)| ConfigChange::new(name.clone(), operation(value.clone()));
    list.iter().map(change).collect()
}

impl ChangeArgs {
    /// Makes the changes, and those of `lists`, to each of the resources; tells what came of it.
    pub(super) async fn carry_out(
        &self,
        admin: &Admin,
        names: &[Text],
        resource: fn(Text) -> Resource,
        lists: Vec<ConfigChange>,
    ) -> Result<(), Failure> {
        let mut changes = each(&self.set, Operation::Set);
        changes.extend(lists);
        changes.extend(self.unset.iter().map(ConfigChange::unset));
        if changes.is_empty() {
            return Err(Failure::usage("nothing to change; --help shows how to say what"));
        }
        let of = |name: &Text| (resource(name.clone()), changes.clone());
        let wanted: Vec<_> = names.iter().map(of).collect();
        let altered = admin.alter_configs(&wanted, self.dry_run).await?;
        let named = names.iter().cloned().zip(altered);
        let outcomes = named.map(|(name, altered)| Outcome::new(name, altered.result)).collect();
        let verb = if self.dry_run { "could be changed" } else { "changed" };
        tell(outcomes, |name, ()| format!("{name} {verb}"))
    }
}

/// The configs of a resource that somebody set for it, or all; and `telling` ones in any case.
pub(super) async fn shown(
    admin: &Admin,
    resource: Resource,
    all: bool,
    telling: &[&str],
) -> Result<Vec<ConfigEntry>, ClientError> {
    let outcome = admin.describe_configs(&[resource], false).await?.into_iter().next();
    let mut configs = match outcome {
        Some(outcome) => outcome.result?,
        None => Vec::new(),
    };
    configs.retain(|config| {
        let set = !matches!(config.source, ConfigSource::Default | ConfigSource::File);
        all || set || telling.contains(&config.name.as_str())
    });
    configs.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    Ok(configs)
}

/// Configs as a table.
pub(super) fn table(configs: &[ConfigEntry]) -> Table {
    let mut table = Table::new(&["config", "value", "source"]);
    for config in configs {
        let value = match &config.value {
            _ if config.sensitive => "(secret)",
            Some(value) => value.as_str(),
            None => "",
        };
        table.row(vec![config.name.to_string(), value.to_owned(), config.source.name().to_owned()]);
    }
    table
}

/// Configs as JSON.
pub(super) fn as_json(configs: &[ConfigEntry]) -> Value {
    let one = |config: &ConfigEntry| {
        json!({
            "name": config.name.as_str(),
            "value": config.value.as_deref(),
            "source": config.source.name(),
            "read_only": config.read_only,
            "sensitive": config.sensitive,
        })
    };
    configs.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_a_name_and_a_value() {
        assert_eq!(assignment("a.b=c=d"), Ok((Text::from("a.b"), Text::from("c=d"))));
        assert_eq!(assignment("a="), Ok((Text::from("a"), Text::from(""))));
        assert!(assignment("a").is_err() && assignment("=x").is_err());
    }
}

//! The documents name what is exported: the page of metrics wholly, the dashboard and the alert rules in
//! every metric and label of every expression.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duramen_protocol::messages::api_versions::ApiVersionsRequest;
use duramen_protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use super::broker::Batch;
use super::exported::commit;
use super::scraped::{Exported, families, get};
use super::with_http;

/// What a broker exports that has served a little, an error too.
async fn exported() -> BTreeMap<String, Exported> {
    let (node, _, http) = with_http(&["auto.create.topics.enable=false"]).await;
    let client = node.connect().await;
    client.create("orders", 1).await;
    client.send("orders", 0, &Batch::of(["x"])).await;
    let (client_software_name, client_software_version) = ("a-test".into(), "1".into());
    let named =
        ApiVersionsRequest { client_software_name, client_software_version, ..Default::default() };
    client.ask(&named).await;
    let missing = MetadataRequestTopic { name: Some("none".into()), ..Default::default() };
    client.ask(&MetadataRequest { topics: Some(vec![missing]), ..Default::default() }).await;
    commit(&client, "payment-service", 0, 0).await;
    let (status, text) = get(&http, "/metrics").await;
    assert_eq!(status, 200);
    families(&text)
}

fn document(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(path)).unwrap()
}

#[tokio::test]
async fn the_page_lists_all_that_is_exported_and_nothing_else() {
    let page = document("metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let listed: BTreeMap<String, Exported> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            let [name, kind, labels, help] = cells[..] else { panic!("four cells: {row}") };
            let labels = labels.split(", ").filter(|label| !label.is_empty());
            let labels = labels.map(|label| label.trim_matches('`').to_owned()).collect();
            let one = Exported { kind: kind.to_owned(), help: help.to_owned(), labels };
            (name.trim_matches('`').to_owned(), one)
        })
        .collect();
    let exported = exported().await;
    for (name, family) in &exported {
        assert_eq!(listed.get(name), Some(family), "{name} in docs/metrics.md");
        assert!(!family.help.is_empty());
    }
    let names = |of: &BTreeMap<String, Exported>| of.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&listed), names(&exported));
}

/// A selector in an expression: the metric, and the labels that it matches.
type Selector = (String, BTreeSet<String>);

/// Metrics with their matchers, and labels to group by.
fn parse(expression: &str) -> (Vec<Selector>, BTreeSet<String>) {
    let (mut selectors, mut grouping) = (Vec::<Selector>::new(), BTreeSet::new());
    let mut rest = expression;
    let mut last = String::new();
    while let Some(letter) = rest.chars().next() {
        let word: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        match letter {
            '{' => {
                let (matchers, after) = rest[1..].split_once('}').expect("a closing brace");
                let labels = matchers
                    .split(',')
                    .filter(|matcher| matcher.contains("=") || matcher.contains('~'));
                let names = labels
                    .map(|matcher| matcher.split(['=', '!']).next().unwrap().trim().to_owned());
                selectors.last_mut().expect("a metric before its matchers").1.extend(names);
                rest = after;
            }
            '[' => rest = rest.split_once(']').expect("a closing bracket").1,
            '(' if matches!(last.as_str(), "by" | "without" | "on" | "ignoring") => {
                let (labels, after) = rest[1..].split_once(')').expect("a closing parenthesis");
                grouping.extend(labels.split(',').map(|label| label.trim().to_owned()));
                last.clear();
                rest = after;
            }
            _ if word.is_empty() => rest = &rest[letter.len_utf8()..],
            _ => {
                rest = &rest[word.len()..];
                let after = rest.trim_start();
                let called = ["(", "by ", "without "].iter().any(|next| after.starts_with(next));
                let keyword = matches!(word.as_str(), "by" | "without" | "on" | "ignoring");
                if !called && !keyword && !word.starts_with(|c: char| c.is_ascii_digit()) {
                    selectors.push((word.clone(), BTreeSet::new()));
                }
                last = word;
            }
        }
    }
    (selectors, grouping)
}

/// The family that a name in an expression belongs to.
fn family_of<'a>(exported: &'a BTreeMap<String, Exported>, name: &str) -> Option<&'a Exported> {
    exported.get(name).filter(|family| family.kind != "histogram").or_else(|| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix))?;
        exported.get(base).filter(|family| family.kind == "histogram")
    })
}

/// What Prometheus itself adds.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// What is wrong with an expression.
fn faults(exported: &BTreeMap<String, Exported>, expression: &str) -> Vec<String> {
    let (selectors, grouping) = parse(expression);
    let mut faults = Vec::new();
    let mut known: BTreeSet<String> = ADDED.iter().map(|label| (*label).to_owned()).collect();
    if selectors.is_empty() {
        faults.push(format!("no metric in {expression}"));
    }
    for (name, labels) in selectors.iter().filter(|(name, _)| name != "up") {
        let Some(family) = family_of(exported, name) else {
            faults.push(format!("nobody exports {name}: {expression}"));
            continue;
        };
        known.extend(family.labels.iter().cloned());
        let unknown = labels
            .iter()
            .filter(|label| !family.labels.contains(*label) && !ADDED.contains(&label.as_str()));
        faults.extend(unknown.map(|label| format!("{name} has no label {label}: {expression}")));
    }
    let unknown = grouping.difference(&known);
    faults.extend(unknown.map(|label| format!("no label {label} to group by: {expression}")));
    faults
}

/// The text between `{{` and `}}`: labels that a legend or an annotation shows.
fn shown(text: &str) -> Vec<String> {
    let parts = text.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
    parts.map(|(label, _)| label.trim().trim_start_matches("$labels.").to_owned()).collect()
}

#[tokio::test]
async fn the_dashboard_asks_for_what_is_exported() {
    let exported = exported().await;
    let board: serde_json::Value = serde_json::from_str(&document("grafana/duramen.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let mut faults_found = Vec::new();
    let mut asked = 0;
    for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
        let expression = target["expr"].as_str().unwrap();
        asked += 1;
        faults_found.extend(faults(&exported, expression));
        let (selectors, _) = parse(expression);
        for label in shown(target["legendFormat"].as_str().unwrap_or("")) {
            let has = |name: &str| {
                family_of(&exported, name).is_some_and(|it| it.labels.contains(&label))
            };
            if label != "instance" && !selectors.iter().any(|(name, _)| has(name)) {
                faults_found.push(format!("the legend shows {label}: {expression}"));
            }
        }
    }
    let ids: BTreeSet<i64> = panels.iter().filter_map(|panel| panel["id"].as_i64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    assert!(asked > 30, "{asked} expressions");
    assert!(faults_found.is_empty(), "{faults_found:#?}");
}

#[tokio::test]
async fn the_alert_rules_ask_for_what_is_exported_and_say_what_to_do() {
    let exported = exported().await;
    let text = document("alerts.yml");
    let rules: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(rules.len() >= 10);
    let mut found = Vec::new();
    for rule in rules {
        let field = |name: &str| {
            rule.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "))
        };
        let name = rule.lines().next().unwrap();
        let expression = field("expr").unwrap_or_else(|| panic!("{name} has no expr"));
        found.extend(faults(&exported, expression));
        for part in ["summary", "action"] {
            let said = field(part).unwrap_or_else(|| panic!("{name} has no {part}"));
            for label in shown(said).iter().filter(|label| *label != "instance") {
                let (selectors, _) = parse(expression);
                let has = |name: &str| {
                    family_of(&exported, name).is_some_and(|it| it.labels.contains(label))
                };
                if !selectors.iter().any(|(name, _)| has(name)) {
                    found.push(format!("{name} shows {label}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn expressions_are_taken_apart() {
    let (selectors, grouping) = parse(
        "topk(10, sum by (le, api) (rate(a_bucket{x=\"$y\",z=~\"q|r\"}[5m]))) / on (w) b > 0.25",
    );
    let seen: Vec<_> =
        selectors.iter().map(|(name, labels)| (name.as_str(), labels.len())).collect();
    assert_eq!(seen, [("a_bucket", 2), ("b", 0)]);
    assert_eq!(grouping.into_iter().collect::<Vec<_>>(), ["api", "le", "w"]);
    let exported = BTreeMap::from([("b".to_owned(), Exported::default())]);
    assert!(faults(&exported, "b{x=\"1\"}")[0].contains("no label x"));
    assert!(faults(&exported, "c")[0].contains("nobody exports c"));
    assert!(faults(&exported, "b").is_empty());
}

//! A look and its rates as lines for a person, or as JSON for a program.

use serde_json::{Value, json};

use super::rates::{ClientLook, Look, NodeRates, Row};
use crate::cli::output::{Format, Table};

const UNKNOWN: &str = "-";

/// A number in three figures: 12, 1.5k, 23M.
fn short(number: f64) -> String {
    let (value, unit) = match number.abs() {
        n if n >= 1e12 => (number / 1e12, "T"),
        n if n >= 1e9 => (number / 1e9, "G"),
        n if n >= 1e6 => (number / 1e6, "M"),
        n if n >= 1e3 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    match value.abs() < 10.0 && value.fract() != 0.0 {
        true => format!("{value:.1}{unit}"),
        false => format!("{value:.0}{unit}"),
    }
}

fn or_unknown(number: Option<f64>) -> String {
    number.map_or_else(|| UNKNOWN.to_owned(), short)
}

/// What stands above the topics: one line each for the cluster, the broker and its disks.
pub(super) fn heading(look: &Look, rates: &NodeRates) -> Vec<String> {
    let (brokers, topics) = (look.brokers, look.topics.len());
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let version = look.node.as_ref().map(|node| format!(" · duramen {}", node.version));
    let mut lines = vec![format!(
        "cluster {} · {brokers} broker{} · {topics} topic{}{}",
        look.cluster,
        plural(brokers),
        plural(topics),
        version.unwrap_or_default()
    )];
    if let Some(node) = &look.node {
        lines.push(format!(
            "connections {} (+{}/s) · requests {}/s, {} errors/s, {} waiting · net {}B/s in, {}B/s out",
            node.connections,
            or_unknown(rates.accepted),
            or_unknown(rates.requests),
            or_unknown(rates.errors),
            node.waiting,
            or_unknown(rates.received),
            or_unknown(rates.sent),
        ));
        lines.extend(clients(&node.clients));
        let cpu = rates.cpu.map_or_else(|| UNKNOWN.to_owned(), |cpu| format!("{:.0}", cpu * 100.0));
        lines.push(format!(
            "cpu {cpu} % · memory {}B · descriptors {}",
            short(node.anonymous_bytes as f64),
            node.open_files
        ));
    }
    for disk in &look.disks {
        let state = match (disk.offline, disk.full) {
            (true, _) => " · OFFLINE",
            (_, true) => " · FULL",
            _ => "",
        };
        let low = disk.low.map(|low| format!(", topics stop at {}B", short(low as f64)));
        lines.push(format!(
            "disk {} · {}B of {}B free{}{state}",
            disk.path,
            short(disk.free as f64),
            short(disk.total as f64),
            low.unwrap_or_default()
        ));
    }
    lines.extend(look.note.clone());
    lines
}

/// Who is connected, where anybody has said.
fn clients(clients: &[ClientLook]) -> Option<String> {
    let each = clients.iter().map(|ClientLook { software, version, connections }| {
        let space = if version.is_empty() { "" } else { " " };
        format!("{software}{space}{version} ×{connections}")
    });
    let words: Vec<_> = each.collect();
    (!words.is_empty()).then(|| format!("clients {}", words.join(" · ")))
}

/// The topics.
pub(super) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "topic",
        "partitions",
        "durability",
        "in rec/s",
        "in B/s",
        "~out rec/s",
        "out B/s",
        "records",
        "size",
    ]);
    for row in rows {
        let bytes = row.look.bytes.map(|bytes| bytes as f64);
        table.row(vec![
            row.topic.clone(),
            row.look.partitions.to_string(),
            row.look.durability.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            or_unknown(row.in_records),
            or_unknown(row.in_bytes),
            or_unknown(row.out_records),
            or_unknown(row.out_bytes),
            short(row.look.held as f64),
            or_unknown(bytes),
        ]);
    }
    table
}

/// The look as one JSON object.
pub(super) fn as_json(look: &Look, rates: &NodeRates, rows: &[Row], time_ms: i64) -> Value {
    let topics: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "topic": row.topic,
                "partitions": row.look.partitions,
                "durability": row.look.durability,
                "in_records_per_second": row.in_records,
                "in_bytes_per_second": row.in_bytes,
                "out_records_per_second_estimate": row.out_records,
                "out_bytes_per_second": row.out_bytes,
                "records": row.look.held,
                "bytes": row.look.bytes,
            })
        })
        .collect();
    let disks: Vec<Value> = look
        .disks
        .iter()
        .map(|disk| {
            json!({
                "dir": disk.path,
                "free_bytes": disk.free,
                "total_bytes": disk.total,
                "low_mark_bytes": disk.low,
                "full": disk.full,
                "offline": disk.offline,
            })
        })
        .collect();
    let node = look.node.as_ref().map(|node| {
        json!({
            "version": node.version,
            "connections": node.connections,
            "clients": node.clients.iter().map(|client| json!({
                "software": client.software,
                "version": client.version,
                "connections": client.connections,
            })).collect::<Vec<_>>(),
            "requests_per_second": rates.requests,
            "errors_per_second": rates.errors,
            "received_bytes_per_second": rates.received,
            "sent_bytes_per_second": rates.sent,
            "cpu": rates.cpu,
            "anonymous_bytes": node.anonymous_bytes,
            "open_files": node.open_files,
            "waiting": node.waiting,
        })
    });
    json!({
        "time_ms": time_ms,
        "cluster": look.cluster,
        "brokers": look.brokers,
        "broker": node,
        "disks": disks,
        "topics": topics,
        "note": look.note,
    })
}

/// The whole view in a form, as bytes to be written.
pub(super) fn view(
    format: Format,
    look: &Look,
    rates: &NodeRates,
    rows: &[Row],
    time_ms: i64,
) -> Vec<u8> {
    let mut out = Vec::new();
    match format {
        Format::Json => {
            out.extend_from_slice(as_json(look, rates, rows, time_ms).to_string().as_bytes());
            out.push(b'\n');
        }
        Format::Table => {
            for line in heading(look, rates) {
                out.extend_from_slice(line.as_bytes());
                out.push(b'\n');
            }
            table(rows).write_aligned(&mut out);
        }
        Format::Text => table(rows).write_tabbed(&mut out),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_little_room() {
        let seen = [0.0, 0.5, 12.0, 999.0, 1500.0, 23_400_000.0, 7e9, 2e12].map(short);
        assert_eq!(seen, ["0", "0.5", "12", "999", "1.5k", "23M", "7G", "2T"]);
    }
}

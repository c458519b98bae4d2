//! `foryou nodes`: which nodes there are, and who holds whose people.

use foryou_actors::ports::cluster::Node;
use foryou_schemas::Timestamp;
use serde::Serialize;

use super::{Context, output};
use crate::engines;

#[derive(Serialize)]
struct Listed {
    nodes: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    node: Box<str>,
    address: Box<str>,
    version: Box<str>,
    started_at: Timestamp,
    beat: u64,
    holds: Holds,
}

/// Partitions whose people a node answers for.
#[derive(Serialize)]
struct Holds {
    count: usize,
    ranges: Vec<String>,
}

impl From<Node> for Row {
    fn from(node: Node) -> Self {
        let Node { name, address, beat, started_at, held, version, .. } = node;
        let holds = Holds { count: held.len(), ranges: held.ranges() };
        Self { node: name, address, version, started_at, beat, holds }
    }
}

/// Runs the command.
pub fn run(context: &Context) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let Some(cluster) = engines::open_cluster(&context.config).await? else {
            let alone = || "one node; nothing to list: store.kind is embedded".to_owned();
            return context.print(&Listed { nodes: Vec::new() }, alone);
        };
        let nodes = cluster.nodes().await?.into_iter().map(Row::from).collect();
        let listed = Listed { nodes };
        context.print(&listed, || text(&listed.nodes))
    })
}

fn text(nodes: &[Row]) -> String {
    if nodes.is_empty() {
        return "no node is running; start one with `foryou serve`".to_owned();
    }
    let heads = ["node", "address", "version", "started", "beat", "holds"].map(str::to_owned);
    let cells = nodes.iter().map(|row| {
        let holds = format!("{}: {}", row.holds.count, row.holds.ranges.join(", "));
        let holds = if row.holds.count == 0 { "none".to_owned() } else { holds };
        [
            row.node.to_string(),
            row.address.to_string(),
            row.version.to_string(),
            row.started_at.to_string(),
            row.beat.to_string(),
            holds,
        ]
    });
    output::columns(std::iter::once(heads).chain(cells))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_by_columns() {
        let node = |name: &str, beat, held: &[u16]| Node {
            name: name.into(),
            address: "10.0.0.7:8080".into(),
            incarnation: "i".into(),
            beat,
            started_at: Timestamp::from_millis(1_764_000_000_000).unwrap(),
            held: held.iter().copied().collect(),
            version: "0.1.0".into(),
        };
        let rows: Vec<Row> = [node("a", 7, &[0, 1, 2, 9]), node("node-b", 1_000, &[])].map(Row::from).into();
        assert_eq!(
            text(&rows),
            "node    address        version  started                   beat  holds\n\
             a       10.0.0.7:8080  0.1.0    2025-11-24T16:00:00.000Z  7     4: p00-p02, p09\n\
             node-b  10.0.0.7:8080  0.1.0    2025-11-24T16:00:00.000Z  1000  none\n"
        );
        let json = serde_json::to_value(&rows[0]).unwrap();
        assert_eq!(json["holds"], serde_json::json!({"count": 4, "ranges": ["p00-p02", "p09"]}));
        assert!(text(&[]).contains("foryou serve"));
    }
}

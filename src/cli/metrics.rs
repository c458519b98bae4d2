//! Metrics for people: a line per source or outcome, a column per metric.

use serde::Serialize;
use serde_json::Value;

/// Recall of sources.
pub const RETRIEVAL: &[&str] = &["recall_100", "recall_300", "people"];
/// Metrics of outcomes.
pub const RANKING: &[&str] = &["auc", "gauc", "ndcg_10", "log_loss", "calibration", "rows", "positives"];

/// Lays out `rows`, an object of objects by name. What a row does not have is a dash.
pub fn table(title: &str, rows: &impl Serialize, columns: &[&str]) -> String {
    let rows = serde_json::to_value(rows).unwrap_or_default();
    let mut text = line(title, columns.iter().map(|name| (*name).to_owned()));
    for (name, row) in rows.as_object().into_iter().flatten() {
        text += &line(name, columns.iter().map(|column| cell(&row[column])));
    }
    text
}

fn line(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!("{cell:>12}")).collect();
    format!("{name:<12}{cells}\n")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => format!("{:.3}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Number(number) => number.to_string(),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_line_per_name() {
        let rows = json!({"like": {"auc": null, "rows": 7}, "long_view": {"auc": 0.75649, "rows": 7}});
        let text = table("ranking", &rows, &["auc", "rows"]);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words, [["ranking", "auc", "rows"], ["like", "-", "7"], ["long_view", "0.756", "7"]]);
        assert!(text.lines().all(|line| line.len() == 36), "{text}");
    }
}

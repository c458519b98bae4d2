//! A CatBoost ranker on the same rows, as a yardstick: a small Python script does it, where Python and CatBoost are there.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// Reads training rows and judged rows, prints `{outcome: {auc, gauc}}`.
const SCRIPT: &str = include_str!("../../scripts/catboost_baseline.py");

/// Trains and judges; what is missing is said in the answer, as it is no fault of the release.
pub fn run(train: &Path, judge: &Path) -> Value {
    let absent = |reason: String| json!({"absent": reason});
    let child = Command::new("python3")
        .arg("-")
        .args([train, judge])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(e) => return absent(format!("python3 does not start ({e})")),
    };
    let given = child.stdin.take().map(|mut stdin| stdin.write_all(SCRIPT.as_bytes()));
    if let Some(Err(e)) = given {
        tracing::debug!(%e, "python3 ended before it read the script");
    }
    match child.wait_with_output() {
        Ok(output) if output.status.success() => serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| absent(format!("the script's answer is not JSON ({e})"))),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            absent(said.lines().last().unwrap_or("the script failed without a word").to_owned())
        }
        Err(e) => absent(format!("python3 cannot be waited for ({e})")),
    }
}

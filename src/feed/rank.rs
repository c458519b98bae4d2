//! The ranking stage: a probability per outcome and the expected watch time of every candidate.

use super::{candidate::Candidate, hydrate::FeatureRows, request::Request};

/// Ranks by the release's model. An error leaves the candidates unranked: utility falls back to retrieval order.
pub fn apply(request: &Request, candidates: &mut [Candidate], features: &FeatureRows) -> Result<(), String> {
    let release = request.release.as_ref().ok_or("no release")?;
    let rows = candidates.iter().filter(|c| c.row.is_some()).count();
    if rows == 0 {
        return Ok(());
    }
    let predictions = release.release.rank(&features.values, rows).map_err(|e| e.to_string())?;
    for candidate in candidates {
        if let Some(row) = candidate.row {
            candidate.outcomes = predictions.row(row).to_vec();
            candidate.watch_ms = predictions.watch_ms(row).unwrap_or(0.0);
        }
    }
    Ok(())
}

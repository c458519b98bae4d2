//! Are the probabilities right, not only their order?

/// Mean of `-ln p(label)`; scores are clipped to `1e-7..1 - 1e-7`. `None` without rows.
pub fn log_loss(probabilities: &[f32], labels: &[f32]) -> Option<f64> {
    assert_eq!(probabilities.len(), labels.len(), "one label per probability");
    if labels.is_empty() {
        return None;
    }
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(&p, &y)| {
            let (p, y) = (f64::from(p).clamp(1e-7, 1.0 - 1e-7), f64::from(y));
            -(y * p.ln() + (1.0 - y) * (1.0 - p).ln())
        })
        .sum();
    Some(sum / labels.len() as f64)
}

/// Mean prediction over mean label: 1 is calibrated, above 1 promises too much. `None` without a positive label.
pub fn calibration_ratio(probabilities: &[f32], labels: &[f32]) -> Option<f64> {
    let predicted: f64 = probabilities.iter().map(|&p| f64::from(p)).sum();
    let observed: f64 = labels.iter().map(|&y| f64::from(y)).sum();
    (observed > 0.0).then(|| predicted / observed)
}

/// One bin of a calibration curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Rows in it.
    pub rows: usize,
    /// Their mean prediction.
    pub predicted: f64,
    /// Their mean label.
    pub observed: f64,
}

/// The calibration curve: rows sorted by prediction and cut into `bins` of about equal size.
pub fn calibration(probabilities: &[f32], labels: &[f32], bins: usize) -> Vec<CalibrationBin> {
    assert_eq!(probabilities.len(), labels.len(), "one label per probability");
    let mut rows: Vec<(f32, f32)> = probabilities.iter().copied().zip(labels.iter().copied()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let bins = bins.clamp(1, rows.len().max(1));
    (0..bins)
        .map(|b| &rows[b * rows.len() / bins..(b + 1) * rows.len() / bins])
        .filter(|part| !part.is_empty())
        .map(|part| {
            let n = part.len() as f64;
            CalibrationBin {
                rows: part.len(),
                predicted: part.iter().map(|r| f64::from(r.0)).sum::<f64>() / n,
                observed: part.iter().map(|r| f64::from(r.1)).sum::<f64>() / n,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_loss_by_hand() {
        // -(ln .8 + ln(1 - .4)) / 2
        let loss = log_loss(&[0.8, 0.4], &[1.0, 0.0]).unwrap();
        assert!((loss - 0.366_984_6).abs() < 1e-6, "{loss}");
        assert!(log_loss(&[1.0], &[0.0]).unwrap() < 17.0);
        assert_eq!(log_loss(&[], &[]), None);
    }

    #[test]
    fn calibration_by_hand() {
        assert!((calibration_ratio(&[0.5, 0.25], &[1.0, 0.0]).unwrap() - 0.75).abs() < 1e-9);
        assert_eq!(calibration_ratio(&[0.5], &[0.0]), None);
        let curve = calibration(&[0.9, 0.1, 0.2, 0.8], &[1.0, 0.0, 1.0, 1.0], 2);
        assert_eq!((curve[0].rows, curve[0].observed), (2, 0.5));
        assert!((curve[0].predicted - 0.15).abs() < 1e-6);
        assert_eq!((curve[1].rows, curve[1].observed), (2, 1.0));
        assert!(calibration(&[], &[], 10).is_empty());
    }
}

//! The recency prior of every video, from live statistics.
//!
//! The trainer's formula is `0.8 (ln recent − ln overall)`. Taken literally it turns into a plain penalty on popularity once
//! `recent` has decayed everywhere (a server that was idle for weeks, or a catalogue imported from an old log). So the recent
//! count starts from a small share of the overall one, and the smoothing shrinks with the recent traffic: without evidence
//! the prior is the same for all, and the towers decide.

use foryou_actors::{
    catalogue::VideoIndex,
    statistics::{Count, Entity, Statistics},
};
use foryou_trainer::two_tower::prior::{LONG_VIEW_WEIGHT, SMOOTHING, WEIGHT};
use parking_lot::RwLock;

/// The window of [`foryou_actors::statistics::HALF_LIVES_S`] that counts as recent: a half-life of 2 days.
const WINDOW: usize = 1;
/// The share of a video's overall count that its recent count starts from.
const OVERALL_SHARE: f32 = 0.003;
/// Videos read under one lock, so that the writer never waits long.
const LOCK_CHUNK: usize = 2_048;

/// Priors by dense number, as of `now_s` (seconds since 1970). `overall` has a video's exposures in training, `None` or 0
/// where there were none.
pub fn priors(statistics: &RwLock<Statistics>, overall: &[f32], videos: usize, now_s: f64) -> Vec<f32> {
    let mut recent = Vec::with_capacity(videos);
    for from in (0..videos).step_by(LOCK_CHUNK) {
        let statistics = statistics.read();
        let until = (from + LOCK_CHUNK).min(videos);
        recent.extend((from..until).map(|video| recent_count(&statistics, video as VideoIndex, now_s)));
    }
    combine(&recent, overall)
}

/// Decayed impressions and long views of a video.
fn recent_count(statistics: &Statistics, video: VideoIndex, now_s: f64) -> f32 {
    let window = statistics.tally(Entity::Video(video)).at(now_s)[WINDOW];
    let count = window[Count::Impressions as usize] + LONG_VIEW_WEIGHT * window[Count::LongViews as usize];
    count.max(0.0)
}

fn combine(recent: &[f32], overall: &[f32]) -> Vec<f32> {
    let mean = recent.iter().sum::<f32>() / recent.len().max(1) as f32;
    let smoothing = SMOOTHING * mean.min(1.0);
    let prior = |(video, recent): (usize, &f32)| {
        let overall = overall.get(video).copied().unwrap_or(0.0).max(1.0);
        WEIGHT * ((recent + smoothing + OVERALL_SHARE * overall).ln() - overall.ln())
    };
    recent.iter().enumerate().map(prior).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fashion_counts_while_there_is_traffic_and_nothing_is_said_without() {
        let lively = combine(&[50.0, 0.0, 20.0], &[10.0, 10.0, 0.0]);
        assert!(lively[0] > 0.0 && lively[1] < -2.0 && lively[2] > 0.0, "{lively:?}");
        let idle = combine(&[0.0, 0.0, 0.0], &[1000.0, 10.0, 0.0]);
        assert!(idle.iter().all(|p| p.is_finite() && (p - idle[0]).abs() < 1e-4), "{idle:?}");
        let nearly_idle = combine(&[4.0, 0.0], &[200.0, 200.0]);
        assert!(nearly_idle[0] > nearly_idle[1]);
    }
}

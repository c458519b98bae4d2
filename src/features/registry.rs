//! Every ranker feature by name: what it is about, what it may be, how it is computed.
//!
//! Which features, and the constants of their smoothing, come from a study on the bundled data (`data/README.md` says what
//! that is): 120 sets were compared for AUC and GAUC of the long view.

use foryou_actors::statistics::{Count, Sums, smoothed};

use super::{
    candidate::{Candidate, Crosses},
    person::Person,
};

/// What a feature describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Entity {
    /// The request.
    Context,
    /// The video, its creator or category.
    Video,
    /// The person.
    User,
    /// The person and the video together.
    Cross,
}

/// One column of the ranker's input.
pub struct Feature {
    /// Its name, unique; part of a release's feature schema.
    pub name: &'static str,
    /// What it describes.
    pub entity: Entity,
    /// Smallest and largest value; NaN (unknown) is always allowed.
    pub range: (f32, f32),
    /// Whether it moves with the person's very last action. Long view and like are predicted without these (see
    /// [`super::SLOW_BEFORE_S`]), the other outcomes with them.
    pub live: bool,
    /// What it means, with its unit.
    pub about: &'static str,
    /// Computes it. The result is clamped to `range`; a non-finite one counts as unknown.
    pub(super) value: fn(&Person<'_>, &Candidate<'_>, &Crosses) -> f32,
}

macro_rules! features {
    ($($entity:ident $name:ident [$low:expr, $high:expr] $($live:ident)? : $about:literal = $value:expr;)*) => {
        &[$(Feature {
            name: stringify!($name),
            entity: Entity::$entity,
            range: ($low, $high),
            live: features!(@live $($live)?),
            about: $about,
            value: $value,
        }),*]
    };
    (@live live) => { true };
    (@live) => { false };
}

const SHORT: usize = 0;
const MIDDLE: usize = 1;
const LONG: usize = 2;

/// The ranker's columns, in order. Changing it makes older releases unloadable ([`schema_hash`]).
pub const REGISTRY: &[Feature] = features! {
    Context hour [0.0, 24.0]: "hour of the day, UTC" = |p, _, _| (p.now_s / 3_600.0).rem_euclid(24.0) as f32;
    Context surface_long_rate [0.0, 1.0]: "smoothed long-view rate of the surface, 14 days" = |_, c, _| c.rates.surface;
    Context surface_lift [0.0, 20.0]: "long views on the surface per expected one, 14 days" = |_, c, _| c.rates.surface_lift;
    Context surface_long_rate_6h [0.0, 1.0]: "smoothed long-view rate of the surface, 6 hours"
        = |p, c, _| long_rate(&p.surface[SHORT], c.rates.all, 20.0);
    Context surface_long_rate_2d [0.0, 1.0]: "smoothed long-view rate of the surface, 2 days"
        = |p, c, _| long_rate(&p.surface[MIDDLE], c.rates.all, 20.0);
    Context surface_watch_ratio_2d [0.0, 2.0]: "smoothed watch ratio on the surface, 2 days"
        = |p, _, _| watch_ratio(&p.surface[MIDDLE], 10.0);
    Context surface_watch_ratio_14d [0.0, 2.0]: "smoothed watch ratio on the surface, 14 days"
        = |p, _, _| watch_ratio(&p.surface[LONG], 10.0);

    Video duration_log [0.0, 7.0]: "natural logarithm of the length in seconds" = |_, c, _| c.duration_log;
    Video age_log [0.0, 12.0]: "natural logarithm of 1 + days since publication, where that is under 90 days"
        = |p, c, _| match (p.now_s - c.entry.published_at.seconds()) / 86_400.0 {
            age if age < 90.0 => age.max(0.0).ln_1p() as f32,
            _ => f32::NAN,
        };
    Video video_long_rate [0.0, 1.0]: "smoothed long-view rate of the video, 14 days" = |_, c, _| c.rates.video;
    Video video_like_rate [0.0, 1.0]: "smoothed like rate of the video, 14 days" = |_, c, _| c.rates.video_like;
    Video video_long_rate_6h [0.0, 1.0]: "the same, 6 hours" = |_, c, _| long_rate(&c.video[SHORT], c.rates.video, 10.0);
    Video video_like_rate_6h [0.0, 1.0]: "the same, 6 hours" = |_, c, _| like_rate(&c.video[SHORT], c.rates.video_like, 50.0);
    Video video_like_rate_2d [0.0, 1.0]: "the same, 2 days" = |_, c, _| like_rate(&c.video[MIDDLE], c.rates.video_like, 50.0);
    Video video_watch_ratio_2d [0.0, 2.0]: "smoothed watch ratio of the video, 2 days"
        = |_, c, _| watch_ratio(&c.video[MIDDLE], 5.0);
    Video video_engagement_rate [0.0, 3.0]: "comments, shares and follows per impression, 14 days"
        = |_, c, _| smoothed(of(&c.video[LONG], Count::Engagements), of(&c.video[LONG], Count::Impressions), 0.002, 100.0);
    Video video_refusal_rate [0.0, 3.0]: "skips and refusals per impression, 14 days"
        = |_, c, _| {
            let sums = &c.video[LONG];
            smoothed(of(sums, Count::Skips) + of(sums, Count::Negatives), of(sums, Count::Impressions), 0.2, 20.0)
        };
    Video video_impressions_log [0.0, 20.0]: "natural logarithm of 1 + impressions, 2 days"
        = |_, c, _| of(&c.video[MIDDLE], Count::Impressions).ln_1p();
    Video creator_long_rate [0.0, 1.0]: "smoothed long-view rate of the creator, 14 days"
        = |_, c, _| long_rate(&c.creator, c.rates.band, 20.0);
    Video creator_like_rate [0.0, 1.0]: "smoothed like rate of the creator, 14 days"
        = |_, c, _| like_rate(&c.creator, c.rates.band_like, 100.0);
    Video category_long_rate [0.0, 1.0]: "smoothed long-view rate of the category, 14 days"
        = |_, c, _| long_rate(&c.category, c.rates.all, 50.0);

    Cross expected_long_rate [0.0, 1.0]: "long-view rate of the video on the surface, 14 days: no person in it"
        = |_, c, _| c.rates.expected;
    Cross band_long_rate [0.0, 1.0]: "smoothed long-view rate of such lengths on the surface, 14 days"
        = |_, c, _| long_rate(c.surface_band, c.rates.expected, 30.0);

    User exposures [0.0, 1e9]: "slow exposures" = |p, _, _| p.past.shown;
    User long_rate [0.0, 1.0]: "smoothed long-view rate, slow"
        = |p, c, _| smoothed(p.past.long_views, p.past.shown, c.rates.all, 10.0);
    User long_bias [-1.0, 1.0]: "long views beyond expectation per exposure, slow" = |p, _, _| p.bias();
    User long_bias_recent [-1.0, 1.0]: "the same, with a half-life of 3 days" = |p, _, _| p.recent.1 / (p.recent.0 + 5.0);
    User likes [0.0, 1e9]: "likes, slow" = |p, _, _| p.past.likes;
    User like_rate [0.0, 1.0]: "smoothed like rate, slow" = |p, _, _| smoothed(p.past.likes, p.past.shown, 0.02, 20.0);
    User like_bias [-1.0, 1.0]: "likes beyond expectation per exposure, slow" = |p, _, _| p.like_bias();

    Cross long_chance [0.0, 1.0]: "expected_long_rate plus long_bias" = |p, c, _| (c.rates.expected + p.bias()).clamp(0.0, 1.0);
    Cross long_chance_scaled [0.0, 3.0]: "video_long_rate, scaled by the person's bias"
        = |p, c, _| c.rates.video * (1.0 + p.bias() / c.rates.all.max(0.01));
    Cross duration_long_rate [0.0, 2.0]: "the person's long-view rate for such lengths, slow"
        = |p, c, x| smoothed(x.duration.long_views, x.duration.shown, c.rates.band + p.bias(), 3.0);
    Cross duration_bias [-1.0, 1.0]: "long views of such lengths beyond the person's own bias, slow"
        = |p, _, x| (x.duration.surplus - p.bias() * x.duration.shown) / (x.duration.shown + 3.0);
    Cross category_bias [-1.0, 1.0]: "long views in the category beyond expectation, slow"
        = |p, _, x| smoothed(x.category.surplus, x.category.shown, p.bias(), 5.0);
    Cross category_bias_recent [-1.0, 1.0]: "the same beyond the person's own bias, with a half-life of 3 days"
        = |p, _, x| (x.category.recent.1 - x.category.recent.0 * p.bias()) / (x.category.recent.0 + 3.0);
    Cross category_preference [-10.0, 10.0]: "log ratio of the category's share of long views to its share of exposures, slow"
        = |p, _, x| {
            let longs = (x.category.long_views + 0.5) / (p.past.long_views + 10.0);
            let shown = (x.category.shown + 0.5) / (p.past.shown + 10.0);
            (longs / shown).ln()
        };
    Cross category_like_bias [-1.0, 1.0]: "likes in the category beyond the person's own bias, slow"
        = |p, _, x| (x.category.like_surplus - x.category.shown * p.like_bias()) / (x.category.shown + 10.0);
    Cross creator_bias [-1.0, 1.0]: "long views of the creator beyond the person's own bias, slow"
        = |p, _, x| (x.creator.surplus - x.creator.shown * p.bias()) / (x.creator.shown + 3.0);

    Cross retrieval_score [-1e3, 1e3]: "two-tower score without the recency prior" = |_, c, _| c.score.unwrap_or(f32::NAN);
    Cross enjoyed_cosine [-1.0, 1.0]: "mean cosine to the videos of the last long views" = |p, c, _| c.mean_cosine(&p.taste.enjoyed);
    Cross passed_cosine [-1.0, 1.0]: "mean cosine to the last videos that were no long view" = |p, c, _| c.mean_cosine(&p.taste.passed);
    Cross taste_cosine [-2.0, 2.0]: "recency-weighted mean cosine to long views less that to others"
        = |p, c, _| c.mean_cosine(&p.taste.enjoyed_lately) - c.mean_cosine(&p.taste.passed_lately);
    Cross liked_cosine [-1.0, 1.0]: "largest cosine to one of the last liked videos"
        = |p, c, _| c.largest_cosine(&p.taste.liked);

    User minutes_since_last [0.0, 20.0] live: "natural logarithm of 1 + minutes since the last action"
        = |p, _, _| match p.inputs.session.last_at_s {
            never if never <= 0.0 => f32::NAN,
            last => ((p.now_s - last) / 60.0).max(0.0).ln_1p() as f32,
        };
    User depth [0.0, 1e9] live: "exposures in this visit" = |p, _, _| p.inputs.session.depth as f32;
    User skips_in_row [0.0, 1e9] live: "skips since something was enjoyed" = |p, _, _| p.inputs.session.skips_in_row as f32;
    User long_rate_10 [0.0, 1.0] live: "share of long views among the last 10 exposures" = |p, _, _| p.lately.long_views;
    User skip_rate_10 [0.0, 1.0] live: "share of skips among the last 10 exposures" = |p, _, _| p.lately.skips;
    User watch_ratio_10 [0.0, 2.0] live: "mean watch ratio of what was played of the last 10 exposures"
        = |p, _, _| p.lately.watch_ratio;
    Cross category_affinity [0.0, 1e3] live: "decayed enjoyment of the category (half-life 7 days) per exposure"
        = |p, c, _| affinity(p.inputs.session.categories.at(c.entry.category, p.now_s));
    Cross category_refusals [0.0, 1e3] live: "decayed refusals in the category (half-life 7 days)"
        = |p, c, _| p.inputs.session.categories.at(c.entry.category, p.now_s).refused;
    Cross creator_affinity [0.0, 1e3] live: "decayed enjoyment of the creator (half-life 7 days) per exposure"
        = |p, c, _| affinity(p.inputs.session.creators.at(c.entry.creator, p.now_s));
    Cross follows_creator [0.0, 1.0] live: "1 where the person follows the creator"
        = |p, c, _| f32::from(u8::from(p.inputs.session.followed.contains(&c.entry.creator)));
    User age [13.0, 120.0] live: "years" = |p, _, _| p.inputs.session.profile.age.map_or(f32::NAN, f32::from);
    Cross same_country [0.0, 1.0] live: "1 where video and person are from one country"
        = |p, c, _| match (p.inputs.session.profile.country, c.entry.country) {
            (Some(a), Some(b)) => f32::from(u8::from(a == b)),
            _ => f32::NAN,
        };
};

fn of(sums: &Sums, count: Count) -> f32 {
    sums[count as usize]
}

fn long_rate(sums: &Sums, prior: f32, m: f32) -> f32 {
    smoothed(of(sums, Count::LongViews), of(sums, Count::Impressions), prior, m)
}

fn like_rate(sums: &Sums, prior: f32, m: f32) -> f32 {
    smoothed(of(sums, Count::Likes), of(sums, Count::Impressions), prior, m)
}

fn watch_ratio(sums: &Sums, m: f32) -> f32 {
    smoothed(of(sums, Count::WatchRatio), of(sums, Count::Impressions), 0.5, m)
}

fn affinity(row: foryou_actors::sessions::affinity::Affinity) -> f32 {
    row.enjoyed / (row.shown + 2.0)
}

/// The columns' names, in order.
pub fn names() -> Vec<String> {
    REGISTRY.iter().map(|f| f.name.to_owned()).collect()
}

/// Columns that long view and like are predicted without.
pub fn live_columns() -> Vec<usize> {
    REGISTRY.iter().enumerate().filter(|(_, f)| f.live).map(|(i, _)| i).collect()
}

/// Identifies the registry: a release trained on other columns, in another order, is refused.
pub fn schema_hash() -> String {
    let text: String = REGISTRY.iter().map(|f| format!("{}\n", f.name)).collect();
    format!("{:016x}", foryou_actors::sessions::state::event_hash(&text))
}

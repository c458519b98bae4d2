//! What the two towers read of a video and of a session: the same for training and serving.

use foryou_actors::{
    catalogue::VideoIndex,
    sessions::state::{Action, Outcomes, SessionState, event_hash},
};
use foryou_schemas::{Gender, Video};
use foryou_trainer::two_tower::{IdGroup, TowerSchema};

use super::ItemVectors;

/// Hash buckets of creators, tags (categories among them), languages and countries.
const CREATORS: usize = 16_384;
const TAGS: usize = 4_096;
const LANGUAGES: usize = 256;
const COUNTRIES: usize = 512;
/// Tags of a video that are read, its category first.
const TAG_COLUMNS: usize = 4;
/// The most own-id buckets; videos beyond share.
pub const MAX_OWN_BUCKETS: usize = 1 << 20;

/// Names and sizes of the towers' inputs, for a catalogue of `trained` videos.
pub fn schema(trained: usize) -> TowerSchema {
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect();
    TowerSchema {
        id_groups: vec![
            IdGroup::new("video", trained.min(MAX_OWN_BUCKETS) + 1, 1),
            IdGroup::new("creator", CREATORS + 1, 1),
            IdGroup::new("tag", TAGS + 1, TAG_COLUMNS),
            IdGroup::new("language", LANGUAGES + 1, 1),
            IdGroup::new("country", COUNTRIES + 1, 1),
        ],
        content: names(&["duration_log", "age_rating"]),
        actions: names(&["viewed", "long_view", "liked", "engaged", "skipped", "refused", "watch_ratio", "age_log"]),
        profile: names(&["age_known", "age", "female", "male"]),
    }
}

/// The own-id bucket of the `n`-th trained video; a video that was not trained on has bucket 0.
pub fn own_bucket(n: usize) -> i64 {
    (n % MAX_OWN_BUCKETS) as i64 + 1
}

/// Appends a video's id columns and content columns to `ids` and `content`.
pub fn item(video: &Video, own_bucket: i64, ids: &mut Vec<i64>, content: &mut Vec<f32>) {
    let bucket = |text: &str, buckets: usize| (event_hash(text) % buckets as u64) as i64 + 1;
    ids.push(own_bucket);
    ids.push(bucket(video.creator.as_str(), CREATORS));
    let category = std::iter::once(&video.category);
    let tags = category.chain(video.tags.iter().filter(|tag| **tag != video.category));
    let tags = tags.map(|tag| bucket(tag, TAGS)).chain(std::iter::repeat(0));
    ids.extend(tags.take(TAG_COLUMNS));
    ids.push(video.language.as_ref().map_or(0, |l| bucket(l.as_str(), LANGUAGES)));
    ids.push(video.country.map_or(0, |c| bucket(c.as_str(), COUNTRIES)));
    content.push((video.duration_ms as f32 / 1e3).ln_1p());
    content.push(f32::from(video.age_rating));
}

/// A session as the user tower reads it: the latest actions whose videos have vectors, oldest first.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct UserInputs {
    /// `[L, d + 1]`, row-major.
    pub items: Vec<f32>,
    /// `[L, A]`, row-major.
    pub actions: Vec<f32>,
    /// `[P]`.
    pub profile: Vec<f32>,
}

/// Gathers the user tower's inputs as of `now_s` (seconds since 1970).
///
/// Ages count from the person's latest action: taste does not change while somebody is away, and a vector does not depend on
/// how long a log lay before it was imported (on the bundled data that is .26 instead of .52 of Recall@100 for a log of 2022 in 2026).
/// `duration_ms` tells a video's length. Without any usable action the tower answers with its base vector.
pub fn user(
    session: &SessionState,
    vectors: &dyn ItemVectors,
    duration_ms: &dyn Fn(VideoIndex) -> u32,
    now_s: f64,
) -> UserInputs {
    let now_s = session.actions.back().map_or(now_s, |latest| now_s.min(f64::from(latest.at_s)));
    let mut inputs = UserInputs { profile: profile(session), ..UserInputs::default() };
    for action in &session.actions {
        if let Some(vector) = vectors.vector(action.video) {
            inputs.items.extend_from_slice(vector);
            action_columns(action, duration_ms(action.video), now_s, &mut inputs.actions);
        }
    }
    inputs
}

/// Appends the action columns of one exposure; `now_s` is when the person acted last.
pub fn action_columns(action: &Action, duration_ms: u32, now_s: f64, out: &mut Vec<f32>) {
    let flag = |outcomes: Outcomes| f32::from(u8::from(action.outcomes.any(outcomes)));
    let engaged = Outcomes::COMMENT.with(Outcomes::SHARE).with(Outcomes::FOLLOW).with(Outcomes::REWATCH);
    let age_hours = ((now_s - f64::from(action.at_s)) / 3_600.0).max(0.0);
    out.extend([
        flag(Outcomes::VIEW),
        flag(Outcomes::LONG_VIEW),
        flag(Outcomes::LIKE),
        flag(engaged),
        flag(Outcomes::SKIP),
        flag(Outcomes::NEGATIVE),
        (f32::from(action.watch_ds) * 100.0 / duration_ms.max(1) as f32).min(2.0),
        age_hours.ln_1p() as f32,
    ]);
}

/// The profile columns.
pub fn profile(session: &SessionState) -> Vec<f32> {
    let p = &session.profile;
    let is = |gender| f32::from(u8::from(p.gender == Some(gender)));
    vec![
        f32::from(u8::from(p.age.is_some())),
        p.age.map_or(0.0, |age| f32::from(age) / 50.0),
        is(Gender::Female),
        is(Gender::Male),
    ]
}

//! What is told of a video that is shown, and of one that is not.

use foryou_schemas::{Feed, FeedId, FeedItem, Why};

use super::*;
use crate::feed::{feeds::Preview, pipeline::Made, story};

/// Brings the first 50 videos, the lowest number first; all of them rank so.
struct Fifty;

#[async_trait]
impl Source for Fifty {
    fn kind(&self) -> SourceKind {
        SourceKind::Trending
    }
    async fn find(&self, request: &Request) -> Result<Vec<VideoIndex>, String> {
        Ok((0..50).filter(|&video| request.servable(video)).collect())
    }
    fn score(&self, _: &Request, video: VideoIndex) -> Option<f32> {
        Some(-(video as f32))
    }
    fn place(&self, request: &Request, video: VideoIndex) -> Result<usize, &'static str> {
        Ok((0..video).filter(|&other| request.servable(other)).count())
    }
}

fn fifty() -> Pipeline {
    Pipeline::of(vec![Box::new(Fifty)])
}

async fn made(session: &SessionState, live: &Arc<Live>, watched: Option<VideoIndex>, limit: usize) -> (Request, Made) {
    let mut settings = config::Feed::default();
    settings.diversity.creator = config::Real::new(0.1);
    let request = request(live, session.clone(), |parts| {
        (parts.watched, parts.limit, parts.settings) = (watched, limit, Arc::new(settings));
    });
    fifty().run(request).await
}

async fn why(session: &SessionState, live: &Arc<Live>, video: VideoIndex) -> Why {
    let (request, made) = made(session, live, Some(video), 10).await;
    let feed = Feed {
        feed: FeedId::new("f").unwrap(),
        user: UserId::new("u").unwrap(),
        release: "none".into(),
        took_ms: 0.0,
        degraded: made.degraded.clone(),
        items: Vec::<FeedItem>::new(),
    };
    story::of_watched(&fifty(), Preview { feed, request, made }).unwrap()
}

fn sum<'a>(worth: impl IntoIterator<Item = &'a f32>) -> f32 {
    worth.into_iter().sum()
}

#[tokio::test]
async fn a_filter_is_named_also_where_no_source_brings_what_it_refuses() {
    let live = live();
    let mut catalogue = Catalogue::clone(&live.catalogue());
    catalogue.remove(4);
    let session = session(&live, &[(0, "view", 9_000), (1, "block", 8_000), (2, "report", 300 * 86_400_000)]);
    live.publish_catalogue(catalogue);
    let removed =
        [(0, "seen"), (1, "seen"), (11, "blocked_creator"), (2, "reported"), (4, "removed"), (59, "age_rating")];
    for (video, reason) in removed {
        let why = why(&session, &live, video).await;
        assert_eq!((why.shown, why.stage, why.reason), (false, Some("filters"), Some(reason)), "{why:?}");
        assert_eq!(why.position, None, "{why:?}");
        assert_eq!(why.explain.stages.last().unwrap(), &format!("filters: {reason}"));
    }
}

#[tokio::test]
async fn what_no_source_brought_is_told_with_its_place_in_each() {
    let live = live();
    let why = why(&SessionState::default(), &live, 55).await;
    assert_eq!((why.stage, why.reason, why.position), (Some("sources"), Some("not_found"), None));
    let [stands] = &why.sources[..] else { panic!("{why:?}") };
    assert_eq!((stands.found, stands.rank, stands.score, stands.brought), (false, Some(55), Some(-55.0), 50));
    // There are no models to weigh it by.
    assert_eq!((why.score, why.explain.worth.len()), (None, 0));
}

#[tokio::test]
async fn every_video_is_where_it_is_said_to_be_and_to_watch_it_changes_nothing() {
    let live = live();
    let mut session = session(&live, &[(2, "like", 60_000), (51, "dislike", 50_000), (52, "skip", 40_000)]);
    // Their creator's first video is the best, were it not for them.
    session.note_served(&[20, 30, 40], (NOW / 1_000) as u32);
    let order = |made: Made| made.items.iter().map(|item| item.video).collect::<Vec<_>>();
    let feed = order(made(&session, &live, None, 10).await.1);
    let longest = order(made(&session, &live, None, 49).await.1);
    let last_score = made(&session, &live, None, 10).await.1.items.last().unwrap().score;
    let mut ends = HashMap::<_, u32>::new();
    for video in 0..50 {
        assert_eq!(order(made(&session, &live, Some(video), 10).await.1), feed);
        let why = why(&session, &live, video).await;
        *ends.entry(why.stage).or_default() += 1;
        if why.stage == Some("filters") {
            continue;
        }
        assert_eq!(longest[why.position.unwrap() as usize], video, "{why:?}");
        assert_eq!(why.shown, feed.contains(&video));
        assert_eq!(why.last_score, Some(last_score));
        let score = why.score.unwrap();
        assert!(why.shown || score <= last_score, "{why:?}");
        // By utility alone it would be shown.
        let by_utility =
            why.explain.stages.iter().find_map(|line| line.strip_prefix("utility: ")?.split_once("place "));
        let place: usize = by_utility.unwrap().1.parse().unwrap();
        if !why.shown {
            assert_eq!(why.stage == Some("diversity"), place <= 10, "{why:?}");
        }
        assert!((sum(why.explain.worth.values()) - score).abs() < 1e-6, "{why:?}");
    }
    assert_eq!(ends[&None], 10, "{ends:?}");
    assert!(ends[&Some("diversity")] > 0 && ends[&Some("utility")] > 0 && ends[&Some("filters")] == 1, "{ends:?}");
}

#[test]
fn what_is_not_finite_has_sunk_and_that_is_all_that_counts() {
    let live = live();
    let request = request(&live, SessionState::default(), |_| {});
    let mut all = candidates(&request, [31, 32]);
    (all[0].outcomes, all[0].watch_ms) = (vec![0.5], f32::NAN);
    utility::apply(&request, &mut all);
    let feed = diversify::select(&request, all, &mut Fate::default());
    assert_eq!(feed[1].video, 31);
    let made = Made {
        items: Vec::new(),
        degraded: Vec::new(),
        features: Default::default(),
        times: crate::feed::stages::StageTimes::start(),
        removed: Vec::new(),
        ranked: 2,
        found: Vec::new(),
        overran: Vec::new(),
        fate: None,
    };
    let told = story::of_item(&fifty(), &request, &made, &feed[1], 1);
    assert!(told.worth.values().all(|adds| adds.is_finite()), "{told:?}");
    assert_eq!(sum(told.worth.values()), feed[1].score);
}

#[test]
fn a_video_too_far_down_to_be_ranked_is_cut_with_its_place() {
    let live = live();
    let request = request(&live, SessionState::default(), |parts| parts.watched = Some(7));
    let all = candidates(&request, 0..20);
    for (ranked, place) in [(7, Some(7)), (8, None)] {
        let mut fate = Fate::of(&request);
        fate.found(&all);
        fate.cut(&all, ranked);
        assert_eq!(fate.told().unwrap().cut, place);
    }
}

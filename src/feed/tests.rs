//! The stages one by one, on a small catalogue and without models.

mod fate;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use foryou_actors::{
    catalogue::{Catalogue, VideoIndex},
    fold::Fold,
    live::Live,
    sessions::state::SessionState,
};
use foryou_schemas::{Country, Event, EventId, Timestamp, UserId, Video, VideoId};

use super::{
    candidate::{Candidate, Found},
    diversify,
    explore::Exploration,
    fate::Fate,
    filters,
    mood::Mood,
    pipeline::Pipeline,
    request::{Parts, Request},
    sources::{Source, SourceKind},
    trends::Trends,
    utility,
};
use crate::config;

const NOW: i64 = 1_700_000_000_000;

fn now() -> Timestamp {
    Timestamp::from_millis(NOW).unwrap()
}

/// 60 videos: number `n` is by creator `n % 10`, in category `n % 3`; the last is for adults.
fn live() -> Arc<Live> {
    let (live, mut catalogue) = (Live::default(), Catalogue::default());
    for n in 0..60 {
        let json = serde_json::json!({"creator": format!("c{}", n % 10), "category": format!("k{}", n % 3),
            "duration_ms": 10_000, "age_rating": if n == 59 { 18 } else { 0 }});
        let video = Video::parse(json.to_string().as_bytes()).unwrap();
        catalogue.put(&VideoId::new(format!("v{n}")).unwrap(), video, now());
    }
    live.publish_catalogue(catalogue);
    Arc::new(live)
}

/// A session after these actions: `(video, kind, milliseconds ago)`.
fn session(live: &Live, actions: &[(u32, &str, i64)]) -> SessionState {
    let mut session = SessionState::default();
    for (n, (video, kind, ago)) in actions.iter().enumerate() {
        let mut json =
            serde_json::json!({"id": format!("e{n}"), "user": "u", "video": format!("v{video}"), "kind": kind});
        if *kind == "view" {
            json["watch_ms"] = 9_999.into();
        }
        let at = now().plus_millis(-ago);
        let event = Event::parse(json.to_string().as_bytes(), at, || EventId::from_u128(0)).unwrap();
        session.apply(&live.resolve(&event).unwrap());
    }
    session
}

fn request(live: &Arc<Live>, session: SessionState, change: impl FnOnce(&mut Parts)) -> Request {
    let mut parts = Parts {
        session: Arc::new(session),
        live: live.clone(),
        release: None,
        trends: Arc::new(Trends::default()),
        now: now(),
        surface: 0,
        country: None,
        at_hand: Vec::new(),
        limit: 10,
        seed: 7,
        explore: false,
        watched: None,
        settings: Arc::new(config::Feed::default()),
    };
    change(&mut parts);
    Request::new(parts)
}

fn candidates(request: &Request, videos: impl IntoIterator<Item = VideoIndex>) -> Vec<Candidate> {
    let candidate = |(rank, video)| {
        let entry = *request.catalogue.entry(video).unwrap();
        Candidate { utility: 1.0, ..Candidate::new(video, entry, SourceKind::Trending, rank) }
    };
    (0..).zip(videos).map(candidate).collect()
}

#[test]
fn filters_remove_what_may_not_be_shown_and_say_which_did() {
    let live = live();
    let day = 86_400_000;
    let done = [(0, "view", day), (1, "block", day), (2, "report", 300 * day), (3, "view", 100 * day)];
    let mut catalogue = Catalogue::clone(&live.catalogue());
    catalogue.remove(4);
    let session = session(&live, &done);
    live.publish_catalogue(catalogue);
    let request = request(&live, session, |_| {});
    let mut all = candidates(&request, [0, 1, 2, 3, 4, 11, 5, 59]);
    let removed: HashMap<_, _> = filters::apply(&request, &mut all).into_iter().collect();
    // Seen within the window, a blocked creator's other video, reported long ago, taken down, too young.
    let expected =
        [(0, "seen"), (1, "seen"), (2, "reported"), (4, "removed"), (11, "blocked_creator"), (59, "age_rating")];
    assert_eq!(removed, expected.into());
    // What was seen before the window may return.
    assert_eq!(all.iter().map(|c| c.video).collect::<Vec<_>>(), [3, 5]);
}

#[test]
fn an_adult_sees_what_is_rated_for_adults() {
    let live = live();
    for (age, stays) in [(None, false), (Some(17), false), (Some(18), true)] {
        let mut session = SessionState::default();
        session.profile.age = age;
        let request = request(&live, session, |_| {});
        let mut all = candidates(&request, [59]);
        filters::apply(&request, &mut all);
        assert_eq!(!all.is_empty(), stays, "{age:?}");
    }
}

#[test]
fn a_creator_does_not_come_twice_in_a_row_also_not_across_feeds() {
    let live = live();
    // Two videos of creator 0 and one of creator 1, all worth about the same.
    let pick = |session: SessionState| {
        let request = request(&live, session, |parts| parts.limit = 3);
        let mut all = candidates(&request, [0, 10, 1]);
        all[2].utility = 0.9;
        diversify::select(&request, all, &mut Fate::default()).iter().map(|item| item.video).collect::<Vec<_>>()
    };
    assert_eq!(pick(SessionState::default()), [0, 1, 10]);
    // What an earlier feed served a moment ago counts, and is forgotten after a while.
    let served = |ago_s: u32| {
        let mut session = SessionState::default();
        session.note_served(&[20, 30], (NOW / 1_000) as u32 - ago_s);
        session
    };
    assert_eq!(pick(served(1))[0], 1);
    assert_eq!(pick(served(36_000))[0], 0);
}

#[test]
fn a_slot_goes_to_the_best_however_far_down_it_stands_by_utility() {
    let live = live();
    let request = request(&live, SessionState::default(), |_| {});
    let mut all = candidates(&request, [0; 300]);
    for (place, candidate) in all.iter_mut().enumerate() {
        candidate.utility = 1.0 - 1e-4 * place as f32;
    }
    // Of the same category, by another creator.
    let other = candidates(&request, [3]).remove(0);
    all[250] = Candidate { utility: all[250].utility, ..other };
    let feed = diversify::select(&request, all, &mut Fate::default());
    assert_eq!((feed[0].video, feed[1].video), (0, 3));
}

#[test]
fn a_recorded_propensity_is_how_often_the_slot_falls_so() {
    let live = live();
    let settings = config::Feed::default();
    let share = settings.exploration.share.get();
    let first = settings.exploration.first_position.count();
    // Four candidates, of which two are fresh; one of these is also the best.
    let (rounds, mut counts, mut recorded) = (200_000u64, HashMap::<usize, u64>::new(), HashMap::<usize, f32>::new());
    for seed in 0..rounds {
        let request = request(&live, SessionState::default(), |parts| (parts.seed, parts.explore) = (seed, true));
        let mut left = candidates(&request, 0..4);
        for place in [0, 3] {
            left[place].sources.push(Found { source: SourceKind::Fresh, rank: 0 });
        }
        let mut exploration = Exploration::new(&request);
        assert_eq!(exploration.choose(first - 1, &left, 0).propensity, 1.0);
        let choice = exploration.choose(first, &left, 0);
        *counts.entry(choice.at).or_default() += 1;
        recorded.insert(choice.at, choice.propensity);
    }
    assert_eq!(recorded, [(0, 1.0 - share + share / 2.0), (3, share / 2.0)].into());
    for (at, propensity) in recorded {
        let found = counts[&at] as f32 / rounds as f32;
        assert!((found - propensity).abs() < 0.003, "{at}: {found} against {propensity}");
    }
}

#[test]
fn without_a_fresh_candidate_nothing_is_left_to_chance() {
    let live = live();
    let request = request(&live, SessionState::default(), |parts| parts.explore = true);
    let all = candidates(&request, 0..20);
    let feed = diversify::select(&request, all, &mut Fate::default());
    assert!(feed.iter().all(|item| !item.explore && item.propensity == 1.0), "{feed:?}");
}

#[test]
fn the_mood_follows_the_last_actions_and_is_forgotten() {
    let live = live();
    let catalogue = live.catalogue_full();
    let mood = |actions: &[(u32, &str, i64)]| Mood::of(&session(&live, actions), &catalogue, now().seconds());
    // Videos 0, 3, 6 … are of the first category, 1, 4 … of the second.
    let liked = mood(&[(0, "like", 60_000), (3, "like", 30_000), (1, "skip", 10_000)]);
    assert!(liked.at(0) > 0.5 && liked.at(1) < 0.0 && liked.at(2) == 0.0, "{liked:?}");
    assert_eq!(liked.best(3).collect::<Vec<_>>(), [0]);
    assert_eq!(mood(&[(0, "like", 7 * 3_600_000)]), Mood::default());
}

#[test]
fn mood_lifts_refusals_lower_and_what_is_not_finite_sinks() {
    let live = live();
    let worth = |actions: &[(u32, &str, i64)], spoil: bool| {
        let request = request(&live, session(&live, actions), |_| {});
        // Unranked: worth what their rank says; 31 is of the second category, 32 of the third.
        let mut all = candidates(&request, [31, 32, 33]);
        if spoil {
            all[0].outcomes = vec![f32::NAN];
            all[0].watch_ms = f32::NAN;
        }
        utility::apply(&request, &mut all);
        assert!(all.iter().all(|c| c.utility.is_finite() && c.score.is_finite()));
        all.iter().map(|c| (c.video, c.utility)).collect::<Vec<_>>()
    };
    let order = |worth: Vec<(u32, f32)>| worth.into_iter().map(|(video, _)| video).collect::<Vec<_>>();
    let of = |worth: &[(u32, f32)], video| worth.iter().find(|w| w.0 == video).unwrap().1;
    let (before, liked) = (worth(&[], false), worth(&[(2, "like", 60_000), (5, "like", 50_000)], false));
    assert!(of(&liked, 32) > 1.2 * of(&before, 32) && of(&liked, 31) == of(&before, 31), "{before:?} {liked:?}");
    assert_eq!(order(before), [31, 32, 33]);
    assert_eq!(order(worth(&[(1, "dislike", 60_000)], false)), [32, 33, 31]);
    assert_eq!(order(worth(&[], true)), [32, 33, 31]);
}

struct Stuck;

#[async_trait]
impl Source for Stuck {
    fn kind(&self) -> SourceKind {
        SourceKind::Followed
    }
    async fn find(&self, _: &Request) -> Result<Vec<VideoIndex>, String> {
        std::future::pending().await
    }
    fn place(&self, _: &Request, _: VideoIndex) -> Result<usize, &'static str> {
        Err("it is stuck")
    }
}

struct Broken;

#[async_trait]
impl Source for Broken {
    fn kind(&self) -> SourceKind {
        SourceKind::Category
    }
    async fn find(&self, _: &Request) -> Result<Vec<VideoIndex>, String> {
        Err("a fault".into())
    }
    fn place(&self, _: &Request, _: VideoIndex) -> Result<usize, &'static str> {
        Err("it is broken")
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_or_fails_is_left_out_and_said() {
    let live = live();
    let pipeline = Pipeline::of(vec![Box::new(Stuck), Box::new(Broken)]);
    let (_, made) = pipeline.run(request(&live, SessionState::default(), |_| {})).await;
    assert_eq!(made.items.len(), 10);
    assert!(made.items.iter().all(|item| item.sources.len() == 1 && item.is_from(SourceKind::Fallback)));
    assert_eq!(made.degraded, ["models: no release", "followed: timeout", "category: a fault"]);
}

#[tokio::test]
async fn a_feed_that_is_late_begins_no_source() {
    let live = live();
    let mut request = request(&live, SessionState::default(), |_| {});
    request.deadline = std::time::Instant::now() - Duration::from_millis(1);
    let (_, made) = Pipeline::default().run(request).await;
    assert!(made.degraded.contains(&"trending: timeout".to_owned()), "{:?}", made.degraded);
    assert_eq!(made.items.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn where_sources_fail_the_client_keeps_what_it_has_and_may_be_shown() {
    let live = live();
    let mut catalogue = Catalogue::clone(&live.catalogue());
    catalogue.remove(49);
    // Of all creators but the last the videos are blocked, so the first that come to hand may none be shown.
    let mut actions: Vec<_> = (50..59).map(|video| (video, "block", 60_000)).collect();
    actions.push((39, "dislike", 50_000));
    let session = session(&live, &actions);
    live.publish_catalogue(catalogue);
    for (at_hand, shown) in [(vec![19, 8, 39, 49, 29, 59], vec![19, 29]), (vec![], vec![])] {
        let request = request(&live, session.clone(), |parts| {
            (parts.at_hand, parts.limit, parts.seed) = (at_hand, 3, 0);
        });
        let (_, made) = Pipeline::of(vec![Box::new(Stuck)]).run(request).await;
        assert_eq!(made.items.iter().map(|item| item.video).collect::<Vec<_>>(), shown);
    }
}

#[tokio::test]
async fn one_seed_makes_one_feed() {
    let live = live();
    let feed = async |seed: u64| {
        let made = Pipeline::default().run(request(&live, SessionState::default(), |p| p.seed = seed)).await.1;
        made.items.iter().map(|item| item.video).collect::<Vec<_>>()
    };
    assert_eq!(feed(1).await, feed(1).await);
    assert_ne!(feed(1).await, feed(2).await);
}

#[test]
fn a_country_has_its_own_trends_in_every_window() {
    let live = live();
    let mut fold = Fold::<UserId>::new(live.clone());
    let user = UserId::new("u").unwrap();
    fold.sessions.entry(user.clone()).or_default().profile.country = Some(Country::parse("DE").unwrap());
    // Video 5 was watched three times ten days ago, video 7 once just now; video 9 from nowhere in particular.
    let hour = 3_600_000;
    let views = [("u", 5, 240 * hour), ("u", 5, 239 * hour), ("u", 5, 238 * hour), ("u", 7, hour), ("w", 9, hour)];
    for (n, (user, video, ago)) in views.into_iter().enumerate() {
        let json =
            format!(r#"{{"id": "t{n}", "user": "{user}", "video": "v{video}", "kind": "view", "watch_ms": 9000}}"#);
        let event = Event::parse(json.as_bytes(), now().plus_millis(-ago), || EventId::from_u128(0)).unwrap();
        fold.apply(event).unwrap();
    }
    let trends = Trends::compute(&live, &config::Exploration::default(), now());
    let videos = |list: &[(VideoIndex, f32)]| list.iter().map(|(video, _)| *video).collect::<Vec<_>>();
    let [short, _, long] = &trends.countries[b"DE"];
    assert_eq!((videos(short), videos(long)), (vec![7, 5], vec![5, 7]));
    assert_eq!(videos(&trends.everywhere[0][..2]), [9, 7]);
}

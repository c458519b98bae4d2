use proptest::prelude::*;

use super::*;
use crate::statistics::Expected;
use foryou_schemas::Timestamp;

const HOUR_MS: i64 = 3_600_000;
const START_MS: i64 = 1_700_000_000_000;

fn event(video: VideoIndex, kind: Kind, at_ms: i64) -> Incoming {
    let watch_ms = if kind == Kind::View { 6_000 } else { 0 };
    let entry = Entry {
        creator: video % 7,
        category: video % 3,
        duration_ms: 12_000,
        age_rating: 0,
        live: true,
        published_at: Timestamp::from_millis(START_MS - HOUR_MS).unwrap(),
        country: None,
    };
    let id = event_hash(&format!("{video} {kind:?} {at_ms}"));
    Incoming { id, video, entry, kind, watch_ms, at_ms, surface: 0, expected: Expected::default() }
}

fn state_after(events: &[Incoming]) -> SessionState {
    let mut state = SessionState::default();
    events.iter().for_each(|event| _ = state.apply(event));
    state
}

/// Exposures of which each begins in a minute of its own; one of a video is hours away from the next of the same video.
fn exposures() -> impl Strategy<Value = Vec<Incoming>> {
    let kinds = proptest::sample::subsequence(
        vec![Kind::Impression, Kind::View, Kind::Finish, Kind::Like, Kind::Share, Kind::Follow, Kind::Skip],
        1..5,
    );
    proptest::collection::vec((0_u32..12, kinds), 1..25).prop_map(|exposures| {
        let mut events = Vec::new();
        for (n, (video, kinds)) in (0..).zip(exposures) {
            let begins = START_MS + n * 3 * HOUR_MS + i64::from(video) * 60_000;
            events.extend((0..).zip(kinds).map(|(k, kind)| event(video, kind, begins + k * 2_000)));
        }
        events
    })
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter((events, arrival) in exposures().prop_flat_map(|events| {
        (Just(events.clone()), Just(events).prop_shuffle())
    })) {
        let (in_time, late) = (state_after(&events), state_after(&arrival));
        prop_assert_eq!(&in_time.actions, &late.actions);
        prop_assert_eq!(in_time.exposures, late.exposures);
        for video in 0..12 {
            prop_assert_eq!(in_time.seen_at(video), late.seen_at(video));
        }
        let sorted = |list: &[u32]| { let mut list = list.to_vec(); list.sort_unstable(); list };
        prop_assert_eq!(sorted(&in_time.followed), sorted(&late.followed));
        for (a, b) in in_time.categories.all(4e9).zip(late.categories.all(4e9)) {
            prop_assert!((a.shown - b.shown).abs() < 1e-4);
        }
    }

    #[test]
    fn actions_stay_ordered_and_bounded(events in proptest::collection::vec(
        (0_u32..200, proptest::sample::select(Kind::ALL.to_vec()), 0_i64..40 * HOUR_MS), 0..600,
    )) {
        let events: Vec<Incoming> = events.into_iter().map(|(v, kind, at)| event(v, kind, START_MS + at)).collect();
        let mut state = SessionState::default();
        for (n, each) in (1..).zip(&events) {
            let before = state.exposures;
            let applied = state.apply(each);
            prop_assert_eq!(applied.seq, n);
            prop_assert!(state.applied_lately(each.id));
            prop_assert_eq!(state.exposures - before, u32::from(applied.gained.any(Outcomes::OPENED)));
            prop_assert!(!applied.gained.any(applied.lost));
        }
        prop_assert!(state.actions.len() <= MAX_ACTIONS);
        prop_assert!(state.actions.iter().zip(state.actions.iter().skip(1)).all(|(a, b)| a.at_s <= b.at_s));
        prop_assert!(state.seen.is_sorted_by_key(|seen| seen.0));
        for each in &events {
            prop_assert!(state.seen_at(each.video).is_some());
        }
    }

    #[test]
    fn what_is_taken_back_is_gone(kinds in proptest::collection::vec(
        proptest::sample::select(vec![Kind::Like, Kind::Unlike, Kind::Follow, Kind::Unfollow, Kind::Block]), 1..12,
    )) {
        let events: Vec<Incoming> = (0..).zip(&kinds).map(|(n, kind)| event(1, *kind, START_MS + n * 1_000)).collect();
        let mut state = SessionState::default();
        let (mut likes, mut follows) = (0, 0);
        for each in &events {
            let applied = state.apply(each);
            let net = |o| i32::from(applied.gained.any(o)) - i32::from(applied.lost.any(o));
            likes += net(Outcomes::LIKE);
            follows += net(Outcomes::FOLLOW);
        }
        // What statistics add up is what the exposure holds at the end.
        let outcomes = state.actions[0].outcomes;
        prop_assert_eq!(likes, i32::from(outcomes.any(Outcomes::LIKE)));
        prop_assert_eq!(follows, i32::from(outcomes.any(Outcomes::FOLLOW)));
        let last = kinds.iter().rfind(|k| matches!(k, Kind::Like | Kind::Unlike));
        prop_assert_eq!(outcomes.any(Outcomes::LIKE), last == Some(&Kind::Like));
        let last = kinds.iter().rfind(|k| matches!(k, Kind::Follow | Kind::Unfollow | Kind::Block));
        prop_assert_eq!(state.followed.contains(&1), last == Some(&Kind::Follow));
        prop_assert_eq!(state.blocked.contains(&1), kinds.contains(&Kind::Block));
    }
}

#[test]
fn reactions_belong_to_their_exposure() {
    let state = state_after(&[
        event(1, Kind::View, START_MS),
        event(1, Kind::Like, START_MS + 5_000),
        event(1, Kind::View, START_MS + 60_000),
        event(1, Kind::Share, START_MS + 61_000),
        event(2, Kind::Finish, START_MS + 70_000),
        event(2, Kind::View, START_MS + 70_000),
        event(1, Kind::Comment, START_MS + 2 * HOUR_MS),
    ]);
    let of: Vec<_> = state
        .actions
        .iter()
        .map(|a| (a.video, u32::from(a.watch_ds) * 100, a.outcomes.without(Outcomes::OPENED)))
        .collect();
    let played = Outcomes::VIEW;
    assert_eq!(
        of,
        [
            (1, 6_000, played.with(Outcomes::LIKE)),
            (1, 6_000, played.with(Outcomes::SHARE)),
            (2, 6_000, played.with(Outcomes::LONG_VIEW).with(Outcomes::FINISH)),
            (1, 0, Outcomes::COMMENT),
        ]
    );
    assert_eq!((state.exposures, state.depth), (4, 1));
}

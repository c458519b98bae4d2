//! The impression log is exact: a replay of the served log gives the logged features, to the bit.

use foryou::{stores::embedded::EmbeddedStore, training::served};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::json;

use crate::{feeds::PATIENT, server::Server, world::World};

const PEOPLE: u64 = 6;
const STEPS: usize = 40;
const KINDS: [&str; 9] = ["view", "view", "view", "finish", "like", "unlike", "follow", "skip", "dislike"];

/// One person acts and asks for feeds, sometimes waiting until an event is applied and sometimes not.
fn live(server: &Server, person: u64, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    // Half of them are new, and the others have a history.
    let user = if person.is_multiple_of(2) { format!("u{person}") } else { format!("new{person}") };
    for step in 0..STEPS {
        let id = format!("{seed}-{person}-{step}");
        let (video, kind) = (rng.random_range(0..320), KINDS[rng.random_range(0..KINDS.len())]);
        let mut event = json!({"id": id, "user": user, "video": format!("v{video}"), "kind": kind});
        if kind == "view" {
            event["watch_ms"] = rng.random_range(0..12_000).into();
        }
        if rng.random_bool(0.3) {
            event["surface"] = "following".into();
        }
        server.send(&event);
        let after = if rng.random_bool(0.5) { format!("&after={id}") } else { String::new() };
        let surface = if rng.random_bool(0.3) { "&surface=following" } else { "" };
        server.get(&format!("/v1/users/{user}/feed?limit=10{after}{surface}")).expect(200);
    }
}

fn all_live(server: &Server, seed: u64) {
    std::thread::scope(|scope| (0..PEOPLE).for_each(|person| _ = scope.spawn(move || live(server, person, seed))));
}

#[test]
fn a_replay_of_the_served_log_gives_the_logged_features_to_the_bit() {
    let server = Server::start_on(World::shared().active(), PATIENT).ready();
    for (user, profile) in [("u0", json!({"age": 27, "country": "DE"})), ("new1", json!({"gender": "female"}))] {
        server.put(&format!("/v1/users/{user}"), &profile);
    }
    all_live(&server, 1);
    // Somebody's erasure takes their feeds with it; nobody met them, so the others' features do not depend on them.
    server.get("/v1/users/gone/feed").expect(200);
    server.delete("/v1/users/gone");
    // A video that no model was trained on: its vector comes from the item tower.
    let video = json!({"creator": "c3", "category": "k3", "duration_ms": 12_000, "country": "DE"});
    server.put("/v1/videos/new", &video).expect(201);
    let server = Server::start_on(server.stopped(), PATIENT).ready();
    all_live(&server, 2);
    let dir = server.stopped();

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = EmbeddedStore::open(&dir.path().join("store")).unwrap();
        let (told, telling) = std::sync::mpsc::channel();
        let report = served::replay(&store, dir.path(), None, move |feed| {
            assert_eq!(feed.session.seq, feed.served.session_seq);
            let new = feed.served.items.iter().any(|item| item.video == "new");
            told.send((feed.user.clone(), new)).unwrap();
        })
        .await
        .unwrap();
        let feeds = 2 * PEOPLE as usize * STEPS;
        assert_eq!((report.different, report.missing_events), (0, 0), "{report:?}");
        assert_eq!((report.feeds, report.rows), (feeds, 10 * feeds), "{report:?}");
        assert_eq!((report.without_release, report.without_session), (0, 0));
        let told: Vec<_> = telling.iter().collect();
        assert!(told.len() == feeds && told.iter().any(|(_, new)| *new), "the new video was shown");
    });
}

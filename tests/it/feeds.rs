//! Feeds from trained models: they react to what a person just did, and say what they are made of.

use std::time::{Duration, Instant};

use foryou::models::Releases;
use serde_json::{Value, json};

use crate::{server::Server, world::World};

/// However busy the machine is, no stage is too late.
pub const PATIENT: &str = "feed = { budget_ms = 10000, source_budget_ms = 10000 }";
/// Nor is there luck in comparisons.
const COMPARED: &str = "feed = { budget_ms = 10000, source_budget_ms = 10000, exploration.share = 0.0 }";

fn items(feed: &Value) -> &Vec<Value> {
    feed["items"].as_array().unwrap()
}

fn texts<'a>(feed: &'a Value, field: &str) -> Vec<&'a str> {
    items(feed).iter().map(|item| item[field].as_str().unwrap()).collect()
}

/// Which part of a feed is of a category.
fn share(feed: &Value, category: &str) -> f64 {
    let of = texts(feed, "category").iter().filter(|c| **c == category).count();
    of as f64 / items(feed).len() as f64
}

/// Sends an event, and gives the feed that reflects it.
fn feed_after(server: &Server, id: &str, kind: &str, video: &str) -> Value {
    assert_eq!(server.send(&json!({"id": id, "user": "ann", "video": video, "kind": kind})), "accepted");
    let feed = server.get(&format!("/v1/users/ann/feed?limit=40&after={id}&wait_ms=2000")).expect(200);
    assert_eq!(feed["degraded"], json!([]));
    feed
}

#[test]
fn a_feed_follows_what_the_person_does_at_once() {
    let world = World::shared();
    let server = Server::start_on(world.active(), COMPARED).ready();
    let before = server.get("/v1/users/ann/feed?limit=40").expect(200);
    assert_eq!(before["release"], world.release);
    // The category that a newcomer is shown least.
    let category =
        (0..4).map(|n| format!("k{n}")).min_by(|a, b| share(&before, a).total_cmp(&share(&before, b))).unwrap();
    let n: u32 = category[1..].parse().unwrap();
    let mut liked = Value::Null;
    for like in 0..10 {
        liked = feed_after(&server, &format!("like-{like}"), "like", &format!("v{}", n + 4 * like));
    }
    let (was, is) = (share(&before, &category), share(&liked, &category));
    assert!(is > was + 0.1, "{category}: {was} before ten likes, {is} after");
    for like in 0..10 {
        assert!(
            !texts(&liked, "video").contains(&format!("v{}", n + 4 * like).as_str()),
            "what was seen does not return"
        );
    }

    let first = items(&liked).iter().find(|item| item["category"] == category.as_str()).unwrap();
    let disliked = feed_after(&server, "no", "dislike", first["video"].as_str().unwrap());
    let now = share(&disliked, &category);
    assert!(now < is, "{category}: {is} before a dislike, {now} after");

    let creator = items(&disliked)[0]["creator"].as_str().unwrap();
    let blocked = feed_after(&server, "never", "block", items(&disliked)[0]["video"].as_str().unwrap());
    assert!(!texts(&blocked, "creator").contains(&creator), "{creator} is blocked");
    assert_eq!(items(&blocked).len(), 40);
}

#[test]
fn a_person_without_history_gets_a_sensible_feed() {
    let server = Server::start_on(World::shared().active(), PATIENT).ready();
    let feed = server.get("/v1/users/nobody/feed?limit=40").expect(200);
    assert_eq!((items(&feed).len(), &feed["degraded"]), (40, &json!([])));
    for field in ["video", "category", "creator"] {
        let mut different = texts(&feed, field);
        different.sort_unstable();
        different.dedup();
        let least = match field {
            "video" => 40,
            "category" => 4,
            _ => 10,
        };
        assert!(different.len() >= least, "{} different {field}s", different.len());
    }
    assert!(items(&feed).iter().all(|item| item["score"].is_number() && item["propensity"].as_f64().unwrap() > 0.0));
}

#[test]
fn without_models_a_feed_says_so_and_a_release_serves_once_it_is_activated() {
    let world = World::shared();
    let server = Server::start_on(world.inactive(), PATIENT).ready();
    let feed = server.get("/v1/users/u1/feed").expect(200);
    assert_eq!(
        (items(&feed).len(), &feed["release"], &feed["degraded"]),
        (20, &json!("none"), &json!(["models: no release"]))
    );
    assert!(server.get("/metrics").text.contains(r#"foryou_feed_degraded_total{stage="models"} 1"#));

    Releases::new(server.dir()).activate(&world.release).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let feed = loop {
        let feed = server.get("/v1/users/u1/feed").expect(200);
        assert_eq!(items(&feed).len(), 20);
        if feed["release"] != "none" {
            break feed;
        }
        assert!(Instant::now() < until, "the release was not swapped in");
    };
    assert_eq!((&feed["release"], &feed["degraded"]), (&json!(world.release), &json!([])));
    assert!(texts(&feed, "source").contains(&"two_tower"));
}

#[test]
fn an_explained_feed_tells_every_outcome_and_the_way_of_each_item() {
    let server = Server::start_on(World::shared().active(), PATIENT).ready();
    let feed = server.get("/v1/users/u1/feed?explain=true").expect(200);
    for item in items(&feed) {
        let told = &item["explain"];
        for outcome in ["long_view", "finish", "like", "comment", "share", "follow", "skip", "dislike"] {
            let p = told["outcomes"][outcome].as_f64().unwrap_or_else(|| panic!("no {outcome}: {told}"));
            assert!((0.0..=1.0).contains(&p), "{outcome}: {told}");
        }
        assert!(told["outcomes"]["watch_ms"].as_f64().unwrap() >= 0.0);
        assert!(told["sources"].as_array().unwrap().contains(&item["source"]));
        for (stage, line) in ["sources", "filters", "ranker", "utility"].iter().zip(told["stages"].as_array().unwrap())
        {
            assert!(line.as_str().unwrap().starts_with(stage), "{told}");
        }
    }
    let plain = server.get("/v1/users/u1/feed").expect(200);
    assert!(items(&plain).iter().all(|item| item.get("explain").is_none()));
}

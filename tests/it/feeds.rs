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

/// What went into a score is all of it.
#[track_caller]
fn adds_up(worth: &Value, score: &Value) {
    let sum: f64 = worth.as_object().unwrap().values().map(|adds| adds.as_f64().unwrap()).sum();
    let score = score.as_f64().unwrap();
    assert!((sum - score).abs() <= 1e-5 * (1.0 + score.abs()), "{sum} instead of {score}: {worth}");
}

#[test]
fn a_feed_says_why_a_video_is_not_in_it() {
    let server = Server::start_on(World::shared().active(), PATIENT).ready();
    let why = |query: &str| server.get(&format!("/v1/users/ann/feed/why?{query}")).expect(200);
    let of = |why: &Value| (why["shown"].clone(), why["stage"].clone(), why["reason"].clone());
    assert_eq!(server.send(&json!({"id": "e1", "user": "ann", "video": "v1", "kind": "like"})), "accepted");
    let seen = why("video=v1&after=e1&wait_ms=2000");
    assert_eq!(of(&seen), (json!(false), json!("filters"), json!("seen")));
    // v2 and v34 are by one creator.
    assert_eq!(server.send(&json!({"id": "e2", "user": "ann", "video": "v2", "kind": "block"})), "accepted");
    let blocked = why("video=v34&after=e2&wait_ms=2000");
    assert_eq!(of(&blocked), (json!(false), json!("filters"), json!("blocked_creator")));
    assert_eq!(server.delete("/v1/videos/v9").status, 204);
    assert_eq!(of(&why("video=v9")), (json!(false), json!("filters"), json!("removed")));

    // However short the feed, each other video has its place or is not found, and its story goes with it.
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    for video in (10..320).filter(|video| ![34, 66].contains(video)).step_by(7) {
        let told = why(&format!("video=v{video}&limit=5"));
        let stage = told["stage"].as_str().unwrap_or("shown").to_owned();
        match stage.as_str() {
            "shown" => assert!(told["position"].as_u64().unwrap() < 5, "{told}"),
            "utility" | "diversity" => {
                assert!(told["position"].as_u64().unwrap() >= 5, "{told}");
                assert!(told["score"].as_f64().unwrap() <= told["last_score"].as_f64().unwrap(), "{told}");
            }
            "sources" => {
                assert!(told["sources"].as_array().unwrap().iter().all(|s| s["found"] == false), "{told}");
                let towers = told["sources"].as_array().unwrap().iter().find(|s| s["source"] == "two_tower").unwrap();
                assert!(towers["rank"].as_u64().is_some() && towers["score"].is_number(), "{told}");
            }
            "filters" => assert_eq!(told["reason"], "blocked_creator"),
            _ => panic!("{told}"),
        }
        if stage != "filters" {
            adds_up(&told["explain"]["worth"], &told["score"]);
        }
        *ends.entry(stage).or_default() += 1;
    }
    assert!(ends.contains_key("utility") && ends.contains_key("sources"), "{ends:?}");
    // The best of a feed is in it, here and at the console, which says the same.
    let feed = server.get("/v1/users/ann/feed?limit=1").expect(200);
    let best = items(&feed)[0]["video"].as_str().unwrap();
    for path in ["/v1/users/ann/feed/why", "/admin/api/people/ann/feed/why"] {
        let told = server.get(&format!("{path}?video={best}&limit=100")).expect(200);
        assert_eq!((&told["shown"], &told["stage"], &told["reason"]), (&json!(true), &Value::Null, &Value::Null));
        adds_up(&told["explain"]["worth"], &told["score"]);
    }
}

#[test]
fn to_ask_why_records_nothing_and_is_read_strictly() {
    let server = Server::start().ready();
    server.publish(30);
    for (query, field) in [("", "video"), ("video=", "video"), ("video=v1&limit=0", "limit"), ("video=v1&x=1", "x")] {
        server.get(&format!("/v1/users/u/feed/why?{query}")).problem(400, field);
        server.get(&format!("/admin/api/people/u/feed/why?{query}")).problem(400, field);
    }
    server.get("/v1/users/u/feed/why?video=nowhere").problem(404, "");
    server.get("/admin/api/people/u/feed/why?video=nowhere").problem(404, "");
    let before = server.get("/metrics").text;
    let told = server.get("/v1/users/u/feed/why?video=v1&limit=30").expect(200);
    assert_eq!(
        (&told["user"], &told["video"], &told["degraded"]),
        (&json!("u"), &json!("v1"), &json!(["models: no release"]))
    );
    let counted = |text: &str| {
        let of_feeds = text.lines().filter(|line| line.starts_with("foryou_feed_"));
        of_feeds.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(counted(&before), counted(&server.get("/metrics").text));
    // Nothing counts as served: the next answer is the same.
    let again = server.get("/v1/users/u/feed/why?video=v1&limit=30").expect(200);
    assert_eq!((&told["position"], &told["score"]), (&again["position"], &again["score"]));
    server.get("/admin/api/people/u").problem(404, "");
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
        let found = told["found"].as_array().unwrap();
        assert_eq!(
            found.iter().map(|f| &f["source"]).collect::<Vec<_>>(),
            told["sources"].as_array().unwrap().iter().collect::<Vec<_>>()
        );
        assert!(found.iter().all(|f| f["rank"].is_u64()), "{told}");
        let by_towers = found.iter().find(|f| f["source"] == "two_tower");
        assert!(by_towers.is_none_or(|f| f["score"].is_number()), "{told}");
        adds_up(&told["worth"], &item["score"]);
        for (stage, line) in ["sources", "filters", "ranker", "utility"].iter().zip(told["stages"].as_array().unwrap())
        {
            assert!(line.as_str().unwrap().starts_with(stage), "{told}");
        }
    }
    let plain = server.get("/v1/users/u1/feed").expect(200);
    assert!(items(&plain).iter().all(|item| item.get("explain").is_none()));
}

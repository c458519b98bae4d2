//! The admin console, by what people on call do with it.

use std::sync::{Arc, mpsc};

use foryou_actors::ports::bus::EventBus;
use foryou_schemas::{Event, EventId, Timestamp};
use serde_json::json;

use crate::{
    axe,
    driver::{Browser, SCREENS},
    faults::{Mode, Switch},
    server::Server,
    world::World,
};

/// The row of a table whose first cell begins like this, as an expression.
fn row(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('tbody tr')].find((r) => r.cells[0]?.innerText.trim().startsWith({}))",
        json!(name)
    )
}

fn cell(name: &str, column: usize) -> String {
    format!("{}?.cells[{column}]?.innerText.trim()", row(name))
}

#[track_caller]
fn clean(browser: &Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn browser_shows_a_killed_service_come_back() {
    let server = Server::start().ready();
    let browser = Browser::open(&server.base);
    browser.goto("/admin");
    browser.wait(&format!("{} === 'running' && {} === '0'", cell("ingest", 1), cell("ingest", 2)));
    browser.script(&format!("{}.querySelector('button').click()", row("ingest")));
    browser.wait_for_text("Restart ingest?");
    browser.click("dialog button", "Restart");
    browser.wait(&format!("{} === 'running' && {} === '1'", cell("ingest", 1), cell("ingest", 2)));
    // It takes events again.
    server.publish(3);
    assert_eq!(server.send(&json!({"id": "e", "user": "u", "video": "v0", "kind": "like"})), "accepted");
    server.wait_for("u", "e");
    browser.click("nav a", "Audit log");
    browser.wait(&format!("document.body.innerText.includes('service restart') && {}", row("20")));
    browser.wait_for_text("done");
    clean(&browser);
}

#[test]
fn browser_shows_a_rejected_event_which_is_replayed_or_discarded() {
    let dir = tempfile::tempdir().unwrap();
    let (give, bus) = mpsc::channel::<Arc<dyn EventBus>>();
    let server = Server::start_at("127.0.0.1:0", dir.path(), "", move |engines| {
        give.send(engines.bus.clone()).unwrap();
        engines
    })
    .ready();
    let bus = bus.recv().unwrap();
    // What the edge would refuse comes over the bus, as from a producer elsewhere.
    let event = |id: &str| {
        let text = format!(r#"{{"id": "{id}", "user": "ann", "video": "v1", "kind": "like"}}"#);
        Event::parse(text.as_bytes(), Timestamp::now(), || EventId::new("none").unwrap()).unwrap()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(bus.publish(&[event("good"), event("bad")])).unwrap();
    let browser = Browser::open(&server.base);
    browser.goto("/admin/queues");
    browser.wait(&format!("{} && {}", row("like good"), row("like bad")));
    browser.wait_for_text("is not in the catalogue");
    browser.wait_for_text("2 in quarantine");
    // Once the reason is gone, the event can be applied.
    server.publish(2);
    browser.script(&format!(
        "[...{}.querySelectorAll('button')].find((b) => b.innerText === 'Replay').click()",
        row("like good")
    ));
    browser.click("dialog button", "Replay");
    browser.wait(&format!("!{}", row("like good")));
    server.wait_for("ann", "good");
    browser.script(&format!(
        "[...{}.querySelectorAll('button')].find((b) => b.innerText === 'Discard').click()",
        row("like bad")
    ));
    browser.click("dialog button", "Discard");
    browser.wait_for_text("No event was rejected.");
    let history = server.get("/v1/users/ann/history").expect(200);
    assert_eq!(history["events"].as_array().unwrap().len(), 1, "{history}");
    browser.goto("/admin/audit");
    browser.wait_for_text("event replay");
    browser.wait_for_text("event discard");
    clean(&browser);
}

#[test]
fn browser_shows_a_release_activated() {
    let world = World::shared();
    let server = Server::start_on(world.inactive(), "").ready();
    let browser = Browser::open(&server.base);
    browser.goto("/admin/models");
    browser.wait(&row(&world.release));
    browser.click("tbody button", "Activate");
    browser.click("dialog button", "Activate");
    browser.wait(&format!("{} === 'serving'", cell(&world.release, 1)));
    let feed = server.get("/v1/users/u1/feed").expect(200);
    assert_eq!(feed["release"], world.release.as_str());
    browser.goto("/admin/audit");
    browser.wait_for_text("release activate");
    clean(&browser);
}

#[test]
fn browser_tells_what_is_not_as_it_should_be() {
    let (dir, switch) = (tempfile::tempdir().unwrap(), Switch::new());
    let server = Server::start_at("127.0.0.1:0", dir.path(), "", switch.store()).ready();
    let browser = Browser::open(&server.base);
    browser.goto("/admin/freshness");
    browser.wait("document.querySelector('.connection')?.innerText.includes('live')");
    let alarm = "document.querySelector('.alarms')?.innerText.includes('store: switched off by the test')";
    assert_eq!(browser.script(&format!("return Boolean({alarm})")), json!(false));
    switch.set(Mode::Fails);
    browser.wait(alarm);
    // It leads to where one looks next.
    browser.click(".alarms a", "Look");
    browser.wait("location.pathname === '/admin/store'");
    switch.set(Mode::Well);
    browser.wait(&format!("!{alarm}"));
    clean(&browser);
}

#[test]
fn browser_finds_every_page_whole_on_every_screen_and_open_to_everybody() {
    let server = Server::start_on(World::shared().active(), "").ready();
    for user in 0..20 {
        let feed = server.get(&format!("/v1/users/u{user}/feed")).expect(200);
        let video = feed["items"][0]["video"].as_str().unwrap().to_owned();
        let id = format!("seen-{user}");
        server.send(&json!({"id": id, "user": format!("u{user}"), "video": video, "kind": "view", "watch_ms": 9000}));
        server.wait_for(&format!("u{user}"), &id);
    }
    let browser = Browser::open(&server.base);
    let pages =
        ["actors", "freshness", "feed", "people", "queues", "store", "index", "models", "training", "nodes", "audit"];
    let pages = pages.iter().map(|page| (*page, format!("/admin/{page}")));
    for (name, path) in pages.chain([("person", "/admin/people/u3".into()), ("inspector", "/admin/feed/u3".into())]) {
        for screen in SCREENS {
            browser.screen(screen);
            browser.goto(&path);
            browser.wait("document.querySelector('.connection')?.innerText.includes('live')");
            browser.wait("!document.querySelector('main').innerText.includes('…')");
            let overflow =
                browser.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
            assert_eq!(overflow, json!(0), "{path} is wider than {}", screen.name);
            browser.picture(&format!("console-{name}-{}", screen.name));
            let found = axe::violations(&browser);
            assert!(found.is_empty(), "{path} on {}: {found:#?}", screen.name);
        }
        clean(&browser);
    }
}

#[test]
fn browser_tells_why_a_video_is_or_is_not_in_a_feed() {
    let server =
        Server::start_on(World::shared().active(), "feed = { budget_ms = 10000, source_budget_ms = 10000 }").ready();
    server.send(&json!({"id": "seen", "user": "ann", "video": "v7", "kind": "view", "watch_ms": 9000}));
    server.wait_for("ann", "seen");
    let feed = server.get("/admin/api/people/ann/feed?limit=1").expect(200);
    let best = feed["items"][0]["item"]["video"].as_str().unwrap().to_owned();
    let browser = Browser::open(&server.base);
    let ask = |video: &str, tells: &str| {
        browser.script("const i = document.querySelector('[name=video]'); i.value = ''; i.focus()");
        browser.keys(&format!("{video}\u{e007}"));
        browser.wait(&format!("document.querySelector('.verdict strong')?.innerText === {}", json!(video)));
        browser.wait(&format!("document.querySelector('.verdict')?.innerText.includes({})", json!(tells)));
    };
    // It may be anywhere, but it is told where, and what its score is made of adds up to what is shown.
    let somewhere = (10..60).map(|n| format!("v{n}")).find(|video| *video != best).unwrap();
    for screen in SCREENS {
        browser.screen(screen);
        browser.goto("/admin/feed/ann");
        browser.wait("document.querySelector('.connection')?.innerText.includes('live')");
        browser.wait("document.querySelectorAll('.item').length === 30");
        ask("v7", "the person saw it within the seen window");
        ask(&somewhere, "Sources");
        ask(&best, "Shown as number");
        browser.wait("document.querySelector('.verdict .worth .total')");
        browser.script("document.querySelector('.item details').open = true");
        browser.wait("document.querySelector('.item .worth .total .value').innerText === document.querySelector('.item .score').lastChild.textContent");
        let overflow =
            browser.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        browser.picture(&format!("console-why-{}", screen.name));
        assert_eq!(overflow, json!(0), "wider than {}", screen.name);
        let found = axe::violations(&browser);
        assert!(found.is_empty(), "on {}: {found:#?}", screen.name);
        ask(&somewhere, "Sources");
        browser.picture(&format!("console-why-not-{}", screen.name));
        let found = axe::violations(&browser);
        assert!(found.is_empty(), "on {}: {found:#?}", screen.name);
    }
    clean(&browser);
}

#[test]
fn browser_obeys_the_keyboard() {
    let server = Server::start().ready();
    let browser = Browser::open(&server.base);
    browser.goto("/admin/actors");
    browser.wait("document.querySelector('.connection')?.innerText.includes('live')");
    browser.keys("gf");
    browser.wait("location.pathname === '/admin/freshness' && document.activeElement.innerText === 'Freshness'");
    browser.keys("?");
    browser.wait_for_text("Keyboard shortcuts");
    browser.keys("\u{e00c}");
    browser.wait("!document.querySelector('dialog')");
    browser.keys("d");
    browser.wait("document.documentElement.dataset.theme === 'dark'");
    browser.keys("/");
    browser.wait("document.activeElement.name === 'user'");
    browser.keys("somebody\u{e007}");
    browser.wait("location.pathname === '/admin/people/somebody'");
    browser.wait_for_text("There is no user somebody");
    // Back leads where one was, and a chart reads its values to the arrow keys.
    browser.script("history.back()");
    browser.wait("location.pathname === '/admin/people'");
    browser.keys("ga");
    browser.wait("document.querySelectorAll('.frame .line').length > 0");
    browser.script("document.querySelector('.frame').focus()");
    browser.keys("\u{e012}");
    browser.wait("document.querySelector('.frame .tip:not([hidden])')?.innerText.includes('accepted')");
    browser.keys("\u{e00c}");
    browser.wait("!document.querySelector('.frame .tip:not([hidden])')");
    // And to the pointer.
    browser.point_at(".frame");
    browser.wait("document.querySelector('.frame .tip:not([hidden])')?.innerText.includes('accepted')");
    // The unknown person's 404 is in the log.
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("/admin/api/people/somebody")), "{complaints:?}");
}

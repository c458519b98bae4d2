//! The demo page, by what people do there.

use serde_json::{Value, json};

use crate::{
    axe,
    driver::{Browser, SCREENS},
    server::Server,
    world::World,
};

/// However busy the machine is, no stage is too late.
const PATIENT: &str = "feed = { budget_ms = 10000, source_budget_ms = 10000 }\nsockets = { coalesce_ms = 0 }";

fn serve() -> Server {
    Server::start_on(World::shared().active(), PATIENT).ready()
}

/// The page of a person, with a video on the screen and others behind it.
fn open(server: &Server, user: &str) -> Browser {
    let browser = Browser::open(&server.base);
    browser.screen(SCREENS[0]);
    browser.goto(&format!("/demo?user={user}"));
    browser.wait("document.querySelector('.card.here') && document.querySelectorAll('.next li').length > 2");
    browser
}

/// What stands on the screen.
fn title(browser: &Browser) -> String {
    browser.script("return document.querySelector('.card.here .title').innerText").as_str().unwrap().to_owned()
}

fn video(browser: &Browser) -> String {
    title(browser).trim_start_matches("Video ").to_owned()
}

/// The person's events of a kind, as the server knows them.
fn done(server: &Server, user: &str, kind: &str) -> Vec<String> {
    let answer = server.get(&format!("/v1/users/{user}/history?limit=100"));
    let Value::Array(events) = answer.json()["events"].take() else { return Vec::new() };
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event["video"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn clean(browser: &Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn browser_feels_a_feed_that_follows() {
    let server = serve();
    let browser = open(&server, "guest-ann");
    let first = video(&browser);
    // A like brings another tail, and how long that took.
    browser.keys("l");
    browser.wait("document.querySelector('.action.like[aria-pressed=true]')");
    browser.wait("document.querySelector('.log li .what')?.innerText === 'Liked' && parseFloat(document.querySelector('.big').innerText) > 0");
    browser.wait("document.querySelector('.note').innerText !== ''");
    assert_eq!(done(&server, "guest-ann", "like"), [first.as_str()]);
    // Why: sources, and what the ranker expects.
    browser.wait("document.querySelector('.sources .source') && document.querySelectorAll('.outcomes dd').length >= 4");
    // A key goes on, and what was watched is told.
    let next = browser.script("return document.querySelector('.next li').dataset.video");
    browser.keys("j");
    browser.wait(&format!(
        "!document.querySelector('.card.here .title').innerText.endsWith({})",
        json!(format!(" {first}"))
    ));
    assert_eq!(json!(video(&browser)), next, "what was next comes");
    browser.wait(
        "[...document.querySelectorAll('.log .what')].some((e) => /^(Watched|Swiped|Skipped)/.test(e.innerText))",
    );
    // Back, and forth by a wheel and by a finger.
    browser.keys("k");
    browser.wait(&format!(
        "document.querySelector('.card.here .title').innerText === {}",
        json!(format!("Video {first}"))
    ));
    browser.script("document.querySelector('.phone').dispatchEvent(new WheelEvent('wheel', {deltaY: 120, bubbles: true, cancelable: true}))");
    browser.wait(&format!(
        "document.querySelector('.card.here .title').innerText === {}",
        json!(format!("Video {}", next.as_str().unwrap()))
    ));
    let before = title(&browser);
    browser.swipe_up(".screen");
    browser.wait(&format!("document.querySelector('.card.here .title').innerText !== {}", json!(before)));
    // Time runs.
    browser.wait("document.querySelector('.card.here .progress').getAttribute('aria-valuenow') > 0");
    clean(&browser);
}

#[test]
fn browser_shows_nothing_more_of_what_is_not_wanted() {
    let server = serve();
    let browser = open(&server, "guest-bea");
    let unwanted = video(&browser);
    browser.keys("x");
    browser.wait(&format!(
        "document.querySelector('.card.here .title').innerText !== {}",
        json!(format!("Video {unwanted}"))
    ));
    assert_eq!(done(&server, "guest-bea", "dislike"), [unwanted.as_str()]);
    let listed = format!("document.querySelector('.next li[data-video={}]')", json!(unwanted));
    assert_eq!(browser.script(&format!("return Boolean({listed})")), json!(false));
    // A blocked creator leaves the tail.
    let creator = browser.script("return document.querySelector('.card.here .creator').innerText");
    browser.keys("b");
    browser.wait("[...document.querySelectorAll('.log .what')].some((e) => e.innerText === 'Blocked')");
    let others = format!(
        "[...document.querySelectorAll('.next li .what span')].every((e) => !e.innerText.startsWith({} + ' '))",
        creator
    );
    browser.wait(&others);
    browser.wait(&format!("document.querySelector('.card.here .creator').innerText !== {creator}"));
    clean(&browser);
}

#[test]
fn browser_survives_a_restart_of_the_server() {
    let server = serve();
    let browser = open(&server, "guest-cleo");
    browser.keys("l");
    browser.wait("document.querySelector('.log li')");
    let (seen, address) = (video(&browser), server.address().to_owned());
    let dir = server.stopped();
    browser.wait("document.querySelector('.connection').innerText === 'reconnecting'");
    // What is at hand goes on, and what is done meanwhile is not lost.
    browser.keys("j");
    browser
        .wait(&format!("document.querySelector('.card.here .title').innerText !== {}", json!(format!("Video {seen}"))));
    browser.keys("l");
    let liked = video(&browser);
    let server = Server::start_at(&address, dir.path(), PATIENT, |engines| engines).ready();
    browser.wait("document.querySelector('.connection').innerText === 'live'");
    browser.wait("document.querySelectorAll('.next li').length > 2");
    let told = || done(&server, "guest-cleo", "like");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while told() != [liked.as_str(), seen.as_str()] {
        assert!(std::time::Instant::now() < until, "{:?} is not what was liked", told());
    }
    // Nothing watched comes again.
    for watched in [&seen, &liked] {
        let listed = format!("return Boolean(document.querySelector('.next li[data-video={}]'))", json!(watched));
        assert_eq!(browser.script(&listed), json!(false), "{watched}");
    }
    let video = video(&browser);
    browser.keys("j");
    browser.wait(&format!(
        "document.querySelector('.card.here .title').innerText !== {}",
        json!(format!("Video {video}"))
    ));
    // While it was away its absence is in the log, and nothing else.
    let complaints = browser.complaints();
    let absence = |line: &&String| line.contains("ERR_CONNECTION") || line.contains("WebSocket");
    assert!(complaints.iter().all(|line| absence(&line)), "{complaints:?}");
}

#[test]
fn browser_chooses_whose_feed_it_is_and_finds_the_demo_whole_on_every_screen() {
    let server = serve();
    let browser = Browser::open(&server.base);
    for screen in SCREENS {
        browser.screen(screen);
        browser.goto("/");
        browser.wait("document.querySelectorAll('li a').length >= 3");
        browser.picture(&format!("home-{}", screen.name));
        let found = axe::violations(&browser);
        assert!(found.is_empty(), "/ on {}: {found:#?}", screen.name);
        browser.goto("/demo");
        browser.wait("document.querySelectorAll('dialog .option').length > 3");
        browser.picture(&format!("demo-people-{}", screen.name));
        let found = axe::violations(&browser);
        assert!(found.is_empty(), "whose feed, on {}: {found:#?}", screen.name);
        browser.script("document.querySelectorAll('dialog .option')[1].click()");
        browser.wait("location.search.startsWith('?user=u') && document.querySelector('.card.here') && document.querySelectorAll('.next li').length > 2");
        browser.keys("l");
        browser.wait("document.querySelector('.log li')");
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.script(overflow), json!(0), "/demo is wider than {}", screen.name);
        browser.picture(&format!("demo-{}", screen.name));
        let found = axe::violations(&browser);
        assert!(found.is_empty(), "/demo on {}: {found:#?}", screen.name);
        if screen.width < 600 {
            browser.click(".sheet-open", "");
            browser.wait("document.querySelector('.sheet.open') && document.activeElement.closest('.sheet-head')");
            browser.wait("document.querySelector('.sheet').getAnimations().length === 0");
            browser.picture(&format!("demo-why-{}", screen.name));
            let found = axe::violations(&browser);
            assert!(found.is_empty(), "why, on {}: {found:#?}", screen.name);
            browser.keys("\u{e00c}");
            browser.wait("!document.querySelector('.sheet.open')");
        } else {
            browser.keys("?");
            browser.wait_for_text("Keyboard shortcuts");
            browser.keys("\u{e00c}");
            browser.wait("!document.querySelector('dialog')");
        }
        clean(&browser);
    }
}

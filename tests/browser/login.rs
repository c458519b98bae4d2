//! The way into the console where callers are checked.

use crate::{
    axe,
    callers::{Guarded, PASSWORD},
    driver::{Browser, SCREENS},
};

/// The page is whole on every screen and open to everybody; a picture of each is kept.
#[track_caller]
fn whole(browser: &Browser, name: &str, path: &str, ready: &str) {
    for screen in SCREENS {
        browser.screen(screen);
        browser.goto(path);
        browser.wait(ready);
        let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.script(overflow), 0, "{path} is wider than {}", screen.name);
        browser.picture(&format!("{name}-{}", screen.name));
        let found = axe::violations(browser);
        assert!(found.is_empty(), "{path} on {}: {found:#?}", screen.name);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{path}");
}

#[test]
fn browser_comes_into_the_console_with_a_password_and_goes_out_again() {
    let guarded = Guarded::start("");
    guarded.server.wait_ready();
    let browser = Browser::open(&guarded.server.base);
    let form = "document.querySelector('input[type=password]')";
    whole(&browser, "login", "/admin/queues", form);
    let try_in = |password: &str| {
        browser.script("document.querySelector('#name').focus()");
        browser.keys(&format!("anna\u{e004}{password}\u{e007}"));
    };
    try_in("something else");
    browser.wait_for_text("Name or password is wrong.");
    try_in(PASSWORD);
    // Where one wanted to go, with all that a change needs.
    browser.wait("location.pathname === '/admin/queues'");
    browser.wait("document.querySelector('.connection')?.innerText.includes('live')");
    browser.goto("/admin/actors");
    let row = "[...document.querySelectorAll('tbody tr')].find((r) => r.innerText.startsWith('trends'))";
    browser.wait(row);
    browser.script(&format!("{row}.querySelector('button').click()"));
    browser.click("dialog button", "Restart");
    browser.wait_for_text("trends restarts");
    browser.goto("/admin/audit");
    browser.wait_for_text("service restart");
    browser.click("button", "Log out");
    browser.wait(&format!("location.pathname === '/admin/login' && {form}"));
    browser.goto("/admin/audit");
    browser.wait(form);
    // The wrong password is in the log, and nothing else.
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|line| line.contains("/admin/login") && line.contains("401")), "{complaints:?}");
}

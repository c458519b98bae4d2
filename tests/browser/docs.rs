//! The pages that are read: the document of the interface.

use serde_json::json;

use crate::{
    axe,
    driver::{Browser, SCREENS},
    server::Server,
};

#[test]
fn browser_reads_the_document_of_the_interface_on_every_screen() {
    let server = Server::start();
    let browser = Browser::open(&server.base);
    for screen in SCREENS {
        browser.screen(screen);
        browser.goto("/docs");
        browser.wait("document.querySelectorAll('article.card').length > 30");
        let overflow =
            browser.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(overflow, json!(0), "/docs is wider than {}", screen.name);
        browser.picture_of_screen(&format!("docs-{}", screen.name));
        let found = axe::violations(&browser);
        assert!(found.is_empty(), "/docs on {}: {found:#?}", screen.name);
        // Every link within the page leads somewhere.
        let lost = "return [...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.getAttribute('href').slice(1)).filter((id) => !document.getElementById(id))";
        assert_eq!(browser.script(lost), json!([]));
        // The list leads to an operation, which stands below the head, not behind it.
        browser.script("document.documentElement.style.setProperty('scroll-behavior', 'auto')");
        browser.click("nav a[href='#getFeed']", "");
        browser.wait("location.hash === '#getFeed' && document.querySelector('#getFeed').matches(':target')");
        browser.wait("document.querySelector('#getFeed').getBoundingClientRect().top < innerHeight / 2");
        browser.wait("document.querySelector('#getFeed').getBoundingClientRect().top >= document.querySelector('.top').getBoundingClientRect().bottom");
        browser.picture_of_screen(&format!("docs-operation-{}", screen.name));
        browser.goto("/docs#schemas");
        browser.picture_of_screen(&format!("docs-schemas-{}", screen.name));
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
}

//! `/`: the faces of the server, for whoever comes by.

use std::fmt::Write as _;

use actix_web::{HttpResponse, web::Data};

use super::{declared, html::Head};
use crate::app::App;

const HEAD: Head = Head {
    title: "foryou",
    styles: &["/assets/shared/tokens.css", "/assets/home/home.css"],
    script: None,
    covers: false,
};

/// A face: where, its name, what it is.
const FACES: &[(&str, &str, &str)] = &[
    ("/demo", "Demo", "Swipe, like, skip: a feed that changes while you watch, and says why."),
    ("/admin", "Console", "For whoever is on call: every service, queue, model and person, live."),
    ("/docs", "API", "Every route with its parameters, fields and answers."),
    ("/metrics", "Metrics", "The same figures as the console's, for Prometheus."),
];

/// Names the faces that are there.
pub async fn get(app: Data<App>) -> HttpResponse {
    let routes = declared();
    let is_there = |path: &str| match path {
        "/demo" => app.demo.is_on(),
        _ => routes.iter().any(|(known, ..)| *known == path),
    };
    let mut html = HEAD.html();
    html += include_str!("home/head.html");
    for (path, name, text) in FACES.iter().filter(|(path, ..)| is_there(path)) {
        _ = writeln!(
            html,
            "<li><a href=\"{path}\"><strong>{name}</strong><span>{text}</span><code>{path}</code></a></li>"
        );
    }
    html += include_str!("home/tail.html");
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html)
}

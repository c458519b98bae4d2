//! `GET /v1/trending`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use foryou_schemas::{Country, id::check_id};

use super::{
    input::Query,
    items,
    openapi::{Group, Spec, field, refers, word},
};
use crate::{app::App, error::Problem, window::Window};

/// What the document says of it.
pub fn spec() -> Spec {
    Spec::new(
        Group::Videos,
        "getTrending",
        "What is popular now",
        "By counts that decay with the window's half-life, best first.",
    )
    .limit()
    .query("country", "Among people there", refers("Country"))
    .query("category", "Of this category only", field("video", "category"))
    .query("window", "The half-life of the counts", word(&Window::names(), Some(Window::default().name())))
    .answers::<items::Items<'_>>(200, "The videos")
}

/// The videos that are liked most now, best first.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let limit = query.limit();
    let country = query.take("country", Country::parse);
    let category = query.take("category", |text| check_id(text).map(|()| text.to_owned()));
    let window = query.take("window", Window::parse);
    query.finish()?;
    let trending = app.feeds.trending(limit, country, category.as_deref(), window);
    items::answer(&app.live.catalogue(), &trending)
}

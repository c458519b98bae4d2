//! The admin console, `/admin`: one page, which asks `/admin/api/` for what it shows. A file for each of its areas.

mod alarms;
mod audit;
mod engines;
mod feeds;
mod live;
mod models;
mod people;
mod scene;
mod services;
mod status;

use actix_web::{HttpRequest, HttpResponse, http::Method, web, web::ServiceConfig};

use super::{about_person, assets, route};
use crate::error::Problem;
pub use scene::scene;

/// The console's routes.
pub fn routes(web: &mut ServiceConfig) {
    route(web, "/admin/api/start", [(Method::GET, web::to(live::start))]);
    route(web, "/admin/api/history", [(Method::GET, web::to(live::history))]);
    route(web, "/admin/api/live", [(Method::GET, web::to(live::live))]);
    route(web, "/admin/api/services/{id}/restart", [(Method::POST, web::to(services::restart))]);
    route(web, "/admin/api/sessions", [(Method::GET, web::to(people::sessions))]);
    about_person(web, "/admin/api/people/{id}", [(Method::GET, web::to(people::person))]);
    about_person(web, "/admin/api/people/{id}/feed", [(Method::GET, web::to(feeds::inspect))]);
    route(web, "/admin/api/degraded", [(Method::GET, web::to(feeds::degraded))]);
    route(web, "/admin/api/freshness", [(Method::GET, web::to(feeds::freshness))]);
    route(web, "/admin/api/releases", [(Method::GET, web::to(models::releases))]);
    route(web, "/admin/api/releases/{id}/activate", [(Method::POST, web::to(models::activate))]);
    route(web, "/admin/api/rollback", [(Method::POST, web::to(models::rollback))]);
    route(web, "/admin/api/training", [(Method::GET, web::to(models::training))]);
    route(web, "/admin/api/index", [(Method::GET, web::to(models::index))]);
    route(web, "/admin/api/index/recall", [(Method::GET, web::to(models::measure))]);
    route(web, "/admin/api/store", [(Method::GET, web::to(engines::store))]);
    route(web, "/admin/api/nodes", [(Method::GET, web::to(engines::nodes))]);
    route(web, "/admin", [(Method::GET, web::to(shell))]);
    // The page's own router reads the rest of the path.
    route(web, "/admin/{page:[^.]*}", [(Method::GET, web::to(shell))]);
}

async fn shell(request: HttpRequest) -> Result<HttpResponse, Problem> {
    assets::page(&request, "console/index.html")
}

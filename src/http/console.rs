//! The admin console, `/admin`: one page, which asks `/admin/api/` for what it shows. A file for each of its areas.

mod alarms;
mod audit;
mod engines;
mod feeds;
mod live;
mod models;
mod people;
mod quarantine;
mod scene;
mod services;
mod status;

use actix_web::{HttpRequest, HttpResponse, http::Method, web};

use super::{about_person, assets, route, table::Table};
use crate::{access::Access::Admin, error::Problem};
pub use scene::scene;

/// The console's routes.
pub fn routes(web: &mut Table) {
    route(web, "/admin/api/start", [(Method::GET, Admin, web::to(live::start))]);
    route(web, "/admin/api/history", [(Method::GET, Admin, web::to(live::history))]);
    route(web, "/admin/api/live", [(Method::GET, Admin, web::to(live::live))]);
    route(web, "/admin/api/services/{id}/restart", [(Method::POST, Admin, web::to(services::restart))]);
    route(web, "/admin/api/audit", [(Method::GET, Admin, web::to(audit::get))]);
    route(web, "/admin/api/quarantine", [(Method::GET, Admin, web::to(quarantine::list))]);
    route(web, "/admin/api/quarantine/{id}/replay", [(Method::POST, Admin, web::to(quarantine::replay))]);
    route(web, "/admin/api/quarantine/{id}/discard", [(Method::POST, Admin, web::to(quarantine::discard))]);
    route(web, "/admin/api/sessions", [(Method::GET, Admin, web::to(people::sessions))]);
    about_person(web, "/admin/api/people/{id}", [(Method::GET, Admin, web::to(people::person))]);
    about_person(web, "/admin/api/people/{id}/feed", [(Method::GET, Admin, web::to(feeds::inspect))]);
    about_person(web, "/admin/api/people/{id}/feed/why", [(Method::GET, Admin, web::to(feeds::why))]);
    route(web, "/admin/api/degraded", [(Method::GET, Admin, web::to(feeds::degraded))]);
    route(web, "/admin/api/freshness", [(Method::GET, Admin, web::to(feeds::freshness))]);
    route(web, "/admin/api/releases", [(Method::GET, Admin, web::to(models::releases))]);
    route(web, "/admin/api/releases/{id}/activate", [(Method::POST, Admin, web::to(models::activate))]);
    route(web, "/admin/api/rollback", [(Method::POST, Admin, web::to(models::rollback))]);
    route(web, "/admin/api/training", [(Method::GET, Admin, web::to(models::training))]);
    route(web, "/admin/api/index", [(Method::GET, Admin, web::to(models::index))]);
    route(web, "/admin/api/index/recall", [(Method::GET, Admin, web::to(models::measure))]);
    route(web, "/admin/api/store", [(Method::GET, Admin, web::to(engines::store))]);
    route(web, "/admin/api/nodes", [(Method::GET, Admin, web::to(engines::nodes))]);
    route(web, "/admin", [(Method::GET, Admin, web::to(shell))]);
    // The page's own router reads the rest of the path.
    route(web, "/admin/{page:[^.]*}", [(Method::GET, Admin, web::to(shell))]);
}

async fn shell(request: HttpRequest) -> Result<HttpResponse, Problem> {
    assets::page(&request, "console/body.html")
}

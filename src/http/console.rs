//! The admin console, `/admin`: one page, which asks `/admin/api/` for what it shows. A file for each of its areas.

mod alarms;
mod audit;
mod live;
mod scene;
mod services;
mod status;

use actix_web::{HttpRequest, HttpResponse, http::Method, web, web::ServiceConfig};

use super::{assets, route};
use crate::error::Problem;
pub use scene::scene;

/// The console's routes.
pub fn routes(web: &mut ServiceConfig) {
    route(web, "/admin/api/start", [(Method::GET, web::to(live::start))]);
    route(web, "/admin/api/history", [(Method::GET, web::to(live::history))]);
    route(web, "/admin/api/live", [(Method::GET, web::to(live::live))]);
    route(web, "/admin/api/services/{id}/restart", [(Method::POST, web::to(services::restart))]);
    route(web, "/admin", [(Method::GET, web::to(shell))]);
    // The page's own router reads the rest of the path.
    route(web, "/admin/{page:[^.]*}", [(Method::GET, web::to(shell))]);
}

async fn shell(request: HttpRequest) -> Result<HttpResponse, Problem> {
    assets::page(&request, "console/index.html")
}

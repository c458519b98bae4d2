//! The admin console, `/admin`: one page, which asks `/admin/api/` for what it shows.

use actix_web::{HttpRequest, HttpResponse, http::Method, web, web::ServiceConfig};

use super::{assets, route};
use crate::error::Problem;

/// The console's routes.
pub fn routes(web: &mut ServiceConfig) {
    route(web, "/admin", [(Method::GET, web::to(shell))]);
    // The page's own router reads the rest of the path.
    route(web, "/admin/{page:.*}", [(Method::GET, web::to(shell))]);
}

async fn shell(request: HttpRequest) -> Result<HttpResponse, Problem> {
    assets::page(&request, "console/index.html")
}

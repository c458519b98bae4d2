//! The HTTP interface: one file per route. `contract.md` of the project fixes what it says and hears.

mod around;
mod assets;
mod claims;
pub mod console;
mod events;
mod feed;
mod forward;
mod health;
mod history;
mod input;
mod items;
mod metrics;
mod patience;
mod peers;
mod results;
mod similar;
pub mod tallies;
mod trending;
mod user;
mod users;
mod video;
mod videos;

use std::net::TcpListener;

use actix_web::{
    App as Web, HttpRequest, HttpServer, Resource, Responder, Route,
    dev::Server,
    guard::fn_guard,
    http::Method,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};

use crate::{app::App, config, error::Problem};
use around::InFlight;
pub use claims::Claims;
pub use events::EventCounts;
use forward::Forwarder;
use input::BodyLimits;
pub use peers::Peers;

/// Serves `app` on `listener` until the server's handle is told to stop; then requests at work are finished first.
///
/// Await the result to run it. Signals are the caller's.
pub fn serve(app: Data<App>, listener: TcpListener) -> std::io::Result<Server> {
    let settings = app.config.server.clone();
    let in_flight = InFlight::new(settings.max_in_flight.count());
    let seen = in_flight.clone();
    app.metrics.observed("http_in_flight", "Requests at work", move || seen.now() as f64);
    let limits = BodyLimits { bytes: settings.body_limit_kb.count() * 1024, time: settings.body_timeout_ms.millis() };
    let (in_flight, limits) = (Data::new(in_flight), Data::new(limits));
    let metrics = Data::from(app.metrics.clone());
    let server = HttpServer::new(move || {
        Web::new()
            // One for each worker.
            .app_data(Data::new(Forwarder::new(app.membership.name(), &app.metrics)))
            .app_data(app.clone())
            .app_data(metrics.clone())
            .app_data(in_flight.clone())
            .app_data(limits.clone())
            .wrap(from_fn(around::around))
            .configure(routes)
            .default_service(web::to(no_route))
    });
    let keep_alive = settings.keep_alive_s.seconds();
    Ok(server
        .workers(config::threads(settings.workers.count()))
        .max_connections(settings.max_connections.count())
        .client_request_timeout(settings.head_timeout_ms.millis())
        .keep_alive(if keep_alive.is_zero() { actix_web::http::KeepAlive::Disabled } else { keep_alive.into() })
        .shutdown_timeout(settings.drain_s.get().into())
        .disable_signals()
        .listen(listener)?
        .run())
}

fn routes(web: &mut ServiceConfig) {
    route(web, "/v1/events", [(Method::POST, web::to(events::post))]);
    route(web, "/v1/users", [(Method::POST, web::to(users::post))]);
    about_person(
        web,
        "/v1/users/{id}",
        [(Method::PUT, web::to(user::put)), (Method::GET, web::to(user::get)), (Method::DELETE, web::to(user::delete))],
    );
    about_person(web, "/v1/users/{id}/feed", [(Method::GET, web::to(feed::get))]);
    about_person(web, "/v1/users/{id}/history", [(Method::GET, web::to(history::get))]);
    route(web, "/v1/videos", [(Method::POST, web::to(videos::post))]);
    route(
        web,
        "/v1/videos/{id}",
        [
            (Method::PUT, web::to(video::put)),
            (Method::GET, web::to(video::get)),
            (Method::DELETE, web::to(video::delete)),
        ],
    );
    route(web, "/v1/videos/{id}/similar", [(Method::GET, web::to(similar::get))]);
    route(web, "/v1/trending", [(Method::GET, web::to(trending::get))]);
    route(web, tallies::PATH, [(Method::GET, web::to(tallies::get))]);
    route(web, "/healthz", [(Method::GET, web::to(health::healthz))]);
    route(web, "/readyz", [(Method::GET, web::to(health::readyz))]);
    route(web, "/metrics", [(Method::GET, web::to(metrics::get))]);
    route(web, assets::PATH, [(Method::GET, web::to(assets::get))]);
    console::routes(web);
}

fn route<const N: usize>(web: &mut ServiceConfig, path: &str, methods: [(Method, Route); N]) {
    web.service(resource(path, methods));
}

/// A route whose `{id}` is a person: answered by the node that holds the person.
fn about_person<const N: usize>(web: &mut ServiceConfig, path: &str, methods: [(Method, Route); N]) {
    web.service(resource(path, methods).wrap(from_fn(forward::to_home)));
}

/// A path with its methods; any other method is refused with the list of them.
fn resource<const N: usize>(path: &str, methods: [(Method, Route); N]) -> Resource {
    let allow = methods.each_ref().map(|(method, _)| method.as_str()).join(", ");
    let mut resource = web::resource(path);
    for (method, route) in methods {
        resource = resource.route(route.guard(fn_guard(move |context| context.head().method == method)));
    }
    resource.default_service(web::to(move |request: HttpRequest| {
        let problem = Problem::method(request.method().as_str(), allow.clone());
        async move { Err::<String, _>(problem) }
    }))
}

async fn no_route(request: HttpRequest) -> impl Responder {
    Err::<String, _>(Problem::no_route(request.path()))
}

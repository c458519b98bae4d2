//! The HTTP interface: one file per route. `contract.md` of the project fixes what it says and hears.

mod around;
mod assets;
mod claims;
pub mod console;
mod creators;
pub mod demo;
mod events;
mod feed;
pub mod feed_socket;
mod forward;
mod health;
mod history;
mod home;
mod html;
pub mod input;
mod items;
pub mod login;
mod metrics;
mod openapi;
mod patience;
pub mod results;
mod similar;
mod table;
pub mod tallies;
mod trending;
mod user;
mod users;
mod video;
mod videos;

use std::{net::TcpListener, sync::Arc};

use actix_web::{
    App as Web, HttpRequest, HttpServer, Responder, Route,
    dev::Server,
    http::Method,
    middleware::{Condition, from_fn},
    web::{self, Data},
};

use crate::{
    access::{self, Access},
    app::App,
    config,
    error::Problem,
    tls::Certificate,
};
use around::InFlight;
pub use claims::Claims;
pub use events::EventCounts;
use forward::Forwarder;
use input::BodyLimits;
use table::Table;

/// Serves `app` on `listener` until the server's handle is told to stop; then requests at work are finished first.
///
/// With a certificate it speaks TLS. Await the result to run it. Signals are the caller's.
pub fn serve(app: Data<App>, listener: TcpListener, certificate: Option<&Arc<Certificate>>) -> anyhow::Result<Server> {
    let settings = app.config.server.clone();
    let in_flight = InFlight::new(settings.max_in_flight.count());
    let seen = in_flight.clone();
    app.metrics.observed("http_in_flight", "Requests at work", move || seen.now() as f64);
    let limits = BodyLimits { bytes: settings.body_limit_kb.count() * 1024, time: settings.body_timeout_ms.millis() };
    let (in_flight, limits) = (Data::new(in_flight), Data::new(limits));
    let metrics = Data::from(app.metrics.clone());
    let write_buffer = feed_socket::write_buffer(&app.config.sockets);
    let server = HttpServer::new(move || {
        Web::new()
            // One for each worker.
            .app_data(Data::new(Forwarder::new(&app)))
            .app_data(app.clone())
            .app_data(app.gate.clone())
            .app_data(metrics.clone())
            .app_data(in_flight.clone())
            .app_data(limits.clone())
            .wrap(Condition::new(!app.gate.origins().is_empty(), app.gate.origins().cors()))
            .wrap(from_fn(around::around))
            .configure(|web| {
                let mut table = Table::default();
                routes(&mut table);
                table.register(web);
            })
            .default_service(web::to(no_route))
    });
    let keep_alive = settings.keep_alive_s.seconds();
    let server = server
        .workers(config::threads(settings.workers.count()))
        .max_connections(settings.max_connections.count())
        .client_request_timeout(settings.head_timeout_ms.millis())
        .keep_alive(if keep_alive.is_zero() { actix_web::http::KeepAlive::Disabled } else { keep_alive.into() })
        // A socket's small frames follow each other: the second must not wait until the client has acknowledged the first.
        .tcp_nodelay(true)
        .h1_write_buffer_size(write_buffer)
        .shutdown_timeout(settings.drain_s.get().into())
        .disable_signals();
    let server = match certificate {
        None => server.listen(listener)?,
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.server()?)?,
    };
    Ok(server.run())
}

/// Every route, with who may use it.
fn routes(web: &mut Table) {
    use Access::{AnyScope, Metrics, Nodes, Open, Own, Person, Scope};
    use access::Scope::{Admin, Catalogue, Events, Feed};
    route(web, "/v1/events", [(Method::POST, Person(Events), web::to(events::post))]);
    route(web, "/v1/users", [(Method::POST, Scope(Events), web::to(users::post))]);
    about_person(
        web,
        "/v1/users/{id}",
        [
            (Method::PUT, Scope(Events), web::to(user::put)),
            (Method::GET, Scope(Events), web::to(user::get)),
            (Method::DELETE, Scope(Admin), web::to(user::delete)),
        ],
    );
    about_person(web, "/v1/users/{id}/feed", [(Method::GET, Own(Feed), web::to(feed::get))]);
    about_person(web, "/v1/users/{id}/feed/why", [(Method::GET, Own(Feed), web::to(feed::why))]);
    route(web, feed_socket::PATH, [(Method::GET, Person(Feed), web::to(feed_socket::get))]);
    about_person(web, "/v1/users/{id}/history", [(Method::GET, Own(Feed), web::to(history::get))]);
    about_person(web, "/v1/users/{id}/creators", [(Method::GET, Own(Feed), web::to(creators::get))]);
    route(web, "/v1/videos", [(Method::POST, Scope(Catalogue), web::to(videos::post))]);
    route(
        web,
        "/v1/videos/{id}",
        [
            (Method::PUT, Scope(Catalogue), web::to(video::put)),
            (Method::GET, AnyScope(&[Catalogue, Feed]), web::to(video::get)),
            (Method::DELETE, Scope(Catalogue), web::to(video::delete)),
        ],
    );
    route(web, "/v1/videos/{id}/similar", [(Method::GET, Scope(Feed), web::to(similar::get))]);
    route(web, "/v1/trending", [(Method::GET, Scope(Feed), web::to(trending::get))]);
    route(web, tallies::PATH, [(Method::GET, Nodes, web::to(tallies::get))]);
    route(web, "/healthz", [(Method::GET, Open, web::to(health::healthz))]);
    route(web, "/readyz", [(Method::GET, Open, web::to(health::readyz))]);
    route(web, openapi::PATH, [(Method::GET, Open, web::to(openapi::get))]);
    route(web, openapi::DOCS, [(Method::GET, Open, web::to(openapi::docs))]);
    route(web, login::LOGIN, [(Method::GET, Open, web::to(login::get)), (Method::POST, Open, web::to(login::post))]);
    route(web, login::LOGOUT, [(Method::POST, Access::Admin, web::to(login::logout))]);
    route(web, "/metrics", [(Method::GET, Metrics, web::to(metrics::get))]);
    route(web, assets::PATH, [(Method::GET, Open, web::to(assets::get))]);
    route(web, "/", [(Method::GET, Open, web::to(home::get))]);
    demo::routes(web);
    console::routes(web);
}

/// A path with its methods, and who may use each.
fn route<const N: usize>(web: &mut Table, path: &'static str, methods: [(Method, Access, Route); N]) {
    web.add(path, false, methods);
}

/// A route whose `{id}` is a person: answered by the node that holds the person.
fn about_person<const N: usize>(web: &mut Table, path: &'static str, methods: [(Method, Access, Route); N]) {
    web.add(path, true, methods);
}

/// What every route asks for, by path and method: the table that the server registers.
pub fn declared() -> Vec<(&'static str, Method, Access)> {
    let mut table = Table::default();
    routes(&mut table);
    table.declared()
}

async fn no_route(request: HttpRequest) -> impl Responder {
    Err::<String, _>(Problem::no_route(request.path()))
}

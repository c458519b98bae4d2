//! `/admin/login` and `/admin/logout`: who may come to the console.

use std::{fmt::Write as _, sync::LazyLock, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header},
    web::{Data, Payload},
};
use foryou_actors::ports::audit::Outcome;
use tokio::sync::Semaphore;

use super::{
    html::{Head, escaped},
    input::fields,
};
use crate::{
    access::{Caller, Deed, admins::Session, same_origin},
    app::App,
    error::Problem,
};

/// Paths of these routes.
pub const LOGIN: &str = "/admin/login";
/// The path of the logout.
pub const LOGOUT: &str = "/admin/logout";
/// What its page begins with.
const HEAD: Head = Head {
    title: "Log in · foryou",
    styles: &["/assets/shared/tokens.css", "/assets/login/login.css"],
    script: None,
    covers: false,
};
/// Where a login leads that came for nothing else.
const CONSOLE: &str = "/admin";
/// The largest form, bytes.
const LARGEST: usize = 4_096;
/// How long a form may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Passwords that are checked at a time, of all servers in this process: each takes 19 MiB and a core for a while.
static CHECKS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

/// The form.
pub async fn get(app: Data<App>, request: HttpRequest) -> HttpResponse {
    let fields = fields(request.query_string());
    let next = fields.get("next").map_or(CONSOLE, String::as_str);
    if !app.gate.is_checked() || app.gate.session(&request).is_some() {
        return see(&own_path(next));
    }
    page(StatusCode::OK, &app, next, "")
}

/// Logs in, or shows the form again.
pub async fn post(app: Data<App>, request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    if !same_origin(&request) {
        return Err(Problem::forbidden("A login must come from the login page of this server; open /admin/login."));
    }
    let read = tokio::time::timeout(PATIENCE, payload.to_bytes_limited(LARGEST)).await;
    let body = read.map_err(|_| Problem::too_slow())?.map_err(|_| Problem::too_large(LARGEST))?;
    let body = body.map_err(|_| Problem::of(StatusCode::BAD_REQUEST))?;
    let mut fields = fields(&String::from_utf8_lossy(&body));
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    let (name, password, next) = (take("name"), take("password"), take("next"));
    let from = peer(&request);
    if let Err(wait) = app.gate.attempt(&from) {
        let mut answer = page(StatusCode::TOO_MANY_REQUESTS, &app, &next, "Too many attempts; wait a moment.");
        answer.headers_mut().insert(header::RETRY_AFTER, (wait.as_secs() + 1).into());
        return Ok(answer);
    }
    let right = {
        let _place = CHECKS.acquire().await.map_err(Problem::internal)?;
        let (gate, name) = (app.gate.clone(), name.clone());
        tokio::task::spawn_blocking(move || gate.admins().verify(&name, &password)).await.map_err(Problem::internal)?
    };
    let begun = if right { app.gate.begin_session(&name) } else { None };
    let Some((cookie, session)) = begun else {
        // A name that is none may be a password in the wrong field.
        let who = if app.gate.admins().has(&name) { name.as_str() } else { "somebody" };
        let deed = Deed { action: "login", on: who, outcome: Outcome::Refused, detail: "" };
        app.audit.note_as("somebody", &from, deed).await;
        return Ok(page(StatusCode::UNAUTHORIZED, &app, &next, "Name or password is wrong."));
    };
    let csrf = session.csrf.clone();
    app.audit
        .note(
            &Caller::Admin(session.into()),
            &from,
            Deed { action: "login", on: "", outcome: Outcome::Done, detail: "" },
        )
        .await;
    let mut answer = see(&own_path(&next));
    let lasts = app.gate.admins().lasts().as_secs();
    set_cookies(&app, &mut answer, &cookie, &csrf, lasts)?;
    Ok(answer)
}

/// Logs out, on all nodes.
pub async fn logout(app: Data<App>, caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    if let Some(Session { id, until, .. }) = app.gate.session(&request) {
        app.gate.keys().end(&id, until).await?;
        let deed = Deed { action: "logout", on: "", outcome: Outcome::Done, detail: "" };
        app.audit.note(&caller, &peer(&request), deed).await;
    }
    let mut answer = see(LOGIN);
    set_cookies(&app, &mut answer, "", "", 0)?;
    Ok(answer)
}

/// Where a request comes from, as far as this server sees.
pub fn peer(request: &HttpRequest) -> String {
    request.peer_addr().map_or_else(String::new, |address| address.ip().to_string())
}

fn set_cookies(app: &App, answer: &mut HttpResponse, session: &str, csrf: &str, lasts_s: u64) -> Result<(), Problem> {
    let secure = if app.gate.secure_cookie() { "; Secure" } else { "" };
    let (name, csrf_name) = app.gate.cookie_names();
    let session = format!("{name}={session}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}");
    // For the pages' scripts, which show it with every change.
    let csrf = format!("{csrf_name}={csrf}; Path=/; Max-Age={lasts_s}; SameSite=Strict{secure}");
    for cookie in [session, csrf] {
        let value = header::HeaderValue::from_str(&cookie).map_err(Problem::internal)?;
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(())
}

fn see(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
}

/// A path of the console, whatever was asked for: a login leads nowhere else.
fn own_path(next: &str) -> String {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>'));
    let is_ours = next == CONSOLE || next.starts_with("/admin/") || next.starts_with("/admin?");
    if plain && is_ours { next.to_owned() } else { CONSOLE.to_owned() }
}

fn page(status: StatusCode, app: &App, next: &str, problem: &str) -> HttpResponse {
    let mut html = HEAD.html();
    html += include_str!("login/head.html");
    if !problem.is_empty() {
        _ = writeln!(html, "<p class=\"problem\" role=\"alert\">{problem}</p>");
    }
    match app.gate.admins().is_empty() {
        true => html += include_str!("login/nobody.html"),
        false => html += &include_str!("login/form.html").replace("{next}", &escaped(&own_path(next))),
    }
    html += "</main>\n</body>\n</html>\n";
    HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html)
}

/// What a browser that asks for a page of the console gets in place of a refusal: the way to the form.
pub fn instead(request: &HttpRequest, problem: &Problem) -> Option<HttpResponse> {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok())?;
    if problem.status_code() != StatusCode::UNAUTHORIZED || !accepts.contains("text/html") {
        return None;
    }
    let next = request.uri().path_and_query().map_or(CONSOLE, |next| next.as_str());
    Some(see(&format!("{LOGIN}?next={}", super::input::encode(next))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_the_console_only() {
        for path in ["/admin", "/admin/queues", "/admin?tab=1", "/admin/feed?user=u%201&x=y"] {
            assert_eq!(own_path(path), path);
        }
        for elsewhere in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil",
            "/v1/events",
            "/administrator",
            "/admin/\r\nx: y",
            "/admin/\"x",
        ] {
            assert_eq!(own_path(elsewhere), CONSOLE, "{elsewhere}");
        }
    }
}

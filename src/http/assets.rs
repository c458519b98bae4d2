//! Pages and what they are made of: written by hand, without a build step, carried by the binary.
//!
//! A page may load scripts and styles of this server only, and none inline ([`CONTENT_POLICY`]).

use std::{collections::HashMap, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderName, HeaderValue},
    web::Bytes,
};
use sha2::{Digest, Sha256};

use super::html::Head;
use crate::error::Problem;

/// What a page of this server may load, and who may frame it: nobody.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Where the pages' parts are found: `/assets/` and their path below `web/`.
pub const PATH: &str = "/assets/{path:.*}";

macro_rules! assets {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_bytes!(concat!("../../web/", $path)).as_slice())),*]
    };
}

/// Every file below `web/`.
static FILES: &[(&str, &[u8])] = &assets![
    "console/api.js",
    "console/body.html",
    "console/console.css",
    "console/live.js",
    "console/main.js",
    "console/pages/actors.js",
    "console/pages/audit.js",
    "console/pages/feed.js",
    "console/pages/freshness.js",
    "console/pages/index.js",
    "console/pages/models.js",
    "console/pages/nodes.js",
    "console/pages/people.js",
    "console/pages/queues.js",
    "console/pages/store.js",
    "console/pages/training.js",
    "console/story.js",
    "console/ui.js",
    "demo/body.html",
    "demo/demo.css",
    "demo/feed.js",
    "demo/icons.js",
    "demo/main.js",
    "demo/panels.js",
    "demo/player.js",
    "demo/poster.js",
    "docs/docs.css",
    "home/home.css",
    "login/login.css",
    "shared/chart.css",
    "shared/chart.js",
    "shared/dom.js",
    "shared/format.js",
    "shared/icon.svg",
    "shared/tokens.css",
];

/// The pages that are a body below `web/`, each with its head.
static PAGES: [(&str, Head); 2] = [
    (
        "console/body.html",
        Head {
            title: "foryou console",
            styles: &["/assets/shared/tokens.css", "/assets/shared/chart.css", "/assets/console/console.css"],
            script: Some("/assets/console/main.js"),
            covers: false,
        },
    ),
    (
        "demo/body.html",
        Head {
            title: "foryou demo",
            styles: &["/assets/shared/tokens.css", "/assets/demo/demo.css"],
            script: Some("/assets/demo/main.js"),
            covers: true,
        },
    ),
];

struct Asset {
    media_type: &'static str,
    content: Bytes,
    /// A quoted hash of the content: browsers ask again and are told that nothing changed.
    tag: HeaderValue,
}

static ASSETS: LazyLock<HashMap<&'static str, Asset>> = LazyLock::new(|| {
    let asset = |&(path, content): &(&'static str, &'static [u8])| {
        let content = match PAGES.iter().find(|(page, _)| *page == path) {
            Some((_, head)) => Bytes::from([head.html().as_bytes(), content].concat()),
            None => Bytes::from_static(content),
        };
        let hash: String = Sha256::digest(&content).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let tag = HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""));
        (path, Asset { media_type: media_type(path), content, tag })
    };
    FILES.iter().map(asset).collect()
});

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    }
}

/// `GET /assets/..`: a script, a style, a picture.
pub async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.match_info().query("path");
    match ASSETS.get(path).filter(|_| !path.ends_with(".html")) {
        Some(asset) => Ok(answer(&request, asset)),
        None => Err(Problem::no_route(request.path())),
    }
}

/// A page by the path of its body below `web/`.
pub fn page(request: &HttpRequest, path: &str) -> Result<HttpResponse, Problem> {
    let asset = ASSETS.get(path).ok_or_else(|| Problem::no_route(request.path()))?;
    Ok(answer(request, asset))
}

fn answer(request: &HttpRequest, asset: &Asset) -> HttpResponse {
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| *known == asset.tag);
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::ETAG, asset.tag.clone()))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header((HeaderName::from_static("cross-origin-opener-policy"), "same-origin"));
    match known {
        true => answer.finish(),
        false => answer.content_type(asset.media_type).body(asset.content.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true => below(&entry.path(), &format!("{name}/"), found),
                false => _ = found.insert(name),
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_carried_and_of_a_known_type() {
        let mut found = BTreeSet::new();
        below(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/web")), "", &mut found);
        let carried: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(found, carried);
        assert!(carried.iter().all(|path| media_type(path) != "application/octet-stream"));
    }

    #[test]
    fn nothing_inline_and_nothing_from_elsewhere() {
        for (path, asset) in ASSETS.iter() {
            let text = std::str::from_utf8(&asset.content).unwrap();
            if path.ends_with(".html") {
                assert!(text.starts_with("<!doctype html>") && text.trim_end().ends_with("</html>"), "{path}");
                assert!(!text.contains('{') && text.matches("<script").count() == 1, "{path}");
                assert!(!text.contains("style=") && !text.contains("<style") && !text.contains("onclick="), "{path}");
                assert_eq!(text.matches("<script").count(), text.matches("<script type=\"module\" src=\"/").count());
            }
            let elsewhere = text.replace("http://www.w3.org/", "");
            assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path}");
        }
    }
}

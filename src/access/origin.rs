//! Which pages in a browser may call: those that this server gave out, and those of the origins that the configuration lists.

use actix_cors::Cors;
use actix_web::{
    HttpRequest,
    http::{Method, Uri, header},
    web::Data,
};

use super::Gate;

/// How long a browser may remember what it may do, seconds.
const REMEMBERED_S: usize = 3_600;

/// The origins that the configuration lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Reads `access.origins`; the error names the entry that is no origin.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = |origin: &str| match origin.parse::<Uri>().ok().and_then(|uri| spelled(&uri)) {
            Some(spelled) if origin.eq_ignore_ascii_case(&spelled) => Ok(spelled),
            _ => Err(format!("access.origins: {origin:?} is no origin; write SCHEME://HOST or SCHEME://HOST:PORT")),
        };
        text.split_whitespace().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// The middleware that tells browsers that pages of these origins may call.
    pub fn cors(&self) -> Cors {
        let mut cors = Cors::default()
            .allowed_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
            .allowed_header("x-request-id")
            .expose_headers(["x-request-id", "x-foryou-node", "retry-after"])
            .max_age(REMEMBERED_S);
        for origin in &self.0 {
            cors = cors.allowed_origin(origin);
        }
        cors
    }
}

fn spelled(uri: &Uri) -> Option<String> {
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    matches!(scheme, "http" | "https").then(|| format!("{scheme}://{authority}").to_ascii_lowercase())
}

/// Whether the page that a request comes from may use what it opens, above all a socket, which browsers let any page open: there is no
/// page (no browser sends the request), it is one of this server, or one of an origin that the configuration lists.
pub fn origin_allowed(request: &HttpRequest) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let listed = request.app_data::<Data<Gate>>().is_some_and(|gate| gate.origins().has(origin));
    listed || is_own(request, origin)
}

/// Whether a request comes from a page of this server, as far as the browser says.
pub fn same_origin(request: &HttpRequest) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) if site != "same-origin" => false,
        (_, Some(origin)) => is_own(request, origin),
        // Browsers tell one or the other with every change; without both nothing says that a page is ours.
        (site, None) => site.is_some(),
    }
}

fn is_own(request: &HttpRequest, origin: &str) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    matches!((host, authority), (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn asks(headers: &[(&'static str, &str)]) -> HttpRequest {
        let request = TestRequest::default().insert_header(("host", "feed.example:8443"));
        headers.iter().fold(request, |request, header| request.insert_header(*header)).to_http_request()
    }

    #[test]
    fn only_origins_are_origins() {
        assert_eq!(Origins::parse(" https://A.example\nhttp://b:81 ").unwrap().0, ["https://a.example", "http://b:81"]);
        for bad in ["*", "a.example", "https://a.example/", "https://a.example/x", "ftp://a", "null", "https://"] {
            assert!(Origins::parse(bad).unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn a_page_of_ours_may_and_a_foreign_one_may_not() {
        assert!(origin_allowed(&asks(&[])));
        assert!(origin_allowed(&asks(&[("origin", "https://feed.example:8443")])));
        for foreign in ["null", "https://feed.example", "https://evil.example", "https://evil/feed.example:8443", ""] {
            assert!(!origin_allowed(&asks(&[("origin", foreign)])), "{foreign}");
        }
    }

    #[test]
    fn a_change_has_to_say_where_it_comes_from() {
        let ours = ("origin", "https://feed.example:8443");
        assert!(same_origin(&asks(&[ours])));
        assert!(same_origin(&asks(&[("sec-fetch-site", "same-origin")])));
        assert!(same_origin(&asks(&[("sec-fetch-site", "same-origin"), ours])));
        assert!(!same_origin(&asks(&[])));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!same_origin(&asks(&[("sec-fetch-site", site), ours])), "{site}");
        }
        assert!(!same_origin(&asks(&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")])));
    }
}

//! The gate: everything that a request is held against, in memory.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest,
    http::{Method, header},
};
use anyhow::{Context as _, ensure};
use foryou_actors::ports::access::AccessStore;
use foryou_schemas::{Timestamp, UserId};

use super::{
    Access, Caller, Scope,
    admins::{Admins, Session},
    keyring::Keyring,
    limiter::Limiter,
    nodes::{self, NodeKey},
    origin::{self, Origins},
    refusal::Refusal,
    tokens::Tokens,
};
use crate::{
    clock::Clock,
    config::{AccessMode, Config},
    error::Problem,
    http::input,
    telemetry::Metrics,
};

/// The names of the console's cookies, and those that browsers take over TLS only.
const COOKIES: (&str, &str) = ("foryou-admin", "foryou-csrf");
const SECURE_COOKIES: (&str, &str) = ("__Host-foryou-admin", "__Host-foryou-csrf");
/// The header in which a change at the console shows that it comes from there.
const CSRF: &str = "x-csrf-token";

/// Everything that a request is held against.
pub struct Gate {
    /// Whether callers have to prove who they are.
    checked: bool,
    open_metrics: bool,
    secure_cookie: bool,
    keys: Keyring,
    tokens: Tokens,
    admins: Admins,
    node_key: Option<Arc<NodeKey>>,
    each_key: Limiter,
    each_person: Limiter,
    origins: Origins,
    clock: Clock,
    /// What limits count time from.
    began: Instant,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// As configured, for a server that is bound to `address` and may be one of several; `store` has the keys. Fails where everybody could
    /// do everything from elsewhere.
    pub async fn open(
        config: &Config,
        address: IpAddr,
        alone: bool,
        store: Arc<dyn AccessStore>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let settings = &config.access;
        let keys = Keyring::open(store).await.context("the API keys cannot be read")?;
        let tokens = Tokens::open(&settings.tokens)?;
        let admins = Admins::new(&settings.admin)?;
        let set_up = !(keys.is_empty() && tokens.is_empty() && admins.is_empty());
        let checked = match settings.mode {
            AccessMode::On => true,
            AccessMode::OpenToEveryone => false,
            AccessMode::Auto => set_up || !address.is_loopback(),
        };
        ensure!(
            set_up || address.is_loopback() || settings.mode != AccessMode::Auto,
            "server.bind is {address}, which others can reach, and nobody has a key yet; make one with `foryou keys create --scope \
             events,catalogue,feed`, or name the keys of people's tokens in access.tokens.keys, or set access.mode = \"on\" to start \
             without (everybody is refused until there is a key). access.mode = \"open-to-everyone\" lets everybody do everything"
        );
        let node_key = NodeKey::new(&config.cluster.secret).map(Arc::new);
        let length = config.cluster.secret.reveal().len();
        ensure!(
            node_key.is_none() || length >= nodes::SHORTEST,
            "cluster.secret is shorter than {} characters; make a longer one",
            nodes::SHORTEST
        );
        ensure!(
            alone || !checked || node_key.is_some(),
            "several nodes serve together and callers have to prove who they are, so nodes must, too; set cluster.secret \
             (FORYOU__CLUSTER__SECRET) to the same {} characters or more on all of them",
            nodes::SHORTEST
        );
        if settings.mode == AccessMode::OpenToEveryone {
            tracing::warn!("access.mode is open-to-everyone: whoever reaches this server can do everything");
        }
        let limits = &settings.limits;
        Ok(Self {
            checked,
            open_metrics: settings.open_metrics,
            secure_cookie: settings.admin.secure_cookie || config.server.tls.is_on(),
            keys,
            tokens,
            admins,
            node_key,
            each_key: Limiter::new(limits.key_per_s.get().into(), limits.key_burst.get()),
            each_person: Limiter::new(limits.person_per_s.get().into(), limits.person_burst.get()),
            origins: Origins::parse(&settings.origins).map_err(anyhow::Error::msg)?,
            clock,
            began: Instant::now(),
            metrics,
        })
    }

    /// Whether callers have to prove who they are.
    pub fn is_checked(&self) -> bool {
        self.checked
    }

    /// Who sends a request to a route that asks for `access`, if they may.
    pub fn admit(&self, request: &HttpRequest, access: Access) -> Result<Caller, Problem> {
        self.look(request, access).map_err(|refusal| {
            self.metrics.refused(refusal.word()).inc();
            refusal.into()
        })
    }

    fn look(&self, request: &HttpRequest, access: Access) -> Result<Caller, Refusal> {
        if let Some(caller) = self.node_word(request, access)? {
            return Ok(caller);
        }
        match access {
            Access::Open => return Ok(Caller::Anyone),
            Access::Metrics if self.open_metrics => return Ok(Caller::Anyone),
            Access::Admin if !self.checked => {
                // Any page in a browser beside this server can send it something.
                return (is_read(request) || origin::same_origin(request))
                    .then_some(Caller::Anyone)
                    .ok_or(Refusal::Foreign);
            }
            _ if !self.checked => return Ok(Caller::Anyone),
            _ => {}
        }
        let caller = self.who(request, access)?;
        permit(&caller, request, access)?;
        self.count(&caller)?;
        Ok(caller)
    }

    /// Who a request comes from that another node sent; it has been checked there.
    fn node_word(&self, request: &HttpRequest, access: Access) -> Result<Option<Caller>, Refusal> {
        let claims =
            request.headers().contains_key(nodes::NODE_AUTH) || request.headers().contains_key(nodes::FORWARDED);
        let Some(key) = &self.node_key else {
            // Without a secret nodes believe each other, so nobody may be one of them who is not.
            return if self.checked && (claims || access == Access::Nodes) { Err(Refusal::Node) } else { Ok(None) };
        };
        if !claims && access != Access::Nodes {
            return Ok(None);
        }
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let caller = key.caller(request.headers(), request.method().as_str(), target, self.clock.now());
        let caller = caller.ok_or(Refusal::Node)?;
        // A node asks some things for itself, and everything else for somebody.
        match matches!(caller, Caller::Node { .. }) == (access == Access::Nodes) {
            true => Ok(Some(caller)),
            false => Err(Refusal::Node),
        }
    }

    fn who(&self, request: &HttpRequest, access: Access) -> Result<Caller, Refusal> {
        let now = self.clock.now();
        if let Some(value) = request.headers().get(header::AUTHORIZATION) {
            let text = value.to_str().map_err(|_| Refusal::Unknown)?;
            let (scheme, credential) = text.split_once(' ').ok_or(Refusal::Unknown)?;
            return match scheme.eq_ignore_ascii_case("bearer") {
                true => self.holder(credential.trim(), now),
                false => Err(Refusal::Unknown),
            };
        }
        if let Some(token) = socket_token(request) {
            return self.holder(token, now);
        }
        if matches!(access, Access::Admin | Access::Metrics)
            && let Some(session) = self.session(request)
        {
            let shown = |csrf: &header::HeaderValue| csrf.to_str().is_ok_and(|csrf| session.shown(csrf));
            let ours = || origin::same_origin(request) && request.headers().get(CSRF).is_some_and(shown);
            if !(is_read(request) || ours()) {
                return Err(Refusal::Foreign);
            }
            return Ok(Caller::Admin(session.into()));
        }
        Err(Refusal::Nobody)
    }

    fn holder(&self, credential: &str, now: Timestamp) -> Result<Caller, Refusal> {
        match credential.starts_with(super::key::PREFIX) {
            true => self.keys.holder(credential, now),
            false => self.tokens.holder(credential, now).map(Caller::Person),
        }
    }

    /// Counts one more thing that somebody asks who was let in: for what lasts longer than a request. The error says when to come back.
    pub fn take_one(&self, caller: &Caller) -> Result<(), Problem> {
        self.count(caller).map_err(|refusal| {
            self.metrics.refused(refusal.word()).inc();
            refusal.into()
        })
    }

    fn count(&self, caller: &Caller) -> Result<(), Refusal> {
        let now = self.began.elapsed();
        match caller {
            Caller::Key { id, .. } => self.each_key.take(id, now).map_err(|wait| Refusal::TooOften("This key", wait)),
            Caller::Person(person) => {
                self.each_person.take(person.user.as_str(), now).map_err(|wait| Refusal::TooOften("This user", wait))
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody who was let in before still would be: for what lasts longer than a request.
    pub fn still_good(&self, caller: &Caller) -> bool {
        let now = self.clock.now();
        match caller {
            Caller::Anyone | Caller::Node { .. } => true,
            Caller::Admin(session) => session.until > now && !self.keys.has_ended(&session.id),
            Caller::Key { id, .. } => self.keys.is_good(id, now),
            Caller::Person(person) => person.until > now,
        }
    }

    /// The console session of a request, if it has one that is good.
    pub fn session(&self, request: &HttpRequest) -> Option<Session> {
        let session = self.admins.session(cookie(request, self.cookie_names().0)?, self.clock.now())?;
        (!self.keys.has_ended(&session.id)).then_some(session)
    }

    /// The console session that a cookie would be after a login.
    pub fn begin_session(&self, name: &str) -> Option<(String, Session)> {
        self.admins.begin(name, self.clock.now())
    }

    /// The names of the console's cookies: the session, and what a script shows with every change.
    pub fn cookie_names(&self) -> (&'static str, &'static str) {
        if self.secure_cookie { SECURE_COOKIES } else { COOKIES }
    }

    /// Whether cookies go over TLS only.
    pub fn secure_cookie(&self) -> bool {
        self.secure_cookie
    }

    /// Counts an attempt to log in; the error is how long to wait.
    pub fn attempt(&self, from: &str) -> Result<(), Duration> {
        self.admins.attempt(from, self.began.elapsed())
    }

    /// Who may log in at the console.
    pub fn admins(&self) -> &Admins {
        &self.admins
    }

    /// The keys of servers.
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// The keys of people's tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// What this node signs with what it sends to others, where nodes prove to each other that they are.
    pub fn node_key(&self) -> Option<Arc<NodeKey>> {
        self.node_key.clone()
    }

    /// The origins whose pages may call from a browser.
    pub fn origins(&self) -> &Origins {
        &self.origins
    }
}

fn permit(caller: &Caller, request: &HttpRequest, access: Access) -> Result<(), Refusal> {
    const ADMIN: &[Scope] = &[Scope::Admin];
    let wants: &'static [Scope] = match access {
        Access::Open => return Ok(()),
        Access::Nodes => return Err(Refusal::Node),
        Access::AnyScope(scopes) => scopes,
        Access::Scope(scope) | Access::Own(scope) | Access::Person(scope) => alone(scope),
        Access::Admin | Access::Metrics => ADMIN,
    };
    match (caller, access) {
        (Caller::Key { scopes, .. }, _) if wants.iter().any(|scope| scopes.has(*scope)) => Ok(()),
        (Caller::Key { .. }, _) => Err(Refusal::Scope(wants)),
        (Caller::Admin(_), Access::Admin | Access::Metrics) => Ok(()),
        (Caller::Person(_), Access::Person(_)) => Ok(()),
        (Caller::Person(person), Access::Own(_)) => match input::id(request, UserId::new) {
            Ok(user) if user == person.user => Ok(()),
            _ => Err(Refusal::NotYours("This belongs to another user than the one of the token.")),
        },
        _ => Err(Refusal::NotYours("This is for servers, with a key (`foryou keys create`).")),
    }
}

fn alone(scope: Scope) -> &'static [Scope] {
    match scope {
        Scope::Events => &[Scope::Events],
        Scope::Catalogue => &[Scope::Catalogue],
        Scope::Feed => &[Scope::Feed],
        Scope::Admin => &[Scope::Admin],
    }
}

/// The token in the address of a socket's handshake: pages cannot set a header there.
fn socket_token(request: &HttpRequest) -> Option<&str> {
    let upgrade = request.headers().get(header::UPGRADE)?.to_str().ok()?;
    let pairs = request.query_string().split('&').filter_map(|pair| pair.split_once('='));
    // Neither keys nor tokens have a letter that is written otherwise in a query.
    let mut tokens = pairs.filter(|(name, _)| *name == "access_token").map(|(_, token)| token);
    upgrade.eq_ignore_ascii_case("websocket").then(|| tokens.next())?
}

fn cookie<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let headers = request.headers().get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut pairs = headers.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(of, _)| *of == name).map(|(_, value)| value)
}

fn is_read(request: &HttpRequest) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
}

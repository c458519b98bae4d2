//! `foryou keys`: keys for servers, and passwords for the console.

use std::{
    io::{BufRead, IsTerminal},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use foryou_actors::ports::{
    access::ApiKey,
    audit::{AuditLog, Outcome},
};
use foryou_schemas::Timestamp;
use serde::Serialize;

use super::{Context, duration};
use crate::{
    access::{Deed, Scope, Scopes, admins, audit_line, key},
    engines,
};

/// The shortest password, characters.
const SHORTEST: usize = 10;

/// What to do with keys.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Make a key for a server, and print it: this once, since only its hash is kept. A running server takes it within seconds.
    Create {
        /// What it may do, separated by commas: events, catalogue, feed, admin.
        #[arg(long = "scope", required = true, value_delimiter = ',', value_parser = Scope::parse)]
        scopes: Vec<Scope>,
        /// What people call it.
        #[arg(long, default_value = "")]
        name: String,
        /// How long it is good for, as 90d; for ever where it is left out.
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        expires: Option<Duration>,
    },
    /// List the keys, revoked ones too.
    List,
    /// Revoke a key for ever; a running server refuses it within seconds.
    Revoke {
        /// The key's id: what stands between the underscores.
        id: String,
    },
    /// Ask for a password (or read it from standard input), and print the entry for `access.admin.users`.
    Password {
        /// The name to log in with.
        #[arg(long, default_value = "admin")]
        user: String,
    },
}

#[derive(Serialize)]
struct Row {
    id: Box<str>,
    name: Box<str>,
    scopes: Vec<&'static str>,
    state: &'static str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Row {
    fn of(key: ApiKey, now: Timestamp) -> Self {
        let state = match () {
            () if key.revoked_at.is_some() => "revoked",
            () if key.expires_at.is_some_and(|at| at <= now) => "expired",
            () => "good",
        };
        let ApiKey { id, name, scopes, created_at, expires_at, revoked_at, .. } = key;
        Self { id, name, scopes: scopes.names(), state, created_at, expires_at, revoked_at, key: None }
    }
}

/// Runs the command.
pub fn run(action: Action, context: &Context) -> anyhow::Result<()> {
    let work = async {
        match action {
            Action::Create { scopes, name, expires } => {
                create(scopes.into_iter().collect(), &name, expires, context).await
            }
            Action::List => list(context).await,
            Action::Revoke { id } => revoke(&id, context).await,
            Action::Password { user } => password(&user, context),
        }
    };
    tokio::runtime::Runtime::new()?.block_on(work)
}

async fn create(scopes: Scopes, name: &str, expires: Option<Duration>, context: &Context) -> anyhow::Result<()> {
    ensure!(
        name.chars().count() <= 128 && !name.contains(char::is_control),
        "--name takes up to 128 printable characters"
    );
    let now = Timestamp::now();
    let end = |lasts: Duration| now.plus_millis(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
    let (made, text) = key::create(name, scopes, now, expires.map(end));
    let (keys, audit) = engines::open_access(&context.config).await?;
    let is_first = keys.admitted().await?.keys.is_empty();
    keys.put_key(&made).await?;
    note(&*audit, "key create", &made.id, &scopes.names().join(",")).await;
    if is_first {
        eprintln!(
            "This is the first key. A server that was started without checks (access.mode = auto on a loopback address) goes on so until \
             it is started again."
        );
    }
    let row = Row { key: Some(text.clone()), ..Row::of(made, now) };
    context.print(&row, || text)
}

#[derive(Serialize)]
struct Listed {
    keys: Vec<Row>,
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let (keys, _) = engines::open_access(&context.config).await?;
    let keys = keys.admitted().await?.keys.into_iter().map(|key| Row::of(key, now)).collect();
    let listed = Listed { keys };
    context.print(&listed, || table(&listed.keys))
}

async fn revoke(id: &str, context: &Context) -> anyhow::Result<()> {
    // Whoever has only the whole key at hand revokes by that.
    let id = key::parse(id).map_or(id, |(id, _)| id);
    let now = Timestamp::now();
    let (keys, audit) = engines::open_access(&context.config).await?;
    ensure!(keys.revoke_key(id, now).await?, "there is no key {id}; `foryou keys list` lists them");
    note(&*audit, "key revoke", id, "").await;
    let revoked = keys.admitted().await?.keys.into_iter().find(|key| *key.id == *id);
    let row = Row::of(revoked.context("the key is gone")?, now);
    context.print(&row, || format!("{id} is revoked"))
}

#[derive(Serialize)]
struct Entry {
    users: String,
}

fn password(user: &str, context: &Context) -> anyhow::Result<()> {
    let password = match std::io::stdin().is_terminal() {
        true => {
            let first = rpassword::prompt_password(format!("Password of {user}: "))?;
            ensure!(rpassword::prompt_password("Again: ")? == first, "the two differ");
            first
        }
        false => {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    ensure!(password.chars().count() >= SHORTEST, "a password takes {SHORTEST} characters or more");
    let users = admins::entry(user, &password)?;
    context.print(&Entry { users: users.clone() }, || users)
}

/// Notes what this command did, in the name of who runs it as far as the surroundings tell.
async fn note(audit: &dyn AuditLog, action: &str, on: &str, detail: &str) {
    let user = std::env::var("USER").unwrap_or_default();
    let who = if user.is_empty() { "command".to_owned() } else { format!("command {user}") };
    let line = audit_line(Timestamp::now(), &who, "", Deed { action, on, outcome: Outcome::Done, detail });
    if let Err(error) = audit.append(&line).await {
        tracing::error!(%error, action, on, "not in the audit log");
    }
}

fn table(keys: &[Row]) -> String {
    if keys.is_empty() {
        return "there is no key; make one with `foryou keys create`".to_owned();
    }
    let heads = ["id", "state", "scopes", "expires", "created", "name"].map(str::to_owned);
    let cells = keys.iter().map(|key| {
        let expires = key.expires_at.map_or("never".to_owned(), |at| at.to_string());
        let scopes = key.scopes.join(",");
        [key.id.to_string(), key.state.to_owned(), scopes, expires, key.created_at.to_string(), key.name.to_string()]
    });
    super::output::columns(std::iter::once(heads).chain(cells))
}

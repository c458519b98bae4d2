//! Who may do what: API keys for servers, tokens for people, a login for the console, and what each route asks for.
//!
//! A route declares its [`Access`] where it is registered; the guard (`guard.rs`) finds out who calls, holds that against the
//! declaration, and leaves the [`Caller`] with the request. What was refused looks the same everywhere: 401 for who is not known, 403
//! for who is known and may not.

pub mod admins;
mod audit;
mod caller;
mod gate;
pub mod guard;
pub mod key;
mod keyring;
mod limiter;
pub mod nodes;
mod origin;
pub mod random;
pub mod refresh;
mod refusal;
mod token_keys;
mod tokens;

pub use audit::{Audit, Deed, line as audit_line};
pub use caller::{Caller, Person};
pub use foryou_actors::ports::{
    access::{Scope, Scopes},
    audit::Outcome,
};
pub use gate::Gate;
pub use origin::{Origins, origin_allowed, same_origin};
pub use token_keys::TokenKeysError;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody; nobody is asked who they are.
    Open,
    /// Servers whose key has the scope.
    Scope(Scope),
    /// Servers whose key has one of the scopes.
    AnyScope(&'static [Scope]),
    /// The person that the path's `{id}` names, and servers whose key has the scope.
    Own(Scope),
    /// Every person, for themselves only, which the route itself looks at (see [`Caller::may_act_for`]); and servers whose key has the scope.
    Person(Scope),
    /// Who is logged in at the console, and servers whose key has the scope admin.
    Admin,
    /// As `Admin`, unless `access.open_metrics` lets everybody read.
    Metrics,
    /// Other nodes.
    Nodes,
}

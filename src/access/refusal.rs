//! Why somebody is not let in: one list for answers, for the log and for the count.

use std::time::Duration;

use foryou_actors::ports::access::Scope;

use crate::error::Problem;

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing tells who it is.
    Nobody,
    /// A key or a token that is not one, or that nobody knows.
    Unknown,
    /// It was good once.
    Expired,
    /// It was taken back.
    Revoked,
    /// A token that is good for longer than people's tokens may be.
    TooLong,
    /// A key without the scope, one of which it takes.
    Scope(&'static [Scope]),
    /// Somebody who is known, and may never do this.
    NotYours(&'static str),
    /// A change at the console that does not come from the console's own pages.
    Foreign,
    /// What comes as another node's word is not.
    Node,
    /// More often than allowed.
    TooOften(&'static str, Duration),
}

impl Refusal {
    /// A word for the count of refusals.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::TooLong => "too_long",
            Self::Scope(_) => "scope",
            Self::NotYours(_) => "not_yours",
            Self::Foreign => "foreign",
            Self::Node => "node",
            Self::TooOften(..) => "too_often",
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Nobody => Self::unknown_caller(
                "This needs a key or a token; send it as `Authorization: Bearer ..` (`foryou keys create` makes keys).",
            ),
            Refusal::Unknown => {
                Self::bad_credential("The key or token is not known here, or was changed on its way; check it.")
            }
            Refusal::Expired => Self::bad_credential("The key or token has expired; get a new one."),
            Refusal::Revoked => Self::bad_credential("The key was revoked; get a new one."),
            Refusal::TooLong => Self::bad_credential(
                "The token is good for longer than tokens may be here (access.tokens.longest_s); get a shorter one.",
            ),
            Refusal::Scope(scopes) => {
                let names = scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" or ");
                Self::forbidden(format!("This key may not do that; it takes one with the scope {names}."))
            }
            Refusal::NotYours(what) => Self::forbidden(what),
            Refusal::Foreign => Self::forbidden(
                "A change at the console must come from its own pages, with the header x-csrf-token; log in again.",
            ),
            Refusal::Node => Self::bad_credential(
                "This is between nodes, and the sender did not prove to be one; check cluster.secret.",
            ),
            Refusal::TooOften(whose, retry_after) => Self::too_often(whose, retry_after),
        }
    }
}

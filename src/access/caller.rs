//! Who sent a request, as far as the guard found out.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use foryou_schemas::{Timestamp, UserId};

use super::{Scopes, admins::Session};
use crate::error::Problem;

/// Who sent a request. Routes take it as an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody was asked: the route is open, or access is not checked at all.
    Anyone,
    /// A server with this key.
    Key {
        /// The public part of the key.
        id: Arc<str>,
        /// What it may do.
        scopes: Scopes,
    },
    /// A person.
    Person(Arc<Person>),
    /// Somebody at the console.
    Admin(Arc<Session>),
    /// Another node, for itself.
    Node {
        /// Its name.
        name: Arc<str>,
    },
}

/// A person whose token was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// Until when the token is good.
    pub until: Timestamp,
}

impl Caller {
    /// Whether this caller may say or ask something in the name of `user`: a person only in their own.
    pub fn may_act_for(&self, user: &UserId) -> bool {
        self.person().is_none_or(|person| person.user == *user)
    }

    /// The person, if it is one.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Person(person) => Some(person),
            _ => None,
        }
    }

    /// What a page of the console has to send with every change, in the header `x-csrf-token`; none where nobody is logged in.
    pub fn csrf(&self) -> Option<&str> {
        match self {
            Self::Admin(session) => Some(&session.csrf),
            _ => None,
        }
    }

    /// The caller in a log or an audit line; never a secret.
    pub fn named(&self) -> String {
        match self {
            Self::Anyone => "anyone".to_owned(),
            Self::Key { id, .. } => format!("key {id}"),
            Self::Person(person) => format!("person {}", person.user),
            Self::Admin(session) => format!("admin {}", session.name),
            Self::Node { name } => format!("node {name}"),
        }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        ready(caller.ok_or_else(|| Problem::internal("a request came past the guard")))
    }
}

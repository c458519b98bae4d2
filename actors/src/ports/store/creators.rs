//! How people stand to creators: whom they follow, whom they block. A row for each person and creator.

use std::{cmp::Reverse, collections::BTreeMap};

use foryou_schemas::{CreatorId, Event, EventId, Kind, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// How a person stands to a creator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// Wants to see more.
    Follow,
    /// Wants to see nothing, whatever was said of following.
    Block,
}

/// A creator to whom a person stands somehow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Whom.
    pub creator: CreatorId,
    /// How.
    pub relation: Relation,
    /// Since when: the latest event that said so.
    pub since: Timestamp,
}

/// Something that a person said of a creator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who.
    pub user: UserId,
    /// Of whom.
    pub creator: CreatorId,
    /// What.
    pub what: What,
    /// When.
    pub at: Timestamp,
    /// The event that said it, which counts once; `None` for what is known from elsewhere.
    pub event: Option<EventId>,
}

/// What can be said of a creator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Follows from now on.
    Follow,
    /// Follows no more.
    Unfollow,
    /// Blocks for good, and follows no more.
    Block,
}

impl Said {
    /// What an event says of its video's creator, if anything.
    pub fn by(event: &Event, creator: Option<&CreatorId>) -> Option<Self> {
        let what = match event.kind {
            Kind::Follow => What::Follow,
            Kind::Unfollow => What::Unfollow,
            Kind::Block => What::Block,
            _ => return None,
        };
        let (user, event_id) = (event.user.clone(), Some(event.id.clone()));
        Some(Self { user, creator: creator?.clone(), what, at: event.at, event: event_id })
    }
}

/// A row of the table: both sides by themselves, so that what is said last can be written without a look at what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Follows since.
    pub followed: Option<Timestamp>,
    /// Blocks since.
    pub blocked: Option<Timestamp>,
}

impl Standing {
    /// How the person stands to the creator. A block outweighs.
    pub fn relation(&self) -> Option<(Relation, Timestamp)> {
        let follow = || self.followed.map(|since| (Relation::Follow, since));
        self.blocked.map(|since| (Relation::Block, since)).or_else(follow)
    }
}

/// What some sayings in a row change of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// The new value of [`Standing::followed`], where it changes.
    pub followed: Option<Option<Timestamp>>,
    /// The new value of [`Standing::blocked`], where it changes.
    pub blocked: Option<Timestamp>,
}

impl Change {
    /// One more is said.
    pub fn add(&mut self, what: What, at: Timestamp) {
        match what {
            What::Follow => self.followed = Some(Some(at)),
            What::Unfollow => self.followed = Some(None),
            What::Block => (self.followed, self.blocked) = (Some(None), Some(at)),
        }
    }

    /// The row afterwards.
    pub fn apply(&self, to: Standing) -> Standing {
        Standing { followed: self.followed.unwrap_or(to.followed), blocked: self.blocked.or(to.blocked) }
    }
}

/// A place in a person's list of creators: all behind it are older, or as old and of a greater name.
pub type Before = (Timestamp, CreatorId);

/// Picks the newest of a person's creators out of rows in any order; holds no more than it is asked for.
pub struct Newest<'a> {
    before: Option<&'a Before>,
    limit: usize,
    found: BTreeMap<(Reverse<Timestamp>, CreatorId), Relation>,
}

impl<'a> Newest<'a> {
    /// Up to `limit`, from the place `before` on.
    pub fn new(before: Option<&'a Before>, limit: usize) -> Self {
        Self { before, limit, found: BTreeMap::new() }
    }

    /// A row.
    pub fn add(&mut self, creator: CreatorId, standing: Standing) {
        let Some((relation, since)) = standing.relation() else { return };
        let behind = |(at, name): &Before| (Reverse(since), &creator) > (Reverse(*at), name);
        if self.before.is_none_or(behind) {
            self.found.insert((Reverse(since), creator), relation);
            if self.found.len() > self.limit {
                self.found.pop_last();
            }
        }
    }

    /// The newest first.
    pub fn list(self) -> Vec<Related> {
        let related = |((Reverse(since), creator), relation)| Related { creator, relation, since };
        self.found.into_iter().map(related).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms).unwrap()
    }

    #[test]
    fn what_is_said_last_counts_and_a_block_outweighs() {
        let mut change = Change::default();
        assert_eq!(change.apply(Standing::default()).relation(), None);
        for (n, (what, stands)) in (1..).zip([
            (What::Follow, Some((Relation::Follow, at(1)))),
            (What::Unfollow, None),
            (What::Follow, Some((Relation::Follow, at(3)))),
            (What::Block, Some((Relation::Block, at(4)))),
            (What::Follow, Some((Relation::Block, at(4)))),
            (What::Unfollow, Some((Relation::Block, at(4)))),
        ]) {
            change.add(what, at(n));
            assert_eq!(change.apply(Standing::default()).relation(), stands, "after {n}");
        }
        let mut later = Change::default();
        later.add(What::Unfollow, at(9));
        let before = Standing { followed: Some(at(1)), blocked: None };
        assert_eq!((later.apply(before).relation(), Change::default().apply(before)), (None, before));
    }

    #[test]
    fn pages_hold_each_creator_once_newest_first() {
        let rows = [("a", 5), ("b", 7), ("c", 5), ("d", 1), ("e", 7)];
        let (mut before, mut names) = (None, Vec::new());
        loop {
            let mut page = Newest::new(before.as_ref(), 2);
            for (name, ms) in rows {
                page.add(CreatorId::new(name).unwrap(), Standing { followed: Some(at(ms)), blocked: None });
            }
            let page = page.list();
            let Some(last) = page.last() else { break };
            before = Some((last.since, last.creator.clone()));
            names.extend(page.iter().map(|related| related.creator.as_str().to_owned()));
        }
        assert_eq!(names, ["b", "e", "a", "c", "d"]);
    }
}

//! The sockets that are open on this node: how many there may be, what is remembered of those that dropped, and their end.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use foryou_schemas::UserId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::subscription::Resume;
use crate::{config, error::Problem};

/// Subscriptions that are remembered after a drop.
const REMEMBERED: usize = 16_384;

/// The handle; clones share.
#[derive(Clone)]
pub struct Sockets(Arc<Shared>);

struct Shared {
    settings: config::Sockets,
    open: AtomicUsize,
    by_user: Mutex<HashMap<UserId, usize>>,
    left: Mutex<Left>,
    stopping: watch::Sender<bool>,
}

#[derive(Default)]
struct Left {
    by_id: HashMap<Box<str>, (UserId, Resume)>,
    oldest: VecDeque<Box<str>>,
}

/// A place among the open sockets; free again when it is dropped.
pub struct Place {
    user: UserId,
    sockets: Sockets,
}

impl Sockets {
    /// None is open.
    pub fn new(settings: config::Sockets) -> Self {
        Self(Arc::new(Shared {
            settings,
            open: AtomicUsize::new(0),
            by_user: Mutex::default(),
            left: Mutex::default(),
            stopping: watch::Sender::new(false),
        }))
    }

    /// As configured.
    pub fn settings(&self) -> &config::Sockets {
        &self.0.settings
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.open.load(Relaxed)
    }

    /// A place for one more of a person.
    pub fn enter(&self, user: &UserId) -> Result<Place, Problem> {
        if *self.0.stopping.borrow() {
            return Err(Problem::overloaded("The server stops", std::time::Duration::from_secs(1)));
        }
        let mut by_user = self.0.by_user.lock();
        let of_user = by_user.get(user).copied().unwrap_or(0);
        if of_user >= self.0.settings.per_user.count() {
            return Err(Problem::too_many(&format!("This user has {of_user} feed sockets open already")));
        }
        if self.count() >= self.0.settings.max.count() {
            return Err(Problem::overloaded("Too many feed sockets are open", std::time::Duration::from_secs(2)));
        }
        self.0.open.fetch_add(1, Relaxed);
        by_user.insert(user.clone(), of_user + 1);
        Ok(Place { user: user.clone(), sockets: self.clone() })
    }

    /// Where a subscription goes on: as the client's word says, or further, where this node remembers more. A word of somebody
    /// else's subscription is worth nothing.
    pub fn resumed(&self, user: &UserId, resume: Resume) -> Resume {
        let left = self.0.left.lock();
        match left.by_id.get(&resume.id) {
            Some((whose, known)) if whose == user && known.seq >= resume.seq => known.clone(),
            _ => resume,
        }
    }

    /// Remembers where a subscription was left.
    pub fn leave(&self, user: &UserId, resume: Resume) {
        let mut left = self.0.left.lock();
        let id = resume.id.clone();
        if left.by_id.insert(id.clone(), (user.clone(), resume)).is_none() {
            left.oldest.push_back(id);
        }
        if left.oldest.len() > REMEMBERED
            && let Some(oldest) = left.oldest.pop_front()
        {
            left.by_id.remove(&oldest);
        }
    }

    /// Asks all to end, and takes no more.
    pub fn stop(&self) {
        self.0.stopping.send_replace(true);
    }

    /// Tells when they are to end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sockets.0.open.fetch_sub(1, Relaxed);
        let mut by_user = self.sockets.0.by_user.lock();
        if let Some(count) = by_user.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn a_person_has_no_more_than_so_many_and_a_place_becomes_free_again() {
        let sockets =
            Sockets::new(config::Sockets { per_user: crate::config::Whole::new(2), ..config::Sockets::default() });
        let (one, two) = (sockets.enter(&user("ann")).unwrap(), sockets.enter(&user("ann")).unwrap());
        assert!(sockets.enter(&user("ann")).is_err() && sockets.enter(&user("bob")).is_ok());
        drop(one);
        assert_eq!(sockets.count(), 1);
        assert!(sockets.enter(&user("ann")).is_ok());
        drop(two);
        sockets.stop();
        assert!(sockets.enter(&user("ann")).is_err());
    }

    #[test]
    fn only_whose_it_was_goes_on_where_it_was_left() {
        let sockets = Sockets::new(config::Sockets::default());
        let at = |head, seq| Resume { id: "s".into(), head, seq };
        sockets.leave(&user("ann"), at(9, 5));
        assert_eq!(sockets.resumed(&user("ann"), at(0, 0)), at(9, 5));
        assert_eq!(sockets.resumed(&user("ann"), at(20, 7)), at(20, 7), "the client knows more");
        assert_eq!(sockets.resumed(&user("bob"), at(0, 0)), at(0, 0));
    }
}

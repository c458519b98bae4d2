//! Which days of which people the profiles name already, so that most batches need not name them again.

use std::collections::{HashMap, HashSet};

use foryou_schemas::UserId;

use super::{clock::day, entry::Entry};

/// People of one generation; there are two.
const GENERATION: usize = 100_000;

/// A day that a profile is to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Has rows in `activity`, with the number of an early one.
    Activity { user: UserId, day: i32, seq: u64 },
    /// Has rows in `impressions`.
    Feeds { user: UserId, day: i32 },
}

#[derive(Clone, Copy, Default)]
struct Days {
    activity: Option<i32>,
    feeds: Option<i32>,
}

/// A bounded memory of it. Who was erased elsewhere meanwhile must be forgotten here before a row of theirs is written again:
/// [`Noted::forget`] whenever a session is loaded.
#[derive(Default)]
pub struct Noted {
    young: HashMap<UserId, Days>,
    old: HashMap<UserId, Days>,
}

impl Noted {
    /// What an entry makes necessary to note.
    pub fn missing(&self, entry: &Entry) -> Vec<Note> {
        let (mut met, mut notes) = (HashSet::new(), Vec::new());
        let today = day(entry.at);
        for row in &entry.activity {
            if self.get(&row.user).activity != Some(today) && met.insert((&row.user, None)) {
                notes.push(Note::Activity { user: row.user.clone(), day: today, seq: row.seq });
            }
        }
        for row in &entry.feeds {
            let day = row.day();
            if self.get(&row.user).feeds != Some(day) && met.insert((&row.user, Some(day))) {
                notes.push(Note::Feeds { user: row.user.clone(), day });
            }
        }
        notes
    }

    /// Remembers what was written.
    pub fn remember(&mut self, notes: Vec<Note>) {
        for note in notes {
            match note {
                Note::Activity { user, day, .. } => self.change(user, |days| days.activity = Some(day)),
                Note::Feeds { user, day } => self.change(user, |days| days.feeds = Some(day)),
            }
        }
    }

    /// Forgets a person.
    pub fn forget(&mut self, user: &UserId) {
        self.young.remove(user);
        self.old.remove(user);
    }

    fn get(&self, user: &UserId) -> Days {
        self.young.get(user).or_else(|| self.old.get(user)).copied().unwrap_or_default()
    }

    fn change(&mut self, user: UserId, change: impl FnOnce(&mut Days)) {
        let mut days = self.get(&user);
        change(&mut days);
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(user, days);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::scylla::entry::{Acted, Blob, Served};

    #[test]
    fn a_day_is_noted_once_until_the_person_is_forgotten() {
        let user = UserId::new("u").unwrap();
        let acted = |seq| Acted { user: user.clone(), seq, id: [0; 16], event: Blob::default() };
        let feed = |at_ms| Served { user: user.clone(), at_ms, feed: "f".into(), record: Blob::default() };
        let day_ms = 86_400_000;
        let entry = Entry {
            at: day_ms * 1_000,
            activity: vec![acted(7), acted(8)],
            feeds: vec![feed(0), feed(day_ms), feed(day_ms + 1)],
            ..Entry::default()
        };
        let mut noted = Noted::default();
        let notes = noted.missing(&entry);
        let feeds = |day| Note::Feeds { user: user.clone(), day };
        assert_eq!(notes, [Note::Activity { user: user.clone(), day: 1, seq: 7 }, feeds(0), feeds(1)]);
        noted.remember(notes);
        assert_eq!(noted.missing(&entry), [feeds(0)], "the latest day is remembered");
        noted.forget(&user);
        assert_eq!(noted.missing(&entry).len(), 3);
    }
}

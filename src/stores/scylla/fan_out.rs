//! An entry of the journal into the tables: which rows it comes to, every one under the entry's time.

use scylla::value::CqlTimestamp;

use super::{
    batches::{Key, Rows},
    behind::Latest,
    clock::day,
    creators,
    entry::{Entry, tally_shard},
    errors::DriverError,
    link::Connected,
    noted::Note,
};

const DAY_S: i32 = 86_400;

/// How long rows live, seconds.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub activity_s: i32,
    pub ids_s: i32,
    pub rejected_s: i32,
}

/// Writes every row of an entry but its tallies, and `notes`: the days of it that the profiles do not name yet.
pub async fn fan_out(to: &Connected, kept: Kept, entry: &Entry, notes: &[Note]) -> Result<(), DriverError> {
    let (on, at, mut rows) = (&to.on, entry.at, Rows::default());
    let days_s = kept.activity_s.saturating_add(DAY_S);
    for note in notes {
        match note {
            Note::Activity { user, day, seq } => {
                let values = (at, days_s, *day, *seq as i64, user.as_str());
                rows.add(Key::Person(user.as_str()), &on.note_day, 0, values);
            }
            Note::Feeds { user, day } => {
                let values = (at, days_s, vec![*day], user.as_str());
                rows.add(Key::Person(user.as_str()), &on.note_feed_day, 0, values);
            }
        }
    }
    let today = day(at);
    for row in &entry.activity {
        let (user, event) = (row.user.as_str(), row.event.0.as_slice());
        let values = (user, today, row.seq as i64, event, at, kept.activity_s);
        rows.add(Key::Day(user, today), &on.put_activity, event.len(), values);
        rows.add(Key::Event(&row.id), &on.put_id, 0, (&row.id[..], at, kept.ids_s));
    }
    for row in &entry.feeds {
        let (user, day, record) = (row.user.as_str(), row.day(), row.record.0.as_slice());
        let values = (user, day, CqlTimestamp(row.at_ms), &*row.feed, record, at, kept.activity_s);
        rows.add(Key::Day(user, day), &on.put_feed, record.len(), values);
    }
    for row in &entry.snapshots {
        let (user, snapshot) = (row.user.as_str(), row.snapshot.0.as_slice());
        rows.add(Key::Person(user), &on.put_snapshot, snapshot.len(), (user, row.seq as i64, snapshot, at));
    }
    for row in &entry.creators {
        let values = creators::values(row, at);
        rows.add(Key::Person(row.user.as_str()), &on.put_creator, row.creator.len(), values);
    }
    rows.insert(to).await
}

/// Writes tallies of an owner.
pub async fn tallies(to: &Connected, owner: &str, latest: &Latest) -> Result<(), DriverError> {
    let mut rows = Rows::default();
    for (key, (at, tally)) in latest {
        let shard = tally_shard(key);
        let values = (owner, shard, key.as_slice(), tally.as_slice(), *at);
        rows.add(Key::Tallies(shard), &to.on.put_tally, key.len() + tally.len(), values);
    }
    rows.insert(to).await
}

//! Every statement that is used, prepared once a connection.

use futures_util::future::try_join_all;
use scylla::{
    client::session::Session,
    statement::{Consistency, Statement, prepared::PreparedStatement},
};

use super::errors::DriverError;

/// Whether a statement may be sent twice: a conditional one may not.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    /// A read of what conditional updates wrote, those on their way included.
    SerialRead,
    Conditional,
}

macro_rules! statements {
    ($($name:ident: $kind:ident $text:literal,)*) => {
        /// The statements by name.
        pub struct Statements {
            $(pub $name: PreparedStatement,)*
        }

        impl Statements {
            /// Prepares them. What they read comes in pages of the driver's size, 5,000 rows.
            pub async fn prepare(session: &Session) -> Result<Self, DriverError> {
                let all = [$((Kind::$kind, $text),)*];
                let prepared = try_join_all(all.map(|(kind, text)| prepare(session, kind, text))).await?;
                let mut prepared = prepared.into_iter();
                let missing = || DriverError::Failed("a statement was not prepared".into());
                Ok(Self { $($name: prepared.next().ok_or_else(missing)?,)* })
            }
        }
    };
}

statements! {
    probe: Plain "SELECT number FROM migrations WHERE number = 1",

    profile: Plain "SELECT user, told, age, country, gender, language, registered_at, days FROM profiles WHERE user = ?",
    presence: Plain "SELECT told, days, feed_days FROM profiles WHERE user = ?",
    profiles: Plain "SELECT user, told, age, country, gender, language, registered_at, days FROM profiles",
    people: Plain "SELECT user, days FROM profiles",
    served_people: Plain "SELECT user, feed_days FROM profiles",
    put_profile: Plain "INSERT INTO profiles (user, told, age, country, gender, language, registered_at)
        VALUES (?, true, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
    note_day: Plain "UPDATE profiles USING TIMESTAMP ? AND TTL ? SET days[?] = ? WHERE user = ?",
    note_feed_day: Plain "UPDATE profiles USING TIMESTAMP ? AND TTL ? SET feed_days = feed_days + ? WHERE user = ?",
    erase_profile: Plain "DELETE FROM profiles USING TIMESTAMP ? WHERE user = ?",

    snapshot: Plain "SELECT seq, snapshot, writetime(snapshot) FROM snapshots WHERE user = ?",
    put_snapshot: Plain "INSERT INTO snapshots (user, seq, snapshot) VALUES (?, ?, ?) USING TIMESTAMP ?",
    erase_snapshot: Plain "DELETE FROM snapshots USING TIMESTAMP ? WHERE user = ?",

    tail: Plain "SELECT seq, event FROM activity WHERE user = ? AND day = ? AND seq > ?",
    newest: Plain "SELECT seq, event FROM activity WHERE user = ? AND day = ? ORDER BY seq DESC LIMIT ?",
    put_activity: Plain "INSERT INTO activity (user, day, seq, event) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    erase_activity: Plain "DELETE FROM activity USING TIMESTAMP ? WHERE user = ? AND day = ?",

    feeds: Plain "SELECT at, feed, record FROM impressions WHERE user = ? AND day = ?",
    put_feed: Plain "INSERT INTO impressions (user, day, at, feed, record) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    erase_feeds: Plain "DELETE FROM impressions USING TIMESTAMP ? WHERE user = ? AND day = ?",

    known_id: Plain "SELECT id FROM written_events WHERE id = ?",
    known_ids: Plain "SELECT id FROM written_events WHERE id IN ?",
    put_id: Plain "INSERT INTO written_events (id) VALUES (?) USING TIMESTAMP ? AND TTL ?",
    any_earlier_id: Plain "SELECT id FROM event_ids LIMIT 1",
    known_earlier_id: Plain "SELECT id FROM event_ids WHERE shard = ? AND id = ?",

    videos: Plain "SELECT id, creator, category, duration_ms, published_at, tags, title, language, country, age_rating, status
        FROM videos",
    put_video: Plain "INSERT INTO videos (id, creator, category, duration_ms, published_at, tags, title, language, country,
        age_rating, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",

    creators: Plain "SELECT creator, followed_at, blocked_at FROM creators WHERE user = ?",
    put_creator: Plain "UPDATE creators USING TIMESTAMP ? SET followed_at = ?, blocked_at = ? WHERE user = ? AND creator = ?",
    erase_creators: Plain "DELETE FROM creators USING TIMESTAMP ? WHERE user = ?",

    tallies: Plain "SELECT key, tally FROM tallies WHERE owner = ? AND shard = ?",
    put_tally: Plain "INSERT INTO tallies (owner, shard, key, tally) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",

    rejected: Plain "SELECT id, partition, redelivered, reason, payload FROM quarantine WHERE day = ? AND id < ?",
    one_rejected: SerialRead "SELECT id, partition, redelivered, reason, payload FROM quarantine WHERE day = ? AND id = ?",
    rejected_ids: Plain "SELECT id FROM quarantine WHERE day = ? LIMIT ?",
    count_rejected: Plain "SELECT count(*) FROM quarantine WHERE day = ?",
    put_rejected: Conditional "INSERT INTO quarantine (day, id, partition, redelivered, reason, payload) VALUES (?, ?, ?, ?, ?, ?)
        IF NOT EXISTS USING TTL ?",
    drop_rejected: Conditional "DELETE FROM quarantine WHERE day = ? AND id = ? IF EXISTS",
    drop_rejected_before: Plain "DELETE FROM quarantine USING TIMESTAMP ? WHERE day = ? AND id < ?",
    note_rejected: Plain "INSERT INTO quarantine_of (user, id) VALUES (?, ?) USING TTL ?",
    rejected_of: Plain "SELECT id FROM quarantine_of WHERE user = ? AND id >= 0",
    rejected_erased: Plain "SELECT id FROM quarantine_of WHERE user = ? AND id < 0 LIMIT 1",
    drop_rejected_of: Plain "DELETE FROM quarantine_of WHERE user = ? AND id >= 0",

    owners: Plain "SELECT owner FROM owners",
    owner: SerialRead "SELECT epoch, journal_epoch, committed, at, last_order FROM owners WHERE owner = ?",
    new_owner: Conditional "INSERT INTO owners (owner, epoch, journal_epoch, committed, at) VALUES (?, 1, 1, 0, ?) IF NOT EXISTS",
    seize: Conditional "UPDATE owners SET epoch = ? WHERE owner = ? IF epoch = ? AND journal_epoch = ? AND committed = ?",
    redone: Conditional "UPDATE owners SET journal_epoch = ?, committed = 0 WHERE owner = ? IF epoch = ?",
    commit: Conditional "UPDATE owners SET committed = ?, at = ?, last_order = ?
        WHERE owner = ? IF epoch = ? AND committed = ?",

    journal: Plain "SELECT part, body FROM journal WHERE owner = ? AND epoch = ? AND slot = ?",
    put_journal: Plain "INSERT INTO journal (owner, epoch, slot, part, body) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?",
    drop_journal: Plain "DELETE FROM journal WHERE owner = ? AND epoch = ?",

    nodes: Plain "SELECT name, address, incarnation, beat, started_at, held, version FROM nodes WHERE cluster = 'foryou'",
    node: Plain "SELECT incarnation FROM nodes WHERE cluster = 'foryou' AND name = ?",
    put_node: Plain "INSERT INTO nodes (cluster, name, address, incarnation, beat, started_at, held, version)
        VALUES ('foryou', ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    drop_node: Plain "DELETE FROM nodes USING TIMESTAMP ? WHERE cluster = 'foryou' AND name = ?",

    position: Plain "SELECT position FROM catalogue_positions WHERE node = ?",
    put_position: Plain "INSERT INTO catalogue_positions (node, position) VALUES (?, ?) USING TIMESTAMP ?",

    keys: Plain "SELECT id, hash, name, scopes, created_at, expires_at, revoked_at FROM api_keys WHERE cluster = 'foryou'",
    key: Plain "SELECT hash, revoked_at FROM api_keys WHERE cluster = 'foryou' AND id = ?",
    put_key: Plain "INSERT INTO api_keys (cluster, id, hash, name, scopes, created_at, expires_at)
        VALUES ('foryou', ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
    revoke_key: Plain "UPDATE api_keys USING TIMESTAMP ? SET revoked_at = ? WHERE cluster = 'foryou' AND id = ?",
    ended_sessions: Plain "SELECT id FROM ended_sessions WHERE cluster = 'foryou'",
    end_session: Plain "INSERT INTO ended_sessions (cluster, id) VALUES ('foryou', ?) USING TIMESTAMP ? AND TTL ?",

    releases: Plain "SELECT id, created, manifest, metrics, whole FROM releases WHERE cluster = 'foryou'",
    release: Plain "SELECT id, created, manifest, metrics, whole FROM releases WHERE cluster = 'foryou' AND id = ?",
    put_release: Plain "INSERT INTO releases (cluster, id, created, manifest, metrics, whole)
        VALUES ('foryou', ?, ?, ?, ?, ?) USING TIMESTAMP ?",
    drop_release: Plain "DELETE FROM releases USING TIMESTAMP ? WHERE cluster = 'foryou' AND id = ?",
    release_part: Plain "SELECT body FROM release_parts WHERE release = ? AND file = ? AND part = ?",
    put_release_part: Plain "INSERT INTO release_parts (release, file, part, body) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
    drop_release_part: Plain "DELETE FROM release_parts USING TIMESTAMP ? WHERE release = ? AND file = ? AND part = ?",
    active_release: SerialRead "SELECT version, history FROM active_release WHERE cluster = 'foryou'",
    first_active_release: Conditional "INSERT INTO active_release (cluster, version, history) VALUES ('foryou', 1, ?) IF NOT EXISTS",
    set_active_release: Conditional "UPDATE active_release SET version = ?, history = ? WHERE cluster = 'foryou' IF version = ?",

    audit: Plain "SELECT id, at, who, origin, action, target, outcome, detail FROM audit WHERE day = ? AND id < ? LIMIT ?",
    put_audit: Plain "INSERT INTO audit (day, id, at, who, origin, action, target, outcome, detail)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
}

async fn prepare(session: &Session, kind: Kind, text: &str) -> Result<PreparedStatement, DriverError> {
    let mut statement = session.prepare(Statement::new(text)).await?;
    statement.set_is_idempotent(kind != Kind::Conditional);
    if kind == Kind::SerialRead {
        statement.set_consistency(Consistency::LocalSerial);
    }
    Ok(statement)
}

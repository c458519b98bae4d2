//! The tables: `migrations/*.cql`, each applied once.

use std::time::Duration;

use foryou_actors::ports::store::StoreError;
use futures_util::TryStreamExt;
use scylla::{client::session::Session, serialize::row::SerializeRow, statement::Statement, value::CqlTimestamp};
use sha2::{Digest, Sha256};

use super::{
    clock::Clock,
    connect::{SCHEMA_TIMEOUT, connect, named, use_keyspace},
    errors::DriverError,
    journal::applied,
};
use crate::config::Scylla;

/// A file of statements. What it makes it makes only where it is not there: it may be cut off, and is then applied again.
#[derive(Clone, Copy)]
pub(super) struct Migration {
    pub number: i32,
    pub name: &'static str,
    pub text: &'static str,
}

pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "0001_tables.cql", text: include_str!("../../../migrations/0001_tables.cql") },
    Migration { number: 3, name: "0003_access.cql", text: include_str!("../../../migrations/0003_access.cql") },
    Migration { number: 4, name: "0004_quarantine.cql", text: include_str!("../../../migrations/0004_quarantine.cql") },
    Migration { number: 5, name: "0005_creators.cql", text: include_str!("../../../migrations/0005_creators.cql") },
    Migration { number: 6, name: "0006_releases.cql", text: include_str!("../../../migrations/0006_releases.cql") },
    Migration {
        number: 7,
        name: "0007_written_events.cql",
        text: include_str!("../../../migrations/0007_written_events.cql"),
    },
];

/// How long a process that migrates is believed to live without a sign.
const LOCK_S: i32 = 60;
/// The pause before a lock that another process holds is tried again, and how long that goes on.
const LOCK_EVERY: Duration = Duration::from_millis(200);
const LOCK_WAIT: Duration = Duration::from_secs(180);

/// What [`migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Migrated {
    /// It made the keyspace.
    pub keyspace: bool,
    /// The migrations that it applied, by name.
    pub applied: Vec<&'static str>,
}

/// Makes keyspace and tables, or brings them up to date. Nothing is done where all is there; any number may do it at once.
pub async fn migrate(config: &Scylla) -> Result<Migrated, StoreError> {
    migrate_to(config, MIGRATIONS).await
}

pub(super) async fn migrate_to(config: &Scylla, migrations: &[Migration]) -> Result<Migrated, StoreError> {
    let session = connect(config).await?;
    let schema = Schema { session, config };
    let keyspace = schema.make_keyspace().await?;
    schema.use_keyspace().await?;
    schema.make("migrations", "number int PRIMARY KEY, name text, checksum text, applied_at timestamp").await?;
    schema.make("migration_lock", "id int PRIMARY KEY, holder text").await?;
    let mut applied = Vec::new();
    // A look before the lock: mostly there is nothing to do.
    if missing(migrations, &schema.applied().await?)?.is_empty() {
        return Ok(Migrated { keyspace, applied });
    }
    let holder = uuid::Uuid::now_v7().to_string();
    schema.lock(&holder).await?;
    let done = schema.apply(migrations, &holder, &mut applied).await;
    let freed = schema.free(&holder).await;
    done.and(freed).map(|()| Migrated { keyspace, applied })
}

/// Connects to the keyspace, and checks that it is as this program needs it.
pub async fn checked(config: &Scylla) -> Result<Session, StoreError> {
    let schema = Schema { session: connect(config).await?, config };
    let say = |what: &str| StoreError::Away(format!("keyspace {:?} {what}; run `foryou migrate`", config.keyspace));
    if !schema.has_keyspace().await? {
        return Err(say("is not there"));
    }
    schema.use_keyspace().await?;
    if !schema.has("migrations").await? {
        return Err(say("has no tables"));
    }
    match missing(MIGRATIONS, &schema.applied().await?)?.first() {
        Some(migration) => Err(say(&format!("lacks {} and what follows", migration.name))),
        None => Ok(schema.session),
    }
}

/// What is still to be applied. Fails where the keyspace is ahead of this program, or was made by other files.
fn missing<'a>(migrations: &'a [Migration], applied: &[(i32, String, String)]) -> Result<&'a [Migration], StoreError> {
    let latest = migrations.last().map_or(0, |migration| migration.number);
    for (number, name, sum) in applied {
        match migrations.iter().find(|migration| migration.number == *number) {
            None if *number > latest => {
                return Err(StoreError::Corrupt(format!(
                    "the tables have migration {name}, and this foryou knows migrations up to {latest}; start the newer foryou"
                )));
            }
            Some(migration) if *sum == checksum(migration.text) => {}
            _ => {
                return Err(StoreError::Corrupt(format!(
                    "migration {name} was applied with another content than this foryou has; a migration never changes: put its file back, and make a new one for what is to change"
                )));
            }
        }
    }
    let next = applied.iter().map(|(number, ..)| number + 1).max().unwrap_or(0);
    Ok(&migrations[migrations.partition_point(|migration| migration.number < next)..])
}

fn checksum(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The statements of a file, without comments. Literals hold neither `--` nor `;`.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split(';').map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

/// Whether something that is listed could not be used, and may yet: what another process is making is listed a moment before the
/// server knows it.
fn is_being_made(used: &Result<(), StoreError>, deadline: tokio::time::Instant) -> bool {
    let unknown = |text: String| text.contains("does not exist") || text.contains("is not there");
    used.as_ref().is_err_and(|error| unknown(error.to_string())) && tokio::time::Instant::now() < deadline
}

struct Schema<'a> {
    session: Session,
    config: &'a Scylla,
}

impl Schema<'_> {
    async fn make_keyspace(&self) -> Result<bool, StoreError> {
        let Scylla { keyspace, replication, .. } = self.config;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !keyspace.chars().all(plain)
            || !keyspace.starts_with(|c: char| c.is_ascii_lowercase())
            || keyspace.len() > 48
        {
            return Err(StoreError::Away(format!(
                "store.scylla.keyspace {keyspace:?} is no name: give up to 48 of a-z, 0-9 and _, a letter first"
            )));
        }
        if self.has_keyspace().await? {
            return Ok(false);
        }
        self.change(&format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}")).await?;
        Ok(true)
    }

    /// Goes into the keyspace, which is listed.
    async fn use_keyspace(&self) -> Result<(), StoreError> {
        let deadline = tokio::time::Instant::now() + SCHEMA_TIMEOUT;
        loop {
            let used = use_keyspace(&self.session, self.config).await;
            if !is_being_made(&used, deadline) {
                return used;
            }
            tokio::time::sleep(LOCK_EVERY).await;
        }
    }

    /// Makes a table, unless it is there; it can be used when this returns.
    async fn make(&self, table: &str, columns: &str) -> Result<(), StoreError> {
        if !self.has(table).await? {
            self.change(&format!("CREATE TABLE IF NOT EXISTS {table} ({columns})")).await?;
        }
        let look = format!("SELECT * FROM {table} LIMIT 1");
        let deadline = tokio::time::Instant::now() + SCHEMA_TIMEOUT;
        loop {
            let looked = self.session.query_unpaged(&*look, ()).await;
            let looked = looked.map(|_| ()).map_err(|error| self.failed(error));
            if !is_being_made(&looked, deadline) {
                return looked;
            }
            tokio::time::sleep(LOCK_EVERY).await;
        }
    }

    async fn has_keyspace(&self) -> Result<bool, StoreError> {
        let text = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
        self.finds(text, (&self.config.keyspace,)).await
    }

    async fn has(&self, table: &str) -> Result<bool, StoreError> {
        let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
        self.finds(text, (&self.config.keyspace, table)).await
    }

    async fn finds(&self, text: &str, values: impl SerializeRow) -> Result<bool, StoreError> {
        let rows = self.session.query_unpaged(text, values).await.map_err(|error| self.failed(error))?;
        Ok(rows.into_rows_result().map_err(DriverError::answer)?.rows_num() > 0)
    }

    /// Number, name and checksum of what was applied.
    async fn applied(&self) -> Result<Vec<(i32, String, String)>, StoreError> {
        let pages = self.session.query_iter("SELECT number, name, checksum FROM migrations", ()).await;
        let rows = pages.map_err(|error| self.failed(error))?.rows_stream().map_err(DriverError::answer)?;
        rows.try_collect().await.map_err(|error| self.failed(error))
    }

    async fn apply(
        &self,
        migrations: &[Migration],
        holder: &str,
        applied: &mut Vec<&'static str>,
    ) -> Result<(), StoreError> {
        // Again: whoever had the lock before may have done it.
        for migration in missing(migrations, &self.applied().await?)? {
            for statement in statements(migration.text) {
                self.hold(holder).await?;
                self.change(&statement).await?;
            }
            let text = "INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)";
            let at = CqlTimestamp(Clock::default().next() / 1_000);
            let values = (migration.number, migration.name, checksum(migration.text), at);
            let done = self.session.query_unpaged(text, values).await;
            done.map_err(|error| self.failed(error))?;
            applied.push(migration.name);
        }
        Ok(())
    }

    /// Changes the schema, and waits until all nodes know.
    async fn change(&self, text: &str) -> Result<(), StoreError> {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(SCHEMA_TIMEOUT));
        self.session.query_unpaged(statement, ()).await.map_err(|error| self.failed(error))?;
        let agreed = self.session.await_schema_agreement().await;
        agreed.map(|_| ()).map_err(|error| StoreError::Away(format!("the nodes do not agree on the tables: {error}")))
    }

    async fn lock(&self, holder: &str) -> Result<(), StoreError> {
        let text =
            format!("INSERT INTO migration_lock (id, holder) VALUES (1, '{holder}') IF NOT EXISTS USING TTL {LOCK_S}");
        let deadline = tokio::time::Instant::now() + LOCK_WAIT;
        while !self.conditional(&text).await? {
            if tokio::time::Instant::now() > deadline {
                return Err(StoreError::Away(
                    "another process has been migrating all the time; look what it does".into(),
                ));
            }
            tokio::time::sleep(LOCK_EVERY).await;
        }
        Ok(())
    }

    /// Says that the holder of the lock lives.
    async fn hold(&self, holder: &str) -> Result<(), StoreError> {
        let text = format!(
            "UPDATE migration_lock USING TTL {LOCK_S} SET holder = '{holder}' WHERE id = 1 IF holder = '{holder}'"
        );
        match self.conditional(&text).await? {
            true => Ok(()),
            false => {
                Err(StoreError::Away("another process took over the migration; run `foryou migrate` again".into()))
            }
        }
    }

    async fn free(&self, holder: &str) -> Result<(), StoreError> {
        self.conditional(&format!("DELETE FROM migration_lock WHERE id = 1 IF holder = '{holder}'")).await.map(|_| ())
    }

    async fn conditional(&self, text: &str) -> Result<bool, StoreError> {
        let mut statement = Statement::new(text);
        statement.set_request_timeout(Some(SCHEMA_TIMEOUT));
        let answer = self.session.query_unpaged(statement, ()).await.map_err(|error| self.failed(error))?;
        applied(answer).map_err(StoreError::from)
    }

    fn failed(&self, error: impl Into<DriverError>) -> StoreError {
        named(self.config, &error.into())
    }
}

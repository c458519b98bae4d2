//! `foryou migrate`, and what a start says without it.

use super::*;
use crate::stores::scylla::migrations::{MIGRATIONS, Migration, migrate_to};

/// One that comes after all that there are.
const NEXT: Migration = Migration {
    number: 9_000,
    name: "9000_more.cql",
    text: "-- More.\nCREATE TABLE IF NOT EXISTS more (id int PRIMARY KEY);",
};

/// What there is and another one.
fn and_next(next: Migration) -> Vec<Migration> {
    MIGRATIONS.iter().copied().chain([next]).collect()
}

fn names() -> Vec<&'static str> {
    MIGRATIONS.iter().map(|migration| migration.name).collect()
}

async fn refusal(keyspace: &Keyspace) -> String {
    ScyllaStore::connect(&keyspace.0, "t").await.err().unwrap().to_string()
}

#[tokio::test]
async fn it_is_applied_once() {
    let keyspace = fresh();
    let refused = refusal(&keyspace).await;
    assert!(refused.contains("is not there; run `foryou migrate`"), "{refused}");
    let first = migrate(&keyspace.0).await.unwrap();
    assert_eq!(first, Migrated { keyspace: true, applied: names() });
    assert_eq!(migrate(&keyspace.0).await.unwrap(), Migrated::default());
    keyspace.open_as("t").await;
}

#[tokio::test]
async fn a_changed_one_is_refused_by_name_and_so_is_an_older_program() {
    let keyspace = fresh();
    migrate_to(&keyspace.0, &and_next(NEXT)).await.unwrap();
    let changed = Migration { text: "-- Less.", ..NEXT };
    let refused = migrate_to(&keyspace.0, &and_next(changed)).await.unwrap_err().to_string();
    assert!(refused.contains("9000_more.cql was applied with another content"), "{refused}");
    // This program does not know the last.
    for refused in [migrate(&keyspace.0).await.unwrap_err().to_string(), refusal(&keyspace).await] {
        assert!(refused.contains("9000_more.cql") && refused.contains("start the newer foryou"), "{refused}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named_and_applied() {
    let keyspace = fresh();
    migrate_to(&keyspace.0, &[]).await.unwrap();
    let refused = refusal(&keyspace).await;
    assert!(refused.contains("lacks 0001_tables.cql") && refused.contains("run `foryou migrate`"), "{refused}");
    migrate(&keyspace.0).await.unwrap();
    let more = migrate_to(&keyspace.0, &and_next(NEXT)).await.unwrap();
    assert_eq!(more, Migrated { keyspace: false, applied: vec!["9000_more.cql"] });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_are_safe() {
    let keyspace = fresh();
    let mut migrating = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let config = keyspace.0.clone();
        migrating.spawn(async move { migrate(&config).await });
    }
    let mut applied = Vec::new();
    while let Some(done) = migrating.join_next().await {
        applied.extend(done.unwrap().unwrap().applied);
    }
    assert_eq!(applied, names(), "one of them did it");
    keyspace.open_as("t").await;
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    for name in ["", "Foryou", "for you", "1st", "x; DROP KEYSPACE y", &"k".repeat(49)] {
        let config = Scylla { keyspace: name.into(), ..Keyspace::on(&Engines::shared()).0.clone() };
        let refused = migrate(&config).await.unwrap_err().to_string();
        assert!(refused.contains("is no name"), "{refused}");
    }
}

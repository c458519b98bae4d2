//! What every shelf does. `shelf_contract!` makes a test of each clause.

use std::{collections::BTreeMap, fs, path::Path};

use foryou_actors::ports::contract::{Subject, instant};

use super::Shelf;
use crate::models::{
    FORMAT_VERSION, Manifest, ModelError, Releases, files,
    manifest::{FileEntry, Towers},
};

/// How many releases a shelf under test keeps.
pub const KEEP: usize = 3;

/// A shelf under test, and the folder of its machine.
pub struct Folder {
    pub shelf: Box<dyn Shelf>,
    pub releases: Releases,
}

/// Writes a release that no model is in: some files, one of them larger than what one row takes.
pub fn write(releases: &Releases, id: &str, n: u64) {
    let folder = releases.root().join(id);
    fs::create_dir_all(&folder).unwrap();
    let large: Vec<u8> = (0..1_300_000_u64).map(|byte| (byte * (n + 3) % 251) as u8).collect();
    let mut entries = BTreeMap::new();
    for (name, bytes) in [("large.bin", large), ("small.json", b"{}".to_vec()), ("empty", Vec::new())] {
        fs::write(folder.join(name), &bytes).unwrap();
        entries.insert(name.to_owned(), FileEntry { sha256: files::sha256(&bytes), bytes: bytes.len() as u64 });
    }
    fs::write(folder.join("metrics.json"), format!("{{\"n\": {n}}}")).unwrap();
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        id: id.to_owned(),
        created: instant(n),
        trained_until: instant(0),
        vector_len: 1,
        history: 1,
        towers: Towers { id_groups: Vec::new(), content: Vec::new(), actions: Vec::new(), profile: Vec::new() },
        features: String::new(),
        feature_count: 0,
        heads: Vec::new(),
        trained_videos: n as usize,
        files: entries,
    };
    fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
}

/// Makes releases `r0`, `r1`, .. and puts them on the shelf.
pub async fn publish(on: &Folder, count: u64) {
    for n in 0..count {
        write(&on.releases, &format!("r{n}"), n);
        on.shelf.publish(&format!("r{n}")).await.unwrap();
    }
}

pub async fn listed(shelf: &dyn Shelf) -> Vec<String> {
    let mark = |active| if active { "*" } else { "" };
    let list = shelf.list().await.unwrap();
    list.iter().map(|each| format!("{}{}", each.summary.id, mark(each.summary.active))).collect()
}

/// The files of a release, by name.
pub fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

macro_rules! shelf_contract {
    ($fresh:path) => {
        $crate::models::shelf::contract::shelf_contract!(
            @each $fresh,
            an_empty_shelf_has_nothing_to_activate,
            releases_are_listed_activated_and_rolled_back,
            old_releases_are_pruned_but_never_those_that_are_needed,
        );
    };
    (@each $fresh:path, $($clause:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            $crate::models::shelf::contract::$clause(&$fresh()).await;
        }
    )*};
}
pub(crate) use shelf_contract;

pub async fn an_empty_shelf_has_nothing_to_activate<S: Subject<Port = Folder>>(subject: &S) {
    let on = subject.open().await;
    assert!(on.shelf.list().await.unwrap().is_empty() && on.shelf.history().await.unwrap().is_empty());
    assert_eq!(on.shelf.sync().await.unwrap(), None);
    assert!(matches!(on.shelf.rollback().await, Err(ModelError::NoneBefore)));
    for id in ["r0", "../r0", ""] {
        assert!(matches!(on.shelf.activate(id).await, Err(ModelError::Unknown(_))), "{id}");
        assert!(matches!(on.shelf.publish(id).await, Err(ModelError::Unknown(_))), "{id}");
    }
    assert!(on.shelf.prune().await.unwrap().is_empty());
}

pub async fn releases_are_listed_activated_and_rolled_back<S: Subject<Port = Folder>>(subject: &S) {
    let on = subject.open().await;
    publish(&on, 3).await;
    assert_eq!(listed(&*on.shelf).await, ["r2", "r1", "r0"]);
    for id in ["r0", "r2", "r2", "r1"] {
        on.shelf.activate(id).await.unwrap();
    }
    assert_eq!(on.shelf.history().await.unwrap(), ["r1", "r2", "r0"]);
    drop(on);
    let on = subject.open().await;
    assert_eq!(listed(&*on.shelf).await, ["r2", "r1*", "r0"]);
    let list = on.shelf.list().await.unwrap();
    assert_eq!((&list[0].summary.metrics["n"], list[0].manifest.trained_videos), (&serde_json::json!(2), 2));
    assert_eq!(on.shelf.rollback().await.unwrap(), "r2");
    assert_eq!(on.shelf.rollback().await.unwrap(), "r0");
    assert!(matches!(on.shelf.rollback().await, Err(ModelError::NoneBefore)));
    assert_eq!(on.shelf.history().await.unwrap(), ["r0"]);
    assert_eq!(on.releases.active().unwrap().as_deref(), Some("r0"), "the folder follows");
    // Published again, it is the same.
    on.shelf.publish("r1").await.unwrap();
    assert_eq!(listed(&*on.shelf).await, ["r2", "r1", "r0*"]);
    assert_eq!(on.shelf.fetch("r1").await.unwrap(), on.releases.root().join("r1"));
}

pub async fn old_releases_are_pruned_but_never_those_that_are_needed<S: Subject<Port = Folder>>(subject: &S) {
    let on = subject.open().await;
    publish(&on, 7).await;
    for id in ["r3", "r1", "r0"] {
        on.shelf.activate(id).await.unwrap();
    }
    let mut gone = on.shelf.prune().await.unwrap();
    gone.sort_unstable();
    assert_eq!(gone, ["r2", "r3"]);
    assert_eq!(listed(&*on.shelf).await, ["r6", "r5", "r4", "r1", "r0*"]);
    let there: Vec<String> = on.releases.list().unwrap().into_iter().map(|summary| summary.id).collect();
    assert_eq!(there, ["r6", "r5", "r4", "r1", "r0"], "in the folder, too");
    assert!(on.shelf.prune().await.unwrap().is_empty());
    assert!(matches!(on.shelf.activate("r2").await, Err(ModelError::Unknown(_))));
    assert_eq!(on.shelf.rollback().await.unwrap(), "r1");
    // What is no longer needed goes with the next.
    assert_eq!(on.shelf.prune().await.unwrap(), ["r0"]);
}

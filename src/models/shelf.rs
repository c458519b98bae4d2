//! Where all releases are and which one is active: the folder of a single node, or the store that nodes share.

mod folder;
mod shared;
mod sync;

use std::{collections::HashSet, path::PathBuf};

use async_trait::async_trait;

pub use self::{folder::FolderShelf, shared::SharedShelf, sync::ReleaseSync};
use super::{Manifest, ModelError, Summary};

/// A release on the shelf.
#[derive(Debug, Clone)]
pub struct Shelved {
    /// In short.
    pub summary: Summary,
    /// What it says about itself.
    pub manifest: Manifest,
}

/// All releases, and which is active. Every machine that uses one has it in a folder of its own ([`super::Releases`]).
#[async_trait]
pub trait Shelf: Send + Sync {
    /// Every release, newest first.
    async fn list(&self) -> Result<Vec<Shelved>, ModelError>;

    /// The active release, and before it those that were active earlier, the latest first.
    async fn history(&self) -> Result<Vec<String>, ModelError>;

    /// Puts a release that lies in this machine's folder on the shelf. Said again, it changes nothing.
    async fn publish(&self, id: &str) -> Result<(), ModelError>;

    /// Makes a release the active one; every node swaps to it within seconds. One that lies only in this machine's folder is published.
    async fn activate(&self, id: &str) -> Result<(), ModelError>;

    /// Goes back to the release that was active before; returns its id.
    async fn rollback(&self) -> Result<String, ModelError>;

    /// Brings a release to this machine's folder where it is not there, checked, and returns its path.
    async fn fetch(&self, id: &str) -> Result<PathBuf, ModelError>;

    /// Brings this machine's folder up to what is active on the shelf. Returns the active release where that changed.
    async fn sync(&self) -> Result<Option<String>, ModelError>;

    /// Removes all but the newest, from the shelf and from this machine's folder: never the active release or the one before it. Returns
    /// what is gone from the shelf.
    async fn prune(&self) -> Result<Vec<String>, ModelError>;
}

/// Which of `newest` (the newest first) are more than are kept. `history` is as [`Shelf::history`].
fn superfluous(newest: impl IntoIterator<Item = String>, history: &[String], keep: usize) -> Vec<String> {
    let all: Vec<String> = newest.into_iter().collect();
    let there: HashSet<&str> = all.iter().map(String::as_str).collect();
    // One that was active earlier and is gone cannot be gone back to.
    let needed: HashSet<&str> = history.iter().map(String::as_str).filter(|id| there.contains(id)).take(2).collect();
    let old = all.iter().skip(keep).filter(|id| !needed.contains(id.as_str()));
    old.cloned().collect()
}

#[cfg(test)]
pub(crate) mod contract;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_release_and_the_one_before_it_are_never_superfluous() {
        let names = |names: &str| names.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let over = |history: &str, keep| superfluous(names("f e d c b a"), &names(history), keep).join(" ");
        assert_eq!(over("f e d", 2), "d c b a");
        assert_eq!(over("b f", 2), "d c a");
        assert_eq!(over("a gone b f", 2), "d c");
        assert_eq!(over("", 4), "b a");
        assert_eq!(over("f", 9), "");
    }
}

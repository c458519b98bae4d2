//! What a release says about itself.

use std::collections::BTreeMap;

use foryou_schemas::Timestamp;
use foryou_trainer::two_tower::TowerSchema;
use serde::{Deserialize, Serialize};

use crate::features;

/// The release format that this program writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// As `2026-11-24T0900-3f2a`: the minute it was made and four digits of its content.
    pub id: String,
    /// When it was written.
    pub created: Timestamp,
    /// Events before this instant were trained on, later ones were not.
    pub trained_until: Timestamp,
    /// `d + 1`: the length of user and item vectors.
    pub vector_len: usize,
    /// The last actions that the user tower reads, at most.
    pub history: usize,
    /// The towers' columns.
    pub towers: Towers,
    /// Identifies the ranker's columns and their order, see [`features::schema_hash`].
    pub features: String,
    /// How many columns that are.
    pub feature_count: usize,
    /// The ranker's probability heads in the order of its output.
    pub heads: Vec<String>,
    /// Videos with a vector of their own in `item_vectors.bin`; also the size of the own-id vocabulary (bucket
    /// `n + 1` is the `n`-th video, bucket 0 every video that was not trained on).
    pub trained_videos: usize,
    /// SHA-256 and size of every other file.
    pub files: BTreeMap<String, FileEntry>,
}

/// The columns of both towers, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Towers {
    /// `(name, buckets, columns)` of each id group, in order.
    pub id_groups: Vec<(String, usize, usize)>,
    /// Float columns of a video.
    pub content: Vec<String>,
    /// Columns of an action.
    pub actions: Vec<String>,
    /// Columns of a profile.
    pub profile: Vec<String>,
}

/// One file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
}

impl From<&TowerSchema> for Towers {
    fn from(schema: &TowerSchema) -> Self {
        Self {
            id_groups: schema.id_groups.iter().map(|g| (g.name.clone(), g.buckets, g.width)).collect(),
            content: schema.content.clone(),
            actions: schema.actions.clone(),
            profile: schema.profile.clone(),
        }
    }
}

impl Towers {
    /// Id columns of a video.
    pub fn id_width(&self) -> usize {
        self.id_groups.iter().map(|g| g.2).sum()
    }
}

impl Manifest {
    /// Says why this program cannot serve the release, if it cannot.
    pub fn misfit(&self) -> Option<String> {
        let (columns, hash) = (features::names().len(), features::schema_hash());
        let towers = Towers::from(&features::towers::schema(self.trained_videos));
        if self.format_version != FORMAT_VERSION {
            return Some(format!(
                "it has format version {}, this program reads {FORMAT_VERSION}; train again",
                self.format_version
            ));
        }
        if self.features != hash || self.feature_count != columns {
            return Some(format!(
                "its ranker was trained on other features ({} columns, schema {}) than this program computes ({columns}, \
                 {hash}); train again",
                self.feature_count, self.features
            ));
        }
        (self.towers != towers).then(|| "its towers read other columns than this program computes; train again".into())
    }
}

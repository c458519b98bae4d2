//! Writes a release: whole or not at all.

use std::{collections::BTreeMap, fs};

use foryou_index::{Index, IndexConfig};
use foryou_schemas::Timestamp;
use foryou_trainer::two_tower::TowerSchema;

use super::{
    FORMAT_VERSION, Manifest, ModelError, Parity, Release, Releases, TrainedItems, files,
    manifest::{FileEntry, Towers},
};
use crate::features;

/// What training made, before it is a release.
pub struct Draft {
    /// Events before this instant were trained on.
    pub trained_until: Timestamp,
    /// Now.
    pub created: Timestamp,
    /// The towers' columns.
    pub schema: TowerSchema,
    /// The last actions that the user tower reads, at most.
    pub history: usize,
    /// ONNX files.
    pub user_tower: Vec<u8>,
    /// ONNX files.
    pub item_tower: Vec<u8>,
    /// ONNX files.
    pub ranker: Vec<u8>,
    /// The ranker's probability heads.
    pub heads: Vec<String>,
    /// The trained videos.
    pub items: TrainedItems,
    /// Expected outputs.
    pub parity: Parity,
    /// Offline metrics.
    pub metrics: serde_json::Value,
    /// How the index is made.
    pub index: IndexConfig,
}

/// Writes `draft` below `releases`, loads it with every check, and returns its id. It is not active yet.
///
/// A large catalogue's graph is built here, with all cores; not for an async thread.
pub fn write(releases: &Releases, draft: Draft) -> Result<String, ModelError> {
    let items = draft.items.encode();
    let digest = files::sha256(&[draft.user_tower.as_slice(), &draft.ranker, &items].concat());
    let minute: String = draft.created.to_string().chars().take(16).filter(|c| *c != ':').collect();
    let id = format!("{minute}-{}", &digest[..4]);
    let aside = releases.root().join(format!(".{id}.tmp"));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(ModelError::io(&aside))?;
    }
    fs::create_dir_all(&aside).map_err(ModelError::io(&aside))?;

    let mut entries = BTreeMap::new();
    let mut add = |name: &str, bytes: &[u8]| {
        let entry = FileEntry { sha256: files::sha256(bytes), bytes: bytes.len() as u64 };
        entries.insert(name.to_owned(), entry);
        files::write_synced(&aside.join(name), bytes)
    };
    add("user_tower.onnx", &draft.user_tower)?;
    add("item_tower.onnx", &draft.item_tower)?;
    add("ranker.onnx", &draft.ranker)?;
    add("item_vectors.bin", &items)?;
    add("features.json", &pretty(&features_file()))?;
    add("parity.json", &serde_json::to_vec(&draft.parity).unwrap_or_default())?;
    add("metrics.json", &pretty(&draft.metrics))?;

    let index = Index::new(draft.index)?;
    let vectors = (0..draft.items.ids.len()).map(|n| (n as u32, draft.items.vector(n)));
    index.upsert_all(vectors)?;
    index.rebuild()?;
    index.save(&aside.join("index.bin"))?;
    let bytes = files::read(&aside.join("index.bin"))?;
    let entry = FileEntry { sha256: files::sha256(&bytes), bytes: bytes.len() as u64 };
    entries.insert("index.bin".to_owned(), entry);

    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        id: id.clone(),
        created: draft.created,
        trained_until: draft.trained_until,
        vector_len: draft.items.vector_len,
        history: draft.history,
        towers: Towers::from(&draft.schema),
        features: features::schema_hash(),
        feature_count: features::REGISTRY.len(),
        heads: draft.heads,
        trained_videos: draft.items.ids.len(),
        files: entries,
    };
    let manifest = serde_json::to_value(manifest).unwrap_or_default();
    files::write_synced(&aside.join("manifest.json"), &pretty(&manifest))?;
    files::sync_folder(&aside)?;

    Release::load(&aside, 1)?;
    let path = releases.root().join(&id);
    if path.exists() {
        // The same content, trained twice in one minute.
        fs::remove_dir_all(&path).map_err(ModelError::io(&path))?;
    }
    fs::rename(&aside, &path).map_err(ModelError::io(&path))?;
    files::sync_folder(releases.root())?;
    Ok(id)
}

/// `features.json`: the ranker's columns as people read them.
fn features_file() -> serde_json::Value {
    let columns: Vec<_> = features::REGISTRY
        .iter()
        .map(|f| serde_json::json!({"name": f.name, "entity": f.entity, "min": f.range.0, "max": f.range.1, "about": f.about}))
        .collect();
    serde_json::json!({"schema": features::schema_hash(), "features": columns})
}

fn pretty(value: &serde_json::Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

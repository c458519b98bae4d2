use std::path::PathBuf;

use crate::{Index, IndexConfig, IndexError};

/// An index with everything that a file can hold: a graph with copies and a dead member, exact items, priors.
fn index() -> Index {
    let index = Index::new(IndexConfig { exact_below: 0, ..IndexConfig::new(2) }).unwrap();
    index.upsert_all((0..40).map(|i| (i, [(i / 2) as f32, 1.0]))).unwrap();
    index.rebuild().unwrap();
    index.remove(3);
    index.upsert_all([(7, [0.5, 0.5]), (90, [9.0, 9.0])]).unwrap();
    index.set_priors((0..50).map(|i| i as f32 / 10.0).collect()).unwrap();
    index
}

fn load(path: &std::path::Path) -> Result<Index, IndexError> {
    Index::load(path, IndexConfig { exact_below: 0, ..IndexConfig::new(2) })
}

#[test]
fn a_saved_index_comes_back_whole() {
    let (index, folder) = (index(), tempfile::tempdir().unwrap());
    let path = folder.path().join("index.bin");
    std::fs::write(&path, "an older file").unwrap();
    index.save(&path).unwrap();
    let loaded = load(&path).unwrap();
    for query in [[1.0, 0.0], [-1.0, 0.3]] {
        assert_eq!(loaded.search(&query, 99, 99, |_| true).unwrap(), index.search(&query, 99, 99, |_| true).unwrap());
    }
    assert_eq!(loaded.stats().graph_dead, 2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    assert!(matches!(Index::load(&path, IndexConfig::new(3)), Err(IndexError::Dimension { expected: 3, got: 2 })));
    loaded.rebuild().unwrap();
    assert_eq!(loaded.stats().items, 40);
}

#[test]
fn an_empty_index_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.bin");
    Index::new(IndexConfig::new(2)).unwrap().save(&path).unwrap();
    assert_eq!(load(&path).unwrap().stats().items, 0);
}

#[test]
fn every_truncation_and_every_changed_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.bin");
    index().save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let try_bytes = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        load(&path).err()
    };
    for length in 0..whole.len() {
        assert!(matches!(try_bytes(&whole[..length]), Some(IndexError::Corrupt { .. })), "{length} bytes");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        let error = try_bytes(&changed);
        let version = (8..12).contains(&at);
        assert!(
            matches!(
                (&error, version),
                (Some(IndexError::Corrupt { .. }), false) | (Some(IndexError::Version { .. }), true)
            ),
            "byte {at}: {error:?}"
        );
    }
    let mut longer = whole;
    longer.push(0);
    let message = try_bytes(&longer).unwrap().to_string();
    assert!(message.contains("bytes") && message.contains("rebuild the index"), "{message}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load(&PathBuf::from("no/such/index.bin")).err().unwrap();
    assert!(error.to_string().starts_with("no/such/index.bin"));
}

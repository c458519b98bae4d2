//! The index as this node last built it, kept beside the release: at 100,000 videos its graph costs minutes of CPU time, and a
//! start should not pay for it again.
//!
//! Dense numbers change from start to start, so the videos' ids are kept with it.

use std::{fs, path::Path};

use foryou_actors::catalogue::{Catalogue, VideoIndex};
use foryou_index::{Index, IndexConfig};
use foryou_schemas::VideoId;

use super::{ModelError, files};

/// Its folder, which is there as a whole or not at all.
const FOLDER: &str = "node";
const INDEX: &str = "index.bin";
/// The id of each item, one a line: ids hold no control characters.
const IDS: &str = "ids.txt";

/// Keeps `index`, whose items `catalogue` knows, in the folder of its release.
pub fn keep(release: &Path, index: &Index, catalogue: &Catalogue) -> Result<(), ModelError> {
    let (folder, aside) = (release.join(FOLDER), release.join("node.tmp"));
    clear(&aside)?;
    fs::create_dir_all(&aside).map_err(ModelError::io(&aside))?;
    index.save(&aside.join(INDEX))?;
    let ids = (0..catalogue.len() as VideoIndex).map(|video| catalogue.id(video).map_or("", VideoId::as_str));
    files::write_synced(&aside.join(IDS), ids.collect::<Vec<_>>().join("\n").as_bytes())?;
    files::sync_folder(&aside)?;
    clear(&folder)?;
    fs::rename(&aside, &folder).map_err(ModelError::io(&folder))?;
    files::sync_folder(release)
}

/// The index that was kept, if there is one, with the videos that have a number now; vectors are those of its day.
pub fn find(
    release: &Path,
    config: IndexConfig,
    number: impl Fn(&str) -> Option<VideoIndex>,
) -> Result<Option<Index>, ModelError> {
    let folder = release.join(FOLDER);
    if !folder.is_dir() {
        return Ok(None);
    }
    let ids = folder.join(IDS);
    let ids = fs::read_to_string(&ids).map_err(ModelError::io(&ids))?;
    let numbers: Vec<_> = ids.split('\n').map(number).collect();
    let number = |item: u32| numbers.get(item as usize).copied().flatten();
    Ok(Some(Index::load_renumbered(&folder.join(INDEX), config, number)?))
}

fn clear(folder: &Path) -> Result<(), ModelError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ModelError::io(folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use foryou_schemas::{Timestamp, Video};

    use super::*;

    fn catalogue(ids: &[&str]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for id in ids {
            let video = Video::parse(br#"{"creator": "c", "category": "k", "duration_ms": 1000}"#).unwrap();
            catalogue.put(&VideoId::new(*id).unwrap(), video, Timestamp::now());
        }
        catalogue
    }

    #[test]
    fn it_is_found_under_the_numbers_of_the_next_start() {
        let (release, before, now) =
            (tempfile::tempdir().unwrap(), catalogue(&["a", "b", "c"]), catalogue(&["c", "x", "a"]));
        let config = || IndexConfig { exact_below: 0, ..IndexConfig::new(2) };
        assert!(find(release.path(), config(), |id| now.find_str(id)).unwrap().is_none());
        let index = Index::new(config()).unwrap();
        index.upsert_all([(0, [1.0, 0.0]), (1, [0.0, 1.0]), (2, [0.5, 0.5])]).unwrap();
        index.rebuild().unwrap();
        for _again in 0..2 {
            keep(release.path(), &index, &before).unwrap();
        }
        let found = find(release.path(), config(), |id| now.find_str(id)).unwrap().unwrap();
        assert_eq!((found.stats().graph_items, found.stats().graph_dead), (2, 1));
        assert_eq!((found.vector(2), found.vector(0)), (Some(vec![1.0, 0.0]), Some(vec![0.5, 0.5])));
        // The same vectors, computed again: the graph stays as it is.
        found.upsert_all([(2, [1.0, 1e-8]), (0, [0.5, 0.5])]).unwrap();
        assert_eq!((found.stats().graph_items, found.stats().exact_items), (2, 0));
    }
}

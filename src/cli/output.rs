//! Files that a command writes in the end.

use std::path::{Path, PathBuf};

/// Takes a path whose folder is there: hours of work should not end in an error that could have been told at once.
pub fn parse(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path.file_name() {
        None => Err("name a file to write".into()),
        Some(_) if path.is_dir() => Err("this is a folder; name a file in it".into()),
        Some(_) if !folder.is_dir() => Err(format!("there is no folder {}; make it first", folder.display())),
        Some(_) => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let inside = |name: &str| parse(dir.path().join(name).to_str().unwrap());
        assert!(inside("rows.parquet").is_ok() && parse("rows.parquet").is_ok());
        assert!(inside("missing/rows.parquet").unwrap_err().contains("missing"));
        for bad in [inside(""), parse(""), parse(".."), parse("/")] {
            assert!(bad.is_err(), "{bad:?}");
        }
    }
}

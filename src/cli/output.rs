//! What a command gives out: files that it writes in the end, and lists.

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

/// A table for people: columns as wide as their widest cell.
pub fn columns<const N: usize>(lines: impl IntoIterator<Item = [String; N]>) -> String {
    let lines: Vec<_> = lines.into_iter().collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: &[String; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
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

//! CSV and Parquet files, read row by row, only the columns that were asked for.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
    schema::types::Type,
};

use super::{
    ImportError,
    report::{Place, Report},
};

/// Rows between two updates of the progress.
const ROWS_PER_UPDATE: u64 = 4_096;

/// A CSV file's rows as text, in the order of `columns`. A row that cannot be split is reported and left out.
pub fn csv_rows<const N: usize>(
    path: &Path,
    columns: [&str; N],
    report: &Report,
    mut visit: impl FnMut(Place, [&str; N]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let file = File::open(path).map_err(|e| ImportError::read(path, e))?;
    let bytes = file.metadata().map_or(0, |m| m.len());
    report.step(format!("reading {}", name(path)), bytes);
    let number = report.file(path);
    let mut reader = csv::ReaderBuilder::new().from_reader(BufReader::with_capacity(1 << 18, file));
    let headers = reader.headers().map_err(|e| ImportError::read(path, e))?;
    let at =
        positions(path, &columns, |column| headers.iter().position(|h| h.trim_start_matches('\u{feff}') == column))?;
    let mut record = csv::StringRecord::new();
    let mut told = 0;
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let line = record.position().map_or(0, csv::Position::line);
                visit(Place { file: number, line }, at.map(|i| record.get(i).unwrap_or_default()))?;
            }
            Err(error) => match error.kind() {
                csv::ErrorKind::Io(e) => return Err(ImportError::read(path, e)),
                _ => {
                    let line = error.position().map_or(0, csv::Position::line);
                    report.skip(Place { file: number, line }, error);
                }
            },
        }
        let here = reader.position();
        if here.record().is_multiple_of(ROWS_PER_UPDATE) {
            report.advance(here.byte() - told);
            told = here.byte();
        }
    }
    report.advance(bytes.saturating_sub(told));
    Ok(())
}

/// A Parquet file's rows, in the order of `columns`. A file that does not decode is an error as a whole.
pub fn parquet_rows<const N: usize>(
    path: &Path,
    columns: [&str; N],
    report: &Report,
    mut visit: impl FnMut(Place, [&Field; N]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let fail = |e: parquet::errors::ParquetError| ImportError::read(path, e);
    let file = File::open(path).map_err(|e| ImportError::read(path, e))?;
    let reader = SerializedFileReader::new(file).map_err(fail)?;
    let metadata = reader.metadata().file_metadata();
    report.step(format!("reading {}", name(path)), metadata.num_rows().max(0) as u64);
    let number = report.file(path);
    let schema = metadata.schema();
    let wanted: Vec<Arc<Type>> =
        schema.get_fields().iter().filter(|f| columns.contains(&f.name())).map(Arc::clone).collect();
    let at = positions(path, &columns, |column| wanted.iter().position(|f| f.name() == column))?;
    let projection = Type::group_type_builder(schema.name()).with_fields(wanted).build().map_err(fail)?;
    let rows = reader.get_row_iter(Some(projection)).map_err(fail)?;
    let mut done: u64 = 0;
    for (row, line) in rows.zip(1..) {
        let cells: Vec<(String, Field)> = Row::into_columns(row.map_err(fail)?);
        visit(Place { file: number, line }, at.map(|i| cells.get(i).map_or(&Field::Null, |c| &c.1)))?;
        done += 1;
        if done.is_multiple_of(ROWS_PER_UPDATE) {
            report.advance(ROWS_PER_UPDATE);
        }
    }
    report.advance(done % ROWS_PER_UPDATE);
    Ok(())
}

/// Rows of whole numbers out of either sort of file; what is none is `None`.
pub fn integer_rows<const N: usize>(
    path: &Path,
    columns: [&str; N],
    report: &Report,
    mut visit: impl FnMut(Place, [Option<i64>; N]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    if path.extension().is_some_and(|e| e == "parquet") {
        parquet_rows(path, columns, report, |place, cells| visit(place, cells.map(integer)))
    } else {
        csv_rows(path, columns, report, |place, cells| visit(place, cells.map(|text| text.trim().parse().ok())))
    }
}

/// A Parquet cell as a whole number.
pub fn integer(cell: &Field) -> Option<i64> {
    match *cell {
        Field::Bool(b) => Some(i64::from(b)),
        Field::Byte(n) => Some(n.into()),
        Field::Short(n) => Some(n.into()),
        Field::Int(n) => Some(n.into()),
        Field::Long(n) => Some(n),
        Field::UByte(n) => Some(n.into()),
        Field::UShort(n) => Some(n.into()),
        Field::UInt(n) => Some(n.into()),
        Field::ULong(n) => i64::try_from(n).ok(),
        _ => None,
    }
}

/// A text file's lines in bytes, without their ends. `-` is standard input.
pub fn lines(
    path: &Path,
    report: &Report,
    mut visit: impl FnMut(Place, &[u8]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let (mut input, bytes): (Box<dyn BufRead>, u64) = if path == Path::new("-") {
        (Box::new(std::io::stdin().lock()), 0)
    } else {
        let file = File::open(path).map_err(|e| ImportError::read(path, e))?;
        let bytes = file.metadata().map_or(0, |m| m.len());
        (Box::new(BufReader::with_capacity(1 << 18, file)), bytes)
    };
    report.step(format!("reading {}", name(path)), bytes);
    let file = report.file(path);
    let (mut text, mut done) = (Vec::new(), 0);
    for line in 1u64.. {
        text.clear();
        let read = input.read_until(b'\n', &mut text).map_err(|e| ImportError::read(path, e))? as u64;
        if read == 0 {
            break;
        }
        done += read;
        visit(Place { file, line }, text.trim_ascii_end())?;
        if line.is_multiple_of(ROWS_PER_UPDATE) {
            report.advance(std::mem::take(&mut done));
        }
    }
    report.advance(done);
    Ok(())
}

/// A path's last part, for messages.
pub fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn positions<const N: usize>(
    path: &Path,
    columns: &[&str; N],
    find: impl Fn(&str) -> Option<usize>,
) -> Result<[usize; N], ImportError> {
    let found = columns.map(&find);
    let missing: Vec<&str> = columns.iter().zip(found).filter(|(_, at)| at.is_none()).map(|(c, _)| *c).collect();
    if !missing.is_empty() {
        let path = PathBuf::from(path);
        return Err(ImportError::Columns { path, missing: missing.join(", "), expected: columns.join(", ") });
    }
    Ok(found.map(Option::unwrap_or_default))
}

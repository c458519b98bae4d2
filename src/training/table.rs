//! Parquet files of flat columns, written a column at a time; any tool reads them.

use std::{fs::File, path::Path, sync::Arc};

use anyhow::Context;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{ByteArray, ByteArrayType, FloatType, Int32Type, Int64Type},
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};

/// Rows of one row group.
const GROUP: usize = 100_000;

/// The values of one column, all of the same length within a file.
pub enum Values {
    /// UTF-8.
    Text(Vec<String>),
    /// Milliseconds since 1970, UTC.
    Time(Vec<i64>),
    /// 32-bit floats; NaN is unknown.
    Float(Vec<f32>),
    /// Whole numbers, 0 and 1 for outcomes.
    Integer(Vec<i32>),
}

/// A column by name.
pub type Column = (String, Values);

/// Writes `columns` to `path`, with `metadata` beside them.
pub fn write(path: &Path, columns: &[Column], metadata: &[(&str, String)]) -> anyhow::Result<()> {
    let fields = columns.iter().map(|(name, values)| field(name, values)).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?);
    let metadata = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
    let properties =
        WriterProperties::builder().set_compression(Compression::SNAPPY).set_key_value_metadata(Some(metadata)).build();
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    for from in (0..rows).step_by(GROUP) {
        let range = from..(from + GROUP).min(rows);
        let mut group = writer.next_row_group()?;
        for (_, values) in columns {
            let mut column = group.next_column()?.context("the schema has fewer columns than the rows")?;
            match values {
                Values::Text(v) => {
                    let bytes: Vec<ByteArray> = v[range.clone()].iter().map(|s| s.as_str().into()).collect();
                    column.typed::<ByteArrayType>().write_batch(&bytes, None, None)?
                }
                Values::Time(v) => column.typed::<Int64Type>().write_batch(&v[range.clone()], None, None)?,
                Values::Float(v) => column.typed::<FloatType>().write_batch(&v[range.clone()], None, None)?,
                Values::Integer(v) => column.typed::<Int32Type>().write_batch(&v[range.clone()], None, None)?,
            };
            column.close()?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::Time(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Integer(v) => v.len(),
        }
    }
}

fn field(name: &str, values: &Values) -> Result<Arc<Type>, parquet::errors::ParquetError> {
    let (physical, logical) = match values {
        Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Values::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        Values::Float(_) => (Physical::FLOAT, None),
        Values::Integer(_) => (Physical::INT32, None),
    };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
    builder.with_logical_type(logical).build().map(Arc::new)
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.parquet");
        let columns = [
            ("user".to_owned(), Values::Text(vec!["a".into(), "ü".into()])),
            ("at".to_owned(), Values::Time(vec![1, 2])),
            ("p".to_owned(), Values::Float(vec![0.5, f32::NAN])),
            ("like".to_owned(), Values::Integer(vec![0, 1])),
        ];
        write(&path, &columns, &[("release", "r1".into())]).unwrap();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let rows: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].contains("\"a\"") && rows[1].contains("like: 1"), "{rows:?}");
        let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap();
        assert!(metadata.iter().any(|kv| kv.key == "release" && kv.value.as_deref() == Some("r1")));
    }
}

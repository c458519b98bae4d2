//! The columns that both towers read.

use crate::TrainError;

/// A group of id columns that share one embedding table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdGroup {
    /// For example `video`, `creator` or `tag`; written into the ONNX metadata.
    pub name: String,
    /// Size of the table. Ids lie in `0..buckets`; bucket 0 means "none or unknown" and adds nothing.
    pub buckets: usize,
    /// How many columns the group has (a video has one creator, but several tags); their vectors are summed.
    pub width: usize,
}

impl IdGroup {
    /// A group of `width` columns over `buckets` buckets.
    pub fn new(name: impl Into<String>, buckets: usize, width: usize) -> Self {
        Self { name: name.into(), buckets, width }
    }
}

/// Names and sizes of everything the towers read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TowerSchema {
    /// Id columns of an item, group after group. **The first group is the video's own id** (width 1): bucket 0 for
    /// a video that has no trained vector of its own. The others describe its content.
    pub id_groups: Vec<IdGroup>,
    /// Names of the float content columns (log duration, ...), `C`. Any finite scale: they are standardised.
    pub content: Vec<String>,
    /// Names of the action columns of a history event (long view, like, watch ratio, log age, ...), `A`.
    pub actions: Vec<String>,
    /// Names of the profile columns, `P`, at least one. A person without a profile is all zeros.
    pub profile: Vec<String>,
}

impl TowerSchema {
    /// Number of id columns, `I`.
    pub fn id_width(&self) -> usize {
        self.id_groups.iter().map(|g| g.width).sum()
    }

    /// For every id column the group it belongs to.
    pub(crate) fn column_groups(&self) -> Vec<usize> {
        self.id_groups.iter().enumerate().flat_map(|(i, g)| std::iter::repeat_n(i, g.width)).collect()
    }

    /// Checks what the towers rely on.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let bad = |reason: &str| Err(TrainError::Setting { name: "schema", reason: reason.into() });
        match self.id_groups.first() {
            None => return bad("id_groups needs the video's own id as its first group"),
            Some(first) if first.width != 1 => return bad("the first id group is the video's own id and has width 1"),
            Some(_) => {}
        }
        if self.id_groups.iter().any(|g| g.buckets == 0 || g.width == 0) {
            return bad("every id group needs at least one bucket and one column");
        }
        if self.content.is_empty() || self.actions.is_empty() || self.profile.is_empty() {
            return bad("content, actions and profile need at least one column each; add a constant one");
        }
        Ok(())
    }
}

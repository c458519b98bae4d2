//! A value that is used and never shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password: it does not show in a log, and [`Secret::MASK`] stands for it where the configuration is printed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// What stands for a secret that is set.
    pub const MASK: &str = "***";

    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, to be handed to who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be shown: nothing, or the mask.
    #[must_use]
    pub fn masked(&self) -> Self {
        Self::new(if self.0.is_empty() { "" } else { Self::MASK })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(Self::MASK)
    }
}

//! Sessions: one light actix actor per active user.

pub mod affinity;
pub mod state;

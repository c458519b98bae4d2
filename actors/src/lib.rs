//! foryou actors.

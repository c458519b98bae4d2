//! foryou index.

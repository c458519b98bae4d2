//! foryou.

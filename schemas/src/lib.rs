//! foryou schemas.

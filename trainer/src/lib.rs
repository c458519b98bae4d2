//! foryou trainer.

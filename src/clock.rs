//! Time and ids, injected, so that any run can be repeated.

use std::{fmt, sync::Arc};

use foryou_schemas::{EventId, FeedId, Timestamp};
use uuid::Uuid;

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::of(Timestamp::now)
    }

    /// Any other clock.
    pub fn of(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Gives ids to what comes without one.
#[derive(Clone)]
pub struct Ids(Arc<dyn Fn() -> Uuid + Send + Sync>);

impl Ids {
    /// Unique ones, in the order of time (UUID version 7).
    pub fn unique() -> Self {
        Self::of(Uuid::now_v7)
    }

    /// Any others.
    pub fn of(next: impl Fn() -> Uuid + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    /// An event's.
    #[expect(clippy::expect_used, reason = "the text of a UUID keeps the rules of ids")]
    pub fn event(&self) -> EventId {
        EventId::new(format!("e-{}", (self.0)().simple())).expect("a UUID is an id")
    }

    /// A feed's.
    #[expect(clippy::expect_used, reason = "the text of a UUID keeps the rules of ids")]
    pub fn feed(&self) -> FeedId {
        FeedId::new(format!("f-{}", (self.0)().simple())).expect("a UUID is an id")
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

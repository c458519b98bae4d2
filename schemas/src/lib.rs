//! The vocabulary of foryou: what the outside says and hears, parsed once, at the edge, into types that cannot be wrong.
//!
//! Every inbound type has one parser (`T::parse`), which reads JSON strictly: an unknown field is refused by name, a field
//! given twice is refused, and every problem of a body is reported at once as a list of [`FieldError`].

mod country;
pub mod event;
pub mod feed;
pub mod id;
pub mod invalid;
pub mod json;
pub mod object;
pub mod time;
pub mod user;
pub mod video;

pub use event::{Event, Kind};
pub use feed::{Explain, Feed, FeedItem, FoundBy, Standing, Why};
pub use id::{CreatorId, EventId, FeedId, UserId, VideoId};
pub use invalid::{FieldError, Invalid};
pub use time::Timestamp;
pub use user::{Country, Gender, Language, User};
pub use video::{Status, Video};

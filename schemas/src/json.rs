//! The published JSON Schemas (2020-12), as text: `json/`, made from the same constants as the parsers.

/// An event, as it is sent.
pub const EVENT: &str = include_str!("../json/event.schema.json");
/// A person's profile with the id, as it is sent.
pub const USER: &str = include_str!("../json/user.schema.json");
/// A video with the id, as it is sent.
pub const VIDEO: &str = include_str!("../json/video.schema.json");
/// A feed, as it is answered.
pub const FEED: &str = include_str!("../json/feed.schema.json");

//! The record of a served feed: features as served, scores, propensities and versions, for training and exact replay.

use foryou_actors::catalogue::Catalogue;
use foryou_schemas::{FeedId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{candidate::Candidate, hydrate::FeatureRows, request::Request};

/// Version of the encoding.
const VERSION: u8 = 1;

/// A feed as it was served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServedFeed {
    /// The models that made it.
    pub release: String,
    /// Number of the latest event in the person's session: with `order` it dates the features exactly.
    pub session_seq: u64,
    /// Order number of the latest event in the statistics.
    pub statistics_order: u64,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Name of the surface that asked.
    pub surface: String,
    /// What was served, in order.
    pub items: Vec<ServedItem>,
}

/// One item as it was served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServedItem {
    /// Its public id.
    pub video: String,
    /// The source it is attributed to.
    pub source: String,
    /// What it was ordered by.
    pub score: f32,
    /// Whether an exploration slot took it.
    pub explore: bool,
    /// With which probability the policy put it there.
    pub propensity: f32,
    /// The ranker's input, in the order of the release's feature schema; empty where it was not ranked.
    pub features: Vec<f32>,
    /// The ranker's output; empty where it was not ranked.
    pub outcomes: Vec<f32>,
}

impl ServedFeed {
    /// The record of a feed.
    pub fn new(request: &Request, release: &str, surface: &str, items: &[Candidate], features: &FeatureRows) -> Self {
        let catalogue: &Catalogue = &request.catalogue;
        let item = |c: &Candidate| ServedItem {
            video: catalogue.id(c.video).map(ToString::to_string).unwrap_or_default(),
            source: c.source().to_owned(),
            score: c.score,
            explore: c.explore,
            propensity: c.propensity,
            features: c.row.map(|row| features.row(row).to_vec()).unwrap_or_default(),
            outcomes: c.outcomes.clone(),
        };
        Self {
            release: release.to_owned(),
            session_seq: request.session.seq,
            statistics_order: features.order,
            at_ms: request.now.millis(),
            surface: surface.to_owned(),
            items: items.iter().map(item).collect(),
        }
    }

    /// As the store keeps it.
    pub fn encode(&self) -> Vec<u8> {
        // Strings and numbers into memory: cannot fail.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    /// From the store; the error says what was found.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|e| format!("an impression record: {e}")),
            Some((version, _)) => Err(format!("an impression record of version {version}; this build reads {VERSION}")),
            None => Err("an empty impression record".to_owned()),
        }
    }

    /// The store's key parts beside it.
    pub fn stored(&self, user: UserId, feed: FeedId, at: Timestamp) -> foryou_actors::ports::store::Impression {
        foryou_actors::ports::store::Impression { user, at, feed, record: self.encode() }
    }
}

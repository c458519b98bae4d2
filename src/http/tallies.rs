//! `GET /internal/tallies?since=ORDER`: what this node counted of what changed after that order number, for the other nodes.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use foryou_actors::{statistics::TallyKey, tallies};
use serde::{Deserialize, Serialize};

use super::input::Query;
use crate::{app::App, error::Problem};

/// The path of the route.
pub const PATH: &str = "/internal/tallies";

/// The answer, in postcard. Only nodes of one version need to understand each other: one that does not reads the store later.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Changes when the node begins to count anew from its store: then `since` means nothing to it.
    pub generation: u64,
    /// The order number up to which the tallies count.
    pub order: u64,
    /// By public names, encoded.
    pub tallies: Vec<(TallyKey, Vec<u8>)>,
}

/// The changed tallies.
pub async fn get(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request);
    let since = query.take("since", |text| text.parse().map_err(|_| "is not a whole number".to_owned())).unwrap_or(0);
    query.finish()?;
    let live = &app.live;
    let catalogue = live.catalogue_full();
    let (order, changed) = live.changes_since(since);
    let named = changed
        .iter()
        .filter_map(|(entity, tally)| Some((tallies::key(*entity, &catalogue, live)?, tallies::encode(tally))));
    let told = Told { generation: live.generation(), order, tallies: named.collect() };
    let body = postcard::to_stdvec(&told).map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().content_type("application/octet-stream").body(body))
}

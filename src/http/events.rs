//! `POST /v1/events`: one event, or `{"events": [..]}`.

use std::{cell::Cell, pin::pin, task::Poll, time::Duration};

use actix_web::{HttpResponse, web::Data};
use foryou_actors::{catalogue::Catalogue, ports::store::StoreError, services::membership::Home};
use foryou_schemas::{Event, EventId, Invalid, Timestamp, UserId, event::MAX_BATCH, object, object::Object};
use futures_util::{future::join, poll};
use prometheus_client::metrics::counter::Counter;
use serde_json::{json, value::RawValue};
use tracing::Instrument;
use utoipa::openapi::schema::OneOfBuilder;

use super::{
    input::Body,
    openapi::{Group, Spec, refers},
    results::{Answer, Outcome, Status, answer},
};
use crate::{
    access::Caller,
    app::App,
    clock::Ids,
    error::Problem,
    telemetry::{Metrics, TRACES},
};

/// What the document says of it.
pub fn spec() -> Spec {
    let one_or_more = OneOfBuilder::new().item(refers("Event")).item(refers("EventBatch"));
    Spec::new(
        Group::Events,
        "postEvents",
        "Tell what people did",
        "One event, or up to 1,000. What is accepted is durable. The event's `id` makes it safe to send again, and is what a feed's \
         `after` takes. A video has to be in the catalogue before events can name it. A person's token may tell that person's own \
         events only.",
    )
    .reads(
        "One event, or a list",
        one_or_more,
        json!({"id": "e-1", "user": "u1", "video": "v1", "kind": "view", "watch_ms": 5300}),
    )
    .answers::<Answer<'_>>(202, "A result for each event, in order. Where every one is rejected the answer is 422")
}

/// Validates, keeps out what is known already, publishes the rest, and answers when that is durable.
pub async fn post(app: Data<App>, caller: Caller, Body(body): Body) -> Result<HttpResponse, Problem> {
    let now = app.clock.now();
    let batch = Object::parse(&body)?.raw("events").is_some();
    if !batch {
        let parsed = Parsed::read(&body, now, &app.ids, &app.live.catalogue())?;
        own(&caller, &parsed)?;
        return answer("events", &accept(&app, vec![Ok(parsed)]).await?);
    }
    let elements = object::batch(&body, "events", MAX_BATCH)?;
    let parsed: Vec<_> = {
        let catalogue = app.live.catalogue();
        let read = |element: &&RawValue| {
            Parsed::read(element.get().as_bytes(), now, &app.ids, &catalogue)
                .map_err(|invalid| Outcome::rejected(element, invalid))
        };
        elements.iter().map(read).collect()
    };
    parsed.iter().flatten().try_for_each(|parsed| own(&caller, parsed))?;
    answer("events", &accept(&app, parsed).await?)
}

/// How many events ended which way.
pub struct EventCounts {
    accepted: Counter,
    duplicate: Counter,
    rejected: Counter,
}

impl EventCounts {
    /// Shows in `metrics` from now on.
    pub fn new(metrics: &Metrics) -> Self {
        let [accepted, duplicate, rejected] =
            ["accepted", "duplicate", "rejected"].map(|status| metrics.events(status));
        Self { accepted, duplicate, rejected }
    }

    /// Accepted, known already, and refused so far.
    pub fn so_far(&self) -> [u64; 3] {
        [self.accepted.get(), self.duplicate.get(), self.rejected.get()]
    }

    fn count(&self, results: &[Outcome]) {
        for outcome in results {
            match outcome.status {
                Status::Accepted => self.accepted.inc(),
                Status::Duplicate => self.duplicate.inc(),
                Status::Rejected => self.rejected.inc(),
            };
        }
    }
}

/// Whether the caller may say this: people only of themselves.
fn own(caller: &Caller, parsed: &Parsed) -> Result<(), Problem> {
    match caller.may_act_for(&parsed.event.user) {
        true => Ok(()),
        false => {
            Err(Problem::forbidden("An event's user is another than the token's; people send their own events only."))
        }
    }
}

/// An event that may be accepted.
pub struct Parsed {
    pub event: Event,
    /// Whether the id came from the client: only then can it be known.
    named: bool,
}

impl Parsed {
    /// The id, if the client gave it.
    pub fn given_id(&self) -> Option<&EventId> {
        self.named.then_some(&self.event.id)
    }

    fn read(json: &[u8], now: Timestamp, ids: &Ids, catalogue: &Catalogue) -> Result<Self, Invalid> {
        Self::read_with(ids, catalogue, |new_id| Event::parse(json, now, new_id))
    }

    fn read_with(
        ids: &Ids,
        catalogue: &Catalogue,
        parse: impl FnOnce(&dyn Fn() -> EventId) -> Result<Event, Invalid>,
    ) -> Result<Self, Invalid> {
        let named = Cell::new(true);
        let event = parse(&|| {
            named.set(false);
            ids.event()
        })?;
        if catalogue.find(&event.video).is_none() {
            let reason = format!("{} is not in the catalogue; publish it first, or check the id", event.video);
            return Err(Invalid::field("video", reason));
        }
        Ok(Self { event, named: named.get() })
    }
}

/// Reads an event of a person who is known already, from a socket.
pub fn of_person(app: &App, json: &[u8], user: &UserId) -> Result<Parsed, Invalid> {
    let now = app.clock.now();
    Parsed::read_with(&app.ids, &app.live.catalogue(), |new_id| Event::parse_of(json, user.clone(), now, new_id))
}

/// Accepts one event: what became of it, when that is durable.
pub async fn accept_one(app: &App, parsed: Parsed) -> Result<(EventId, Status), Problem> {
    let id = parsed.event.id.clone();
    let results = accept(app, vec![Ok(parsed)]).await?;
    Ok((id, results.first().map_or(Status::Accepted, |result| result.status)))
}

async fn accept(app: &App, elements: Vec<Result<Parsed, Outcome>>) -> Result<Vec<Outcome>, Problem> {
    let claim = app.claims.claim(elements.iter().flatten().map(|p| &p.event.id)).await;
    let mut is_mine = claim.is_mine().iter().copied();
    let (mut results, mut places) = (Vec::with_capacity(elements.len()), Vec::with_capacity(elements.len()));
    let (mut events, mut named) = (Vec::with_capacity(elements.len()), Vec::with_capacity(elements.len()));
    for element in elements {
        match element {
            Err(rejected) => results.push(rejected),
            Ok(parsed) if is_mine.next() == Some(true) => {
                places.push(results.len());
                results.push(Outcome::of(parsed.event.id.as_str(), Status::Accepted));
                named.push(parsed.named);
                events.push(parsed.event);
            }
            Ok(parsed) => results.push(Outcome::of(parsed.event.id.as_str(), Status::Duplicate)),
        }
    }
    let known = publish_new(app, &events, &named).await?;
    claim.accept();
    for ((event, place), known) in events.iter().zip(places).zip(known) {
        if known {
            results[place].status = Status::Duplicate;
        } else if app.membership.home(&event.user) == Home::Here {
            app.feeds.freshness.accepted(&event.user, &event.id);
        }
    }
    app.events.count(&results);
    Ok(results)
}

/// Publishes the events that the store does not know; returns which it knows. Only what was `named` by a client can be known.
async fn publish_new(app: &App, events: &[Event], named: &[bool]) -> Result<Vec<bool>, Problem> {
    let ours = events.iter().all(|event| app.membership.home(&event.user) == Home::Here);
    let mut asking = pin!(known(app, events, named));
    let known = match poll!(asking.as_mut()) {
        Poll::Ready(known) => known?,
        // Over a network, the store takes as long as the bus: both at the same time. Ingest waits for this answer as well, and
        // drops what is known. Another node's ingest would not wait: the store might know an event that is being published.
        Poll::Pending if ours => {
            let (known, published) = join(asking, publish(app, events)).await;
            let known = known?;
            return match published {
                Err(error) if known.contains(&false) => Err(error),
                _ => Ok(known),
            };
        }
        Poll::Pending => asking.await?,
    };
    if known.contains(&true) {
        let new = events.iter().zip(&known).filter(|(_, known)| !**known);
        publish(app, &new.map(|(event, _)| event.clone()).collect::<Vec<_>>()).await?;
    } else {
        publish(app, events).await?;
    }
    Ok(known)
}

async fn publish(app: &App, events: &[Event]) -> Result<(), Problem> {
    if events.is_empty() {
        return Ok(());
    }
    let span = tracing::trace_span!(target: TRACES, "publish", otel.kind = "producer", events = events.len() as i64);
    Ok(app.bus.publish(events).instrument(span).await?)
}

/// How long the answer waits to learn which events are known already.
const ASKED_WITHIN: Duration = Duration::from_millis(200);

/// Which of these events were applied before, as far as the store can tell now. Where it cannot, they count as new: the bus takes
/// them, and ingest, which waits for the store, applies none twice.
async fn known(app: &App, events: &[Event], named: &[bool]) -> Result<Vec<bool>, Problem> {
    let asked: Vec<&Event> = events.iter().zip(named).filter_map(|(event, named)| named.then_some(event)).collect();
    if asked.is_empty() {
        return Ok(vec![false; events.len()]);
    }
    let reason = match tokio::time::timeout(ASKED_WITHIN, app.ingest.known(&asked)).await {
        Ok(Ok(known)) => {
            let mut known = known.into_iter();
            return Ok(named.iter().map(|named| *named && known.next() == Some(true)).collect());
        }
        Ok(Err(error @ StoreError::Corrupt(_))) => return Err(error.into()),
        Ok(Err(error)) => error.to_string(),
        Err(late) => late.to_string(),
    };
    tracing::debug!(reason, events = asked.len(), "accepted without a look at the store");
    app.unchecked.inc_by(asked.len() as u64);
    Ok(vec![false; events.len()])
}

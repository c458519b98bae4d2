//! When a socket's tail is made anew, and what is sent of it.

use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, WrapFuture};
use foryou_actors::services::membership::Home;
use foryou_schemas::{EventId, Feed, FeedItem, Kind, VideoId};
use rand::Rng;

use super::{
    super::messages::{Because, Cause, MOST_ITEMS, Says},
    FeedSocket,
};
use crate::feed::FeedRequest;

/// Asked beyond what is wanted, for those that were watched while the session did not know it yet.
const SPARE: usize = 4;
/// How long a new tail waits until the session has applied what the client just said.
const APPLIED_WITHIN: Duration = Duration::from_millis(250);

impl FeedSocket {
    /// An event of this kind is known. What was only seen changes little: it uses up the tail, which is filled up from behind.
    pub(super) fn learn(&mut self, kind: Kind, event: &EventId, context: &mut Context<Self>) {
        if kind != Kind::Impression {
            self.refresh(Because { kind: Cause::Event, id: Some(event.as_str().into()) }, context);
        } else {
            self.used = true;
            self.plan(self.pause(), context);
        }
    }

    /// The tail is stale: a better one comes.
    pub(super) fn refresh(&mut self, because: Because, context: &mut Context<Self>) {
        let known = self.stale.as_ref().is_some_and(|stale| stale.kind == Cause::Event);
        if !known || because.kind == Cause::Event {
            self.stale = Some(because);
        }
        self.plan(self.pause(), context);
    }

    /// How long the next feed waits. The first is made at once; what happens soon after it is gathered. What concerns many people at the same
    /// time comes to each at another.
    pub(super) fn pause(&self) -> Duration {
        let coalesce = self.parts.app.sockets.settings().coalesce_ms.millis();
        let gathers = self.made.map_or(Duration::ZERO, |made| coalesce.saturating_sub(made.elapsed()));
        match self.stale.as_ref().map(|stale| stale.kind) {
            Some(Cause::Release | Cause::Video) => {
                let spread = self.parts.app.sockets.settings().spread_ms.millis();
                gathers.max(rand::rng().random_range(Duration::ZERO..=spread))
            }
            Some(Cause::Event) => gathers,
            None if self.more == 0 => gathers,
            Some(Cause::Start | Cause::More) | None => Duration::ZERO,
        }
    }

    /// Makes a feed after this time, unless one comes sooner.
    pub(super) fn plan(&mut self, pause: Duration, context: &mut Context<Self>) {
        if self.making || self.ended.is_some() {
            return;
        }
        let at = Instant::now() + pause;
        if let Some((planned, _)) = self.planned
            && planned <= at
        {
            return;
        }
        if let Some((_, later)) = self.planned.take() {
            context.cancel_future(later);
        }
        if pause.is_zero() {
            return self.make(context);
        }
        let make = context.run_later(pause, |socket, context| {
            socket.planned = None;
            socket.make(context);
        });
        self.planned = Some((at, make));
    }

    /// Makes one feed: a new tail, or else more behind it. Whoever reads too slowly gets none meanwhile, and then the newest.
    fn make(&mut self, context: &mut Context<Self>) {
        if self.ended.is_some() {
            return;
        }
        if self.parts.app.membership.home(&self.parts.user) != Home::Here {
            return self.moved(context);
        }
        let Some(list) = &self.list else { return };
        if !self.parts.out.has_room() {
            if !std::mem::replace(&mut self.starved, true) {
                self.parts.app.sockets.counts().degraded.inc();
            }
            return;
        }
        let (because, used) = (self.stale.take(), std::mem::take(&mut self.used));
        let wanted = match &because {
            Some(_) => list.wanted(),
            None => std::mem::take(&mut self.more).max(if used { list.missing() } else { 0 }),
        };
        if wanted == 0 {
            return;
        }
        let spare = match &because {
            // The session may know nothing of what the client named with its first word.
            Some(Because { kind: Cause::Start, .. }) => list.count_watched(),
            _ => list.count_watched().min(SPARE),
        };
        let limit = match &because {
            Some(_) => wanted + spare,
            None => list.left() + wanted + spare,
        };
        let at_hand = list.tail().cloned().collect();
        let asked = FeedRequest {
            user: self.parts.user.clone(),
            limit: limit.min(MOST_ITEMS as usize),
            after: self.after.take().map(|event| (event, APPLIED_WITHIN)),
            explain: self.explain,
            surface: self.parts.surface.clone(),
            country: self.parts.country,
            at_hand,
            elsewhere: None,
        };
        self.making = true;
        self.made = Some(Instant::now());
        let (app, acted) = (self.parts.app.clone(), self.acted.take());
        // What makes feeds is large; it is in memory only as long as one is made.
        let feed = Box::pin(async move { app.feeds.feed(asked).await });
        feed.into_actor(self)
            .map(move |feed, socket: &mut Self, context| {
                socket.making = false;
                socket.push(feed, wanted, because, acted, context);
                if socket.stale.is_some() || socket.more > 0 || socket.used {
                    socket.plan(socket.pause(), context);
                }
            })
            .spawn(context);
    }

    /// Puts a feed in the place of the tail, or behind it, and sends it.
    fn push(
        &mut self,
        feed: Feed,
        wanted: usize,
        because: Option<Because>,
        acted: Option<Instant>,
        context: &mut Context<Self>,
    ) {
        let Some(list) = &mut self.list else { return };
        let fell_back = |stage| feed.degraded.iter().any(|why| why.starts_with(stage));
        if fell_back("after:") {
            // Their notices bring the tail that reflects them.
            self.own.clear();
        }
        let took_ms = feed.took_ms;
        let blocked = &self.blocked;
        let fits = |item: &FeedItem| match because {
            _ if blocked.contains(&item.creator) => false,
            Some(_) => list.may_come(&item.video),
            None => list.may_follow(&item.video),
        };
        let reflects_all = self.after.is_none() && !fell_back("after:") && !fell_back("session:");
        let mut items: Vec<FeedItem> = feed.items.into_iter().filter(fits).take(wanted).collect();
        if reflects_all {
            self.blocked = Vec::new();
        }
        let videos: Vec<VideoId> = items.iter().map(|item| item.video.clone()).collect();
        let ((seq, from), because) = match because {
            Some(because) => (list.replace(videos), because),
            None => (list.extend(videos), Because { kind: Cause::More, id: None }),
        };
        for (item, position) in items.iter_mut().zip(from..) {
            item.position = u32::try_from(position).unwrap_or(u32::MAX);
        }
        let resume = list.resume().word();
        self.say(&Says::Feed { seq, from, took_ms, items: &items, because: &because, resume }.frame(), context);
        let counts = self.parts.app.sockets.counts();
        counts.pushed(because.kind);
        if let Some(acted) = acted {
            counts.action.observe(acted.elapsed());
        }
    }
}

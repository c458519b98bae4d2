//! The actor that owns one socket: hears the client and the person's session, and keeps the client's tail fresh.

use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, StreamHandler, WrapFuture,
    fut::wrap_future,
};
use actix_web::web::Data;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};
use foryou_actors::services::{
    membership::Home,
    subscriptions::{Notice, Subscriber},
};
use foryou_schemas::{Country, Feed, FeedItem, Invalid, Kind, UserId, VideoId};
use futures_util::stream;
use rand::Rng;

use super::{
    messages::{Because, Cause, MOST_ITEMS, Said, Says, error_frame},
    open::Place,
    subscription::Subscription,
};
use crate::{
    access::{Caller, Scope},
    app::App,
    error::Problem,
    feed::FeedRequest,
    http::events,
};

/// Asked beyond what is wanted, for those that were watched while the session did not know it yet.
const SPARE: usize = 4;

/// What a socket is opened with.
pub struct Parts {
    pub app: Data<App>,
    pub user: UserId,
    pub caller: Caller,
    /// Held as long as the socket is open.
    pub _place: Place,
    pub surface: Option<Box<str>>,
    pub country: Option<Country>,
    pub out: Session,
}

/// One socket.
pub struct FeedSocket {
    parts: Parts,
    /// None until the client has said hello.
    list: Option<Subscription>,
    /// Why the tail is to be replaced.
    stale: Option<Because>,
    /// How many videos the client wants behind its tail.
    more: usize,
    /// A feed is being made, or waits for company.
    working: bool,
    /// When the client was last heard at all, and when it last said something.
    heard: Instant,
    said: Instant,
}

impl FeedSocket {
    /// Starts the actor on this thread.
    pub fn start(parts: Parts, frames: AggregatedMessageStream, subscriber: Subscriber) {
        let stopping = parts.app.sockets.stopping();
        let now = Instant::now();
        Self::create(move |context| {
            context.add_stream(frames);
            context.add_stream(notices(subscriber));
            let stopped = async move {
                let mut stopping = stopping;
                // An error says that the server is gone.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            };
            let bye = wrap_future::<_, Self>(stopped).map(|(), socket, context| {
                // Clients come back at different times.
                let retry = Duration::from_millis(rand::rng().random_range(200..2_000));
                socket.bye("the server stops", retry, context);
            });
            context.spawn(bye);
            Self { parts, list: None, stale: None, more: 0, working: false, heard: now, said: now }
        });
    }

    fn hear(&mut self, frame: &[u8], context: &mut Context<Self>) {
        self.said = Instant::now();
        let said = match Said::parse(frame) {
            Ok(said) => said,
            Err(invalid) => return self.complain(&invalid.into(), context),
        };
        match (said, self.list.is_some()) {
            (Said::Ping, _) => self.say(Says::Pong.frame(), context),
            (Said::Hello { buffer, resume }, false) => {
                let (sockets, user) = (&self.parts.app.sockets, &self.parts.user);
                let resume = resume.map(|resume| sockets.resumed(user, resume));
                let id = uuid::Uuid::now_v7().simple().to_string();
                let list = Subscription::begin(id.into(), buffer, resume.as_ref());
                let resume = list.resume().word();
                self.list = Some(list);
                let heartbeat_ms = sockets.settings().heartbeat_ms.millis().as_millis() as u64;
                self.say(Says::Welcome { resume, heartbeat_ms }.frame(), context);
                self.refresh(Because { kind: Cause::Start, id: None }, context);
            }
            (Said::Hello { .. }, true) => {
                self.complain(&Invalid::field("type", "was hello before; it is said once").into(), context);
            }
            (_, false) => {
                self.complain(&Invalid::field("type", "is not hello, which is the first word").into(), context);
            }
            (Said::Event(frame), true) => self.event(frame, context),
            (Said::Seen { video }, true) => self.seen(&video, context),
            (Said::More { limit }, true) => {
                self.more = (self.more + limit).min(MOST_ITEMS as usize);
                self.work(Duration::ZERO, context);
            }
        }
    }

    fn event(&mut self, frame: &[u8], context: &mut Context<Self>) {
        let app = &self.parts.app;
        if !app.gate.still_good(&self.parts.caller) {
            return self.expired(context);
        }
        if let Caller::Key { scopes, .. } = &self.parts.caller
            && !scopes.has(Scope::Events)
        {
            return self.complain(&Problem::forbidden("This key has not the scope events."), context);
        }
        match events::of_person(app, frame, &self.parts.user) {
            Ok(event) => self.take(event, true, context),
            Err(invalid) => self.complain(&invalid.into(), context),
        }
    }

    /// What was seen is known for good, on every device.
    fn seen(&mut self, video: &VideoId, context: &mut Context<Self>) {
        let frame = serde_json::json!({"video": video, "kind": "impression"}).to_string();
        match events::of_person(&self.parts.app, frame.as_bytes(), &self.parts.user) {
            Ok(event) => self.take(event, false, context),
            Err(invalid) => self.complain(&invalid.into(), context),
        }
    }

    /// Makes an event durable; nothing else is heard meanwhile, so a client's events keep their order and none is held in memory.
    fn take(&mut self, parsed: events::Parsed, acknowledge: bool, context: &mut Context<Self>) {
        if let Some(list) = &mut self.list {
            list.watched(&parsed.event.video);
        }
        let app = self.parts.app.clone();
        let accepted = async move { events::accept_one(&app, parsed).await };
        accepted
            .into_actor(self)
            .map(move |accepted, socket: &mut Self, context| match accepted {
                Ok((id, status)) if acknowledge => {
                    socket.say(Says::Ack { id: id.as_str(), status }.frame(), context);
                }
                Ok(_) => {}
                Err(problem) => socket.complain(&problem, context),
            })
            .wait(context);
    }

    /// The tail is stale: a better one comes soon, together with what else happens until then.
    fn refresh(&mut self, because: Because, context: &mut Context<Self>) {
        let known = self.stale.as_ref().is_some_and(|stale| stale.kind == Cause::Event);
        if !known || because.kind == Cause::Event {
            self.stale = Some(because);
        }
        let pause = match self.stale.as_ref().map(|stale| stale.kind) {
            Some(Cause::Start) => Duration::ZERO,
            _ => self.parts.app.sockets.settings().coalesce_ms.millis(),
        };
        self.work(pause, context);
    }

    fn work(&mut self, pause: Duration, context: &mut Context<Self>) {
        if self.working {
            return;
        }
        self.working = true;
        match pause.is_zero() {
            true => self.make(context),
            false => {
                context.run_later(pause, |socket, context| socket.make(context));
            }
        }
    }

    /// Makes one feed: a new tail, or else more behind it.
    fn make(&mut self, context: &mut Context<Self>) {
        let Some(list) = &self.list else { return self.working = false };
        let because = self.stale.take();
        let wanted = match &because {
            Some(_) => list.wanted(),
            None => std::mem::take(&mut self.more),
        };
        if wanted == 0 {
            return self.working = false;
        }
        let limit = match &because {
            Some(_) => wanted + SPARE,
            None => list.left() + wanted + SPARE,
        };
        let asked = FeedRequest {
            user: self.parts.user.clone(),
            limit: limit.min(MOST_ITEMS as usize),
            after: None,
            explain: false,
            surface: self.parts.surface.clone(),
            country: self.parts.country,
            elsewhere: None,
        };
        let app = self.parts.app.clone();
        let feed = async move { app.feeds.feed(asked).await };
        feed.into_actor(self)
            .map(move |feed, socket: &mut Self, context| {
                socket.push(feed, wanted, because, context);
                socket.working = false;
                if socket.stale.is_some() || socket.more > 0 {
                    socket.work(Duration::ZERO, context);
                }
            })
            .spawn(context);
    }

    fn push(&mut self, feed: Feed, wanted: usize, because: Option<Because>, context: &mut Context<Self>) {
        let Some(list) = &mut self.list else { return };
        let fits = |item: &FeedItem| match because {
            Some(_) => list.may_come(&item.video),
            None => list.may_follow(&item.video),
        };
        let mut items: Vec<FeedItem> = feed.items.into_iter().filter(fits).take(wanted).collect();
        let videos: Vec<VideoId> = items.iter().map(|item| item.video.clone()).collect();
        let ((seq, from), because) = match because {
            Some(because) => (list.replace(videos), because),
            None => (list.extend(videos), Because { kind: Cause::More, id: None }),
        };
        for (item, position) in items.iter_mut().zip(from..) {
            item.position = u32::try_from(position).unwrap_or(u32::MAX);
        }
        let resume = list.resume().word();
        self.say(Says::Feed { seq, from, items: &items, because: &because, resume }.frame(), context);
    }

    fn complain(&mut self, problem: &Problem, context: &mut Context<Self>) {
        if let Some(cause) = problem.cause() {
            tracing::warn!(user = %self.parts.user, cause, "a feed socket's message failed");
        }
        self.say(error_frame(problem, false), context);
    }

    /// Sends a frame. Who does not read is waited for, and nothing else is done meanwhile; then the socket ends.
    fn say(&mut self, frame: String, context: &mut Context<Self>) {
        let (mut out, patience) = (self.parts.out.clone(), self.parts.app.sockets.settings().send_timeout_ms.millis());
        async move { tokio::time::timeout(patience, out.text(frame)).await.is_ok_and(|sent| sent.is_ok()) }
            .into_actor(self)
            .map(|sent, socket: &mut Self, context| {
                if !sent {
                    socket.end(CloseCode::Policy, "what is sent is not read", context);
                }
            })
            .wait(context);
    }

    fn expired(&mut self, context: &mut Context<Self>) {
        let problem = Problem::bad_credential("What this socket was opened with is not good any more; open another.");
        self.say(error_frame(&problem, true), context);
        self.bye("the token has expired", Duration::ZERO, context);
    }

    /// The last word, and the end.
    fn bye(&mut self, reason: &'static str, retry: Duration, context: &mut Context<Self>) {
        self.say(Says::Bye { reason, retry_ms: retry.as_millis() as u64 }.frame(), context);
        self.end(CloseCode::Normal, reason, context);
    }

    fn end(&mut self, code: CloseCode, reason: &'static str, context: &mut Context<Self>) {
        let out = self.parts.out.clone();
        let patience = self.parts.app.sockets.settings().send_timeout_ms.millis();
        async move {
            let close = out.close(Some(CloseReason { code, description: Some(reason.into()) }));
            let _gone = tokio::time::timeout(patience, close).await;
        }
        .into_actor(self)
        .map(|(), _, context| context.stop())
        .wait(context);
    }

    fn beat(&mut self, context: &mut Context<Self>) {
        let settings = self.parts.app.sockets.settings();
        let (heartbeat, idle) = (settings.heartbeat_ms.millis(), settings.idle_s.seconds());
        if self.heard.elapsed() > heartbeat * 3 {
            return self.end(CloseCode::Policy, "no answer to pings", context);
        }
        if self.said.elapsed() > idle {
            return self.bye("idle", Duration::ZERO, context);
        }
        if !self.parts.app.gate.still_good(&self.parts.caller) {
            return self.expired(context);
        }
        if self.parts.app.membership.home(&self.parts.user) != Home::Here {
            return self.bye("another node holds this user now", Duration::from_millis(100), context);
        }
        let mut out = self.parts.out.clone();
        async move {
            let _gone = tokio::time::timeout(heartbeat, out.ping(b"")).await;
        }
        .into_actor(self)
        .spawn(context);
    }
}

fn notices(subscriber: Subscriber) -> impl stream::Stream<Item = Notice> {
    stream::unfold(subscriber, |mut subscriber| async { subscriber.next().await.map(|notice| (notice, subscriber)) })
}

impl Actor for FeedSocket {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let heartbeat = self.parts.app.sockets.settings().heartbeat_ms.millis();
        context.run_interval(heartbeat, Self::beat);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(list) = &self.list {
            self.parts.app.sockets.leave(&self.parts.user, list.resume());
        }
    }
}

impl StreamHandler<Result<AggregatedMessage, ProtocolError>> for FeedSocket {
    fn handle(&mut self, message: Result<AggregatedMessage, ProtocolError>, context: &mut Self::Context) {
        self.heard = Instant::now();
        match message {
            Ok(AggregatedMessage::Text(text)) => self.hear(text.as_bytes(), context),
            Ok(AggregatedMessage::Binary(bytes)) => self.hear(&bytes, context),
            Ok(AggregatedMessage::Ping(payload)) => {
                let mut out = self.parts.out.clone();
                async move {
                    let _gone = out.pong(&payload).await;
                }
                .into_actor(self)
                .wait(context);
            }
            Ok(AggregatedMessage::Pong(_)) => {}
            Ok(AggregatedMessage::Close(_)) => self.end(CloseCode::Normal, "", context),
            Err(ProtocolError::Overflow) => {
                let limit = self.parts.app.sockets.settings().frame_limit_kb.count() * 1024;
                self.say(error_frame(&Problem::too_large(limit), true), context);
                self.end(CloseCode::Size, "the message is too large", context);
            }
            Err(_) => self.end(CloseCode::Protocol, "not a WebSocket frame", context),
        }
    }

    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}

impl StreamHandler<Notice> for FeedSocket {
    fn handle(&mut self, notice: Notice, context: &mut Self::Context) {
        let Some(list) = &self.list else { return };
        let because = match notice {
            // What was only seen changes little; it uses up the tail.
            Notice::Session { kind: Kind::Impression, .. } if !list.is_short() => return,
            Notice::Session { event, .. } => Because { kind: Cause::Event, id: Some(event.as_str().into()) },
            Notice::Release(name) => Because { kind: Cause::Release, id: Some((*name).into()) },
            Notice::Video(video) => {
                let catalogue = self.parts.app.live.catalogue();
                Because { kind: Cause::Video, id: catalogue.id(video).map(|id| id.as_str().into()) }
            }
        };
        self.refresh(because, context);
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

//! The actor that owns one socket: hears the client and the person's session, and keeps the client's tail fresh.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

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
use foryou_schemas::{Country, EventId, Feed, FeedItem, Invalid, Kind, UserId, VideoId};
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
    http::{events, results::Status},
};

/// Asked beyond what is wanted, for those that were watched while the session did not know it yet.
const SPARE: usize = 4;
/// How long a new tail waits until the session has applied what the client just said.
const APPLIED_WITHIN: Duration = Duration::from_millis(250);
/// The client's own events whose notices are still to come.
const OWN: usize = 32;

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
    /// Whether items tell their story.
    explain: bool,
    /// Why the tail is to be replaced.
    stale: Option<Because>,
    /// How many videos the client wants behind its tail.
    more: usize,
    /// A feed is being made, or waits for company.
    working: bool,
    /// What the next feed has to reflect.
    after: Option<EventId>,
    /// Events from this socket, which need no notice: the tail that reflects them is under way.
    own: VecDeque<EventId>,
    /// What is to be sent, in order.
    outbox: VecDeque<Out>,
    sending: bool,
    /// When the client was last heard at all, and when it last said something.
    heard: Instant,
    said: Instant,
}

/// What goes to the client.
enum Out {
    Frame(String),
    /// The end.
    Close(CloseReason),
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
            Self {
                parts,
                list: None,
                explain: false,
                stale: None,
                more: 0,
                working: false,
                after: None,
                own: VecDeque::new(),
                outbox: VecDeque::new(),
                sending: false,
                heard: now,
                said: now,
            }
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
            (Said::Hello { buffer, resume, explain }, false) => {
                self.explain = explain;
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
        self.tell(frame, true, context);
    }

    /// What was seen is known for good, on every device.
    fn seen(&mut self, video: &VideoId, context: &mut Context<Self>) {
        let frame = serde_json::json!({"video": video, "kind": "impression"}).to_string();
        self.tell(frame.as_bytes(), false, context);
    }

    fn tell(&mut self, event: &[u8], acknowledge: bool, context: &mut Context<Self>) {
        let app = &self.parts.app;
        if !app.gate.still_good(&self.parts.caller) {
            return self.expired(context);
        }
        if let Caller::Key { scopes, .. } = &self.parts.caller
            && !scopes.has(Scope::Events)
        {
            return self.complain(&Problem::forbidden("This key has not the scope events."), context);
        }
        match events::of_person(app, event, &self.parts.user) {
            Ok(event) => self.take(event, acknowledge, context),
            Err(invalid) => self.complain(&invalid.into(), context),
        }
    }

    /// Makes an event durable; nothing else is heard meanwhile, so a client's events keep their order and none is held in memory.
    fn take(&mut self, parsed: events::Parsed, acknowledge: bool, context: &mut Context<Self>) {
        if let Some(list) = &mut self.list {
            list.watched(&parsed.event.video);
        }
        let app = self.parts.app.clone();
        let kind = parsed.event.kind;
        let accepted = async move { events::accept_one(&app, parsed).await };
        accepted
            .into_actor(self)
            .map(move |accepted, socket: &mut Self, context| match accepted {
                Ok((id, status)) => {
                    if acknowledge {
                        socket.say(Says::Ack { id: id.as_str(), status }.frame(), context);
                    }
                    if status == Status::Accepted {
                        socket.accepted(id, kind, context);
                    }
                }
                Err(problem) => socket.complain(&problem, context),
            })
            .wait(context);
    }

    /// An event of the client's own is durable: the next feed reflects it, and no notice has to be waited for.
    fn accepted(&mut self, id: EventId, kind: Kind, context: &mut Context<Self>) {
        if self.own.len() == OWN {
            self.own.pop_front();
        }
        self.own.push_back(id.clone());
        self.after = Some(id.clone());
        if self.makes_stale(kind) {
            self.refresh(Because { kind: Cause::Event, id: Some(id.as_str().into()) }, context);
        }
    }

    /// What was only seen changes little; it uses up the tail.
    fn makes_stale(&self, kind: Kind) -> bool {
        kind != Kind::Impression || self.list.as_ref().is_some_and(Subscription::is_short)
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
        if self.parts.app.membership.home(&self.parts.user) != Home::Here {
            return self.moved(context);
        }
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
            after: self.after.take().map(|event| (event, APPLIED_WITHIN)),
            explain: self.explain,
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
        if feed.degraded.iter().any(|why| why.starts_with("after:")) {
            // Their notices bring the tail that reflects them.
            self.own.clear();
        }
        let took_ms = feed.took_ms;
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
        self.say(Says::Feed { seq, from, took_ms, items: &items, because: &because, resume }.frame(), context);
    }

    fn complain(&mut self, problem: &Problem, context: &mut Context<Self>) {
        if let Some(cause) = problem.cause() {
            tracing::warn!(user = %self.parts.user, cause, "a feed socket's message failed");
        }
        self.say(error_frame(problem, false), context);
    }

    /// Sends a frame behind those that wait.
    fn say(&mut self, frame: String, context: &mut Context<Self>) {
        self.outbox.push_back(Out::Frame(frame));
        self.send(context);
    }

    /// Sends what waits, in order. Who does not read is waited for, and nothing else is done meanwhile; then the socket ends. One at
    /// a time: of several futures that a context waits for it runs the latest first.
    fn send(&mut self, context: &mut Context<Self>) {
        if self.sending {
            return;
        }
        let Some(next) = self.outbox.pop_front() else { return };
        self.sending = true;
        let (mut out, patience) = (self.parts.out.clone(), self.parts.app.sockets.settings().send_timeout_ms.millis());
        let sent = async move {
            match next {
                Out::Frame(frame) => {
                    tokio::time::timeout(patience, out.text(frame)).await.is_ok_and(|sent| sent.is_ok())
                }
                Out::Close(reason) => {
                    let _gone = tokio::time::timeout(patience, out.close(Some(reason))).await;
                    false
                }
            }
        };
        sent.into_actor(self)
            .map(|goes_on, socket: &mut Self, context| {
                socket.sending = false;
                match goes_on {
                    true => socket.send(context),
                    false => context.stop(),
                }
            })
            .wait(context);
    }

    fn expired(&mut self, context: &mut Context<Self>) {
        let problem = Problem::bad_credential("What this socket was opened with is not good any more; open another.");
        self.say(error_frame(&problem, true), context);
        self.bye("the token has expired", Duration::ZERO, context);
    }

    fn moved(&mut self, context: &mut Context<Self>) {
        self.bye("another node holds this user now", Duration::from_millis(100), context);
    }

    /// The last word, and the end.
    fn bye(&mut self, reason: &'static str, retry: Duration, context: &mut Context<Self>) {
        self.say(Says::Bye { reason, retry_ms: retry.as_millis() as u64 }.frame(), context);
        self.end(CloseCode::Normal, reason, context);
    }

    fn end(&mut self, code: CloseCode, reason: &'static str, context: &mut Context<Self>) {
        self.outbox.push_back(Out::Close(CloseReason { code, description: Some(reason.into()) }));
        self.send(context);
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
            return self.moved(context);
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
            // A message in too many pieces comes as the second; where it is the connection that failed, nobody hears it.
            Err(ProtocolError::Overflow | ProtocolError::Io(_)) => {
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
        if self.list.is_none() {
            return;
        }
        let because = match notice {
            Notice::Session { event, .. } if self.own.contains(&event) => {
                return self.own.retain(|own| *own != event);
            }
            Notice::Session { kind, .. } if !self.makes_stale(kind) => return,
            Notice::Session { event, .. } => Because { kind: Cause::Event, id: Some(event.as_str().into()) },
            Notice::Release(name) => Because { kind: Cause::Release, id: Some(Box::from(&*name)) },
            Notice::Video(video) => {
                let catalogue = self.parts.app.live.catalogue();
                Because { kind: Cause::Video, id: catalogue.id(video).map(|id| id.as_str().into()) }
            }
        };
        self.refresh(because, context);
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

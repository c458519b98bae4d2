//! The actor that owns one socket: hears the client and the person's session, and keeps the client's tail fresh.

mod tail;

use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, Message, SpawnHandle,
    StreamHandler, WeakAddr, WrapFuture, fut::wrap_future,
};
use actix_http::ws::CloseCode;
use actix_web::web::Data;
use foryou_actors::services::{
    membership::Home,
    subscriptions::{Notice, Subscriber},
};
use foryou_schemas::{Country, CreatorId, EventId, Invalid, Kind, UserId, VideoId};
use futures_util::stream;

use super::{
    PATH,
    frames::{Fault, Heard, Incoming},
    messages::{About, Because, Cause, MOST_ITEMS, Said, Says, error_frame},
    open::{Ended, FAREWELL, Place, Sockets},
    outbox::Outbox,
    subscription::{LeftAt, Resume, Subscription},
};
use crate::{
    access::{Caller, Scope},
    app::App,
    error::Problem,
    http::{events, results::Status},
};

/// The client's own events whose notices are still to come.
const OWN: usize = 32;
/// How long another socket may take to hand its subscription over.
const HANDED_WITHIN: Duration = Duration::from_secs(1);
/// When a client may come back whose subscription goes on elsewhere: two that fight for one should not do it fast.
const TAKEN_OVER: Duration = Duration::from_secs(60);

/// What a socket is opened with.
pub struct Parts {
    pub app: Data<App>,
    pub user: UserId,
    pub caller: Caller,
    /// Held as long as the socket is open.
    pub _place: Place,
    pub surface: Option<Box<str>>,
    pub country: Option<Country>,
    pub out: Outbox,
}

/// One socket.
pub struct FeedSocket {
    parts: Parts,
    /// None until the client has said hello, and once another socket goes on with it.
    list: Option<Subscription>,
    /// Whether items tell their story.
    explain: bool,
    /// Why the tail is to be replaced.
    stale: Option<Because>,
    /// How many videos the client wants behind its tail.
    more: usize,
    /// The client got further, and what it has at hand is to be filled up.
    used: bool,
    /// The next feed, if it waits for company.
    planned: Option<(Instant, SpawnHandle)>,
    /// A feed is being made.
    making: bool,
    /// A feed waits until the client has read what it was sent.
    starved: bool,
    /// It is looked after whether the client reads.
    watching: bool,
    /// When the latest feed was begun.
    made: Option<Instant>,
    /// What the next feed has to reflect, and when the first such event was heard.
    after: Option<EventId>,
    acted: Option<Instant>,
    /// Events from this socket, which need no notice: the tail that reflects them is under way.
    own: Vec<EventId>,
    /// Creators that the client blocked, until the session is known to have heard of it.
    blocked: Vec<CreatorId>,
    /// When the client was last heard at all, and when it last said something.
    heard: Instant,
    said: Instant,
    /// Why it ends; from then on nothing is heard or made.
    ended: Option<Ended>,
}

/// Asks a socket for its subscription: another one, of the same person, goes on with it.
#[derive(Message)]
#[rtype(result = "Option<LeftAt>")]
pub struct HandOver(UserId);

impl FeedSocket {
    /// Starts the actor on this thread.
    pub fn start(parts: Parts, frames: Incoming, subscriber: Subscriber) {
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
                socket.bye(Ended::Stops, Sockets::retry(), context);
            });
            context.spawn(bye);
            Self {
                parts,
                list: None,
                explain: false,
                stale: None,
                more: 0,
                used: false,
                planned: None,
                making: false,
                starved: false,
                watching: false,
                made: None,
                after: None,
                acted: None,
                own: Vec::new(),
                blocked: Vec::new(),
                heard: now,
                said: now,
                ended: None,
            }
        });
    }

    fn hear(&mut self, frame: &[u8], context: &mut Context<Self>) {
        self.said = Instant::now();
        let said = match Said::parse(frame) {
            Ok(said) => said,
            Err(invalid) => return self.complain(&invalid.into(), About::default(), context),
        };
        let about = About::of(&said);
        match (said, self.list.is_some()) {
            (Said::Ping, _) => self.say(&Says::Pong.frame(), context),
            (Said::Hello { buffer, resume, seen, explain }, false) => {
                self.explain = explain;
                self.hello(buffer, resume, seen, context);
            }
            (Said::Hello { .. }, true) => {
                self.complain(&Invalid::field("type", "was hello before; it is said once").into(), about, context);
            }
            (_, false) => {
                self.complain(&Invalid::field("type", "is not hello, which is the first word").into(), about, context);
            }
            (Said::Event(frame), true) => self.tell(frame, about, context),
            (Said::Seen { video }, true) => {
                // What was seen is known for good, on every device.
                let frame = serde_json::json!({"video": video, "kind": "impression"}).to_string();
                self.tell(frame.as_bytes(), about, context);
            }
            (Said::More { limit }, true) => match self.parts.app.gate.take_one(&self.parts.caller) {
                Ok(()) => {
                    self.more = (self.more + limit).min(MOST_ITEMS as usize);
                    self.plan(Duration::ZERO, context);
                }
                Err(problem) => self.complain(&problem, about, context),
            },
        }
    }

    /// Begins, or goes on where another socket is or was: one that is still open, because its end was not noticed yet, hands over.
    fn hello(&mut self, buffer: usize, resume: Option<Resume>, seen: Vec<VideoId>, context: &mut Context<Self>) {
        let sockets = &self.parts.app.sockets;
        let left = resume.map(|resume| sockets.resumed(&self.parts.user, resume));
        let Some(holder) = left.as_ref().and_then(|left| sockets.holder(left.resume.id)) else {
            return self.begin(buffer, left, &seen, context);
        };
        let asked = tokio::time::timeout(HANDED_WITHIN, holder.send(HandOver(self.parts.user.clone())));
        asked
            .into_actor(self)
            .map(move |handed, socket: &mut Self, context| {
                let handed = handed.ok().and_then(Result::ok).flatten();
                let further = left.into_iter().chain(handed).max_by_key(|left| left.resume.seq);
                socket.begin(buffer, further, &seen, context);
            })
            .wait(context);
    }

    fn begin(&mut self, buffer: usize, left: Option<LeftAt>, seen: &[VideoId], context: &mut Context<Self>) {
        let sockets = &self.parts.app.sockets;
        let resume = left.as_ref().map(|left| &left.resume);
        let mut list = Subscription::begin(uuid::Uuid::now_v7(), buffer, resume);
        seen.iter().for_each(|video| list.watched(video));
        let resume = list.resume();
        self.after = left.and_then(|left| left.after);
        sockets.hold(resume.id, context.address().downgrade());
        self.list = Some(list);
        let heartbeat_ms = sockets.settings().heartbeat_ms.millis().as_millis() as u64;
        self.say(&Says::Welcome { resume: resume.word(), heartbeat_ms }.frame(), context);
        self.refresh(Because { kind: Cause::Start, id: None }, context);
    }

    /// Where another socket goes on.
    fn left_at(&self, list: &Subscription) -> LeftAt {
        LeftAt { resume: list.resume(), after: self.own.last().cloned() }
    }

    fn tell(&mut self, event: &[u8], mut about: About, context: &mut Context<Self>) {
        let app = &self.parts.app;
        if !app.gate.still_good(&self.parts.caller) {
            return self.expired(context);
        }
        if let Caller::Key { scopes, .. } = &self.parts.caller
            && !scopes.has(Scope::Events)
        {
            return self.complain(&Problem::forbidden("This key has not the scope events."), about, context);
        }
        let parsed = events::of_person(app, event, &self.parts.user);
        if let Ok(parsed) = &parsed {
            about.id = parsed.given_id().map(|id| id.as_str().into());
        }
        if let Err(problem) = app.gate.take_one(&self.parts.caller) {
            return self.complain(&problem, about, context);
        }
        match parsed {
            Ok(event) => self.take(event, about, context),
            Err(invalid) => self.complain(&invalid.into(), about, context),
        }
    }

    /// Makes an event durable; nothing else is heard meanwhile, so a client's events keep their order and none is held in memory.
    fn take(&mut self, parsed: events::Parsed, about: About, context: &mut Context<Self>) {
        if let Some(list) = &mut self.list {
            list.watched(&parsed.event.video);
        }
        if parsed.event.kind == Kind::Block {
            let catalogue = self.parts.app.live.catalogue();
            let video = catalogue.find(&parsed.event.video).and_then(|video| catalogue.video(video));
            self.blocked.extend(video.map(|video| video.creator.clone()));
        }
        let (app, kind, heard) = (self.parts.app.clone(), parsed.event.kind, self.heard);
        let accepted = async move { events::accept_one(&app, parsed).await };
        accepted
            .into_actor(self)
            .map(move |accepted, socket: &mut Self, context| match accepted {
                Ok((id, status)) => {
                    if about.is_event() {
                        socket.say(&Says::Ack { id: id.as_str(), status }.frame(), context);
                    }
                    if status == Status::Accepted {
                        socket.accepted(id, kind, heard, context);
                    }
                }
                Err(problem) => socket.complain(&problem, about, context),
            })
            .wait(context);
    }

    /// An event of the client's own is durable: the next feed reflects it, and no notice has to be waited for.
    fn accepted(&mut self, id: EventId, kind: Kind, heard: Instant, context: &mut Context<Self>) {
        if self.own.len() == OWN {
            self.own.remove(0);
        }
        self.own.push(id.clone());
        self.after = Some(id.clone());
        if kind != Kind::Impression {
            self.acted.get_or_insert(heard);
        }
        self.learn(kind, &id, context);
    }

    /// Tells that a message was not acted on, and which.
    fn complain(&mut self, problem: &Problem, about: About, context: &mut Context<Self>) {
        if problem.cause().is_some() {
            self.parts.app.unserved.note(PATH, Duration::ZERO, problem);
        }
        self.say(&error_frame(problem, &about, false), context);
    }

    /// Sends a frame behind those that wait. Who does not read at all is given up.
    fn say(&mut self, frame: &str, context: &mut Context<Self>) {
        self.parts.out.text(frame);
        if self.ended.is_some() {
            return;
        }
        let most = self.parts.app.sockets.settings().unread_kb.count() as u64 * 1024;
        if self.parts.out.unread() > most {
            return self.bye(Ended::Slow, Duration::ZERO, context);
        }
        self.watch(context);
    }

    /// Looks after whether the client reads what it was asked about.
    fn watch(&mut self, context: &mut Context<Self>) {
        let Some(waits) = self.parts.out.waits().filter(|_| !self.watching && self.ended.is_none()) else { return };
        let patience = self.parts.app.sockets.settings().send_timeout_ms.millis();
        let left = patience.saturating_sub(waits);
        if left.is_zero() {
            return self.bye(Ended::Slow, Duration::ZERO, context);
        }
        self.watching = true;
        context.run_later(left, |socket, context| {
            socket.watching = false;
            socket.watch(context);
        });
    }

    fn expired(&mut self, context: &mut Context<Self>) {
        let problem = Problem::bad_credential("What this socket was opened with is not good any more; open another.");
        self.say(&error_frame(&problem, &About::default(), true), context);
        self.bye(Ended::Expired, Duration::ZERO, context);
    }

    fn moved(&mut self, context: &mut Context<Self>) {
        self.bye(Ended::Moved, Duration::from_millis(100), context);
    }

    /// The last word, and the end.
    fn bye(&mut self, why: Ended, retry: Duration, context: &mut Context<Self>) {
        if self.ended.is_none() {
            self.parts.out.text(&Says::Bye { reason: why.reason(), retry_ms: retry.as_millis() as u64 }.frame());
        }
        self.end(CloseCode::Normal, why, context);
    }

    /// Closes the socket; the connection ends once the client agrees, or does not in time.
    fn end(&mut self, code: CloseCode, why: Ended, context: &mut Context<Self>) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(why);
        self.parts.out.close(code, why.reason());
        context.run_later(FAREWELL, |socket, context| {
            if !socket.parts.out.has_room() {
                socket.parts.out.abandon();
            }
            context.stop();
        });
    }

    fn beat(&mut self, context: &mut Context<Self>) {
        if self.ended.is_some() {
            return;
        }
        let settings = self.parts.app.sockets.settings();
        let (heartbeat, idle) = (settings.heartbeat_ms.millis(), settings.idle_s.seconds());
        if self.heard.elapsed() > heartbeat * 3 {
            return self.end(CloseCode::Policy, Ended::Silent, context);
        }
        if self.said.elapsed() > idle {
            return self.bye(Ended::Idle, Duration::ZERO, context);
        }
        if !self.parts.app.gate.still_good(&self.parts.caller) {
            return self.expired(context);
        }
        if self.parts.app.membership.home(&self.parts.user) != Home::Here {
            return self.moved(context);
        }
        self.parts.out.ping();
    }
}

fn notices(subscriber: Subscriber) -> impl stream::Stream<Item = Notice> {
    stream::unfold(subscriber, |mut subscriber| async { Some((subscriber.next().await, subscriber)) })
}

impl Actor for FeedSocket {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // What waits is one message at a time: those of other sockets, to hand over.
        context.set_mailbox_capacity(1);
        let heartbeat = self.parts.app.sockets.settings().heartbeat_ms.millis();
        context.run_interval(heartbeat, Self::beat);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let sockets = &self.parts.app.sockets;
        sockets.counts().ended(self.ended.unwrap_or(Ended::Gone));
        if let Some(list) = &self.list {
            sockets.leave(&self.parts.user, self.left_at(list));
        }
    }
}

impl StreamHandler<Result<Heard, Fault>> for FeedSocket {
    fn handle(&mut self, heard: Result<Heard, Fault>, context: &mut Self::Context) {
        self.heard = Instant::now();
        match heard {
            // The client agrees to the end.
            Ok(Heard::Close) if self.ended.is_some() => context.stop(),
            _ if self.ended.is_some() => {}
            Ok(Heard::Message(message)) => self.hear(&message, context),
            Ok(Heard::Ping(payload)) => self.parts.out.pong(&payload),
            Ok(Heard::Pong(payload)) => {
                if self.parts.out.answered(&payload) && self.starved && self.parts.out.has_room() {
                    self.starved = false;
                    self.plan(self.pause(), context);
                }
            }
            Ok(Heard::Close) => {
                self.end(CloseCode::Normal, Ended::Client, context);
                context.stop();
            }
            Err(Fault::TooLarge) => {
                let limit = self.parts.app.sockets.settings().frame_limit_kb.count() * 1024;
                self.say(&error_frame(&Problem::too_large(limit), &About::default(), true), context);
                self.end(CloseCode::Size, Ended::TooLarge, context);
            }
            Err(Fault::NotFrames) => self.end(CloseCode::Protocol, Ended::NotFrames, context),
        }
    }

    fn finished(&mut self, context: &mut Self::Context) {
        // After a fault the last word is still on its way.
        if !matches!(self.ended, Some(Ended::TooLarge | Ended::NotFrames)) {
            context.stop();
        }
    }
}

impl StreamHandler<Notice> for FeedSocket {
    fn handle(&mut self, notice: Notice, context: &mut Self::Context) {
        if self.list.is_none() || self.ended.is_some() {
            return;
        }
        let because = match notice {
            Notice::Session { event, .. } if self.own.contains(&event) => {
                return self.own.retain(|own| *own != event);
            }
            Notice::Session { event, kind } => return self.learn(kind, &event, context),
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

impl Handler<HandOver> for FeedSocket {
    type Result = Option<LeftAt>;

    fn handle(&mut self, HandOver(user): HandOver, context: &mut Self::Context) -> Self::Result {
        if user != self.parts.user {
            return None;
        }
        let list = self.list.take()?;
        self.bye(Ended::TakenOver, TAKEN_OVER, context);
        Some(self.left_at(&list))
    }
}

/// Where a socket can be asked.
pub type Holder = WeakAddr<FeedSocket>;

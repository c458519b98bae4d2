//! The sole composition root: starts the parts, hands them to each other, stops them.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{dev::Server, web::Data};
use foryou_actors::{
    live::Live,
    ports::{bus::EventBus, quarantine::Quarantine, store::FeatureStore},
    services::{
        catalogue::{self, CatalogueSettings, CatalogueWriter},
        catalogue_feed,
        ingest::{Ingest, IngestParts, IngestSettings},
        membership::Membership,
        subscriptions::{SubscriptionSettings, Subscriptions},
        supervisor::{RestartPolicy, Supervisor},
        sweeper,
        writer::{FeatureWriter, WriterSettings},
    },
    sessions::{SessionSettings, Sessions},
    tallies,
};
use foryou_schemas::Timestamp;
use prometheus_client::metrics::counter::Counter;
use rustls::ClientConfig;

use crate::{
    access::{self, Audit, Gate},
    clock::{Clock, Ids},
    config::{Config, threads},
    engines::Engines,
    exchange,
    feed::{Feeds, counts::Counts, pipeline::Pipeline, trends::Popular},
    http::{self, Claims, EventCounts, console, demo::Demo, feed_socket::Sockets},
    models::{IndexKeeper, Loading, Models, ReleaseLoader, Releases, shelf::Shelf},
    stores::timed::{StoreCounts, TimedStore},
    telemetry::{EngineFigures, Freshness, Gauges, Metrics, Objective, Observatory, Unserved},
    tls::{self, Certificate},
};

/// What every request handler reaches: the parts of the running engine.
pub struct App {
    /// What is in force.
    pub config: Config,
    /// When it was started.
    pub started_at: Timestamp,
    /// Tells the time.
    pub clock: Clock,
    /// Gives ids.
    pub ids: Ids,
    /// Catalogue and statistics in memory.
    pub live: Arc<Live>,
    /// The feature store.
    pub store: Arc<dyn FeatureStore>,
    /// The event bus.
    pub bus: Arc<dyn EventBus>,
    /// The sessions of this node's people.
    pub sessions: Sessions,
    /// The catalogue's one writer.
    pub catalogue: CatalogueWriter,
    /// The feature writer.
    pub writer: FeatureWriter,
    /// The event ids that are being accepted, or were lately.
    pub claims: Claims,
    /// What became of events that came over HTTP.
    pub events: EventCounts,
    /// Events that were accepted while the store could not say whether they are known.
    pub unchecked: Counter,
    /// What requests are held against: who may do what.
    pub gate: Data<Gate>,
    /// Who did what.
    pub audit: Audit,
    /// How TLS is spoken with other nodes, where it is.
    pub node_tls: Option<Arc<ClientConfig>>,
    /// Makes feeds.
    pub feeds: Feeds,
    /// Tells who holds a feed open what changed.
    pub subscriptions: Subscriptions,
    /// The feed sockets that are open.
    pub sockets: Sockets,
    /// The page to feel a feed at.
    pub demo: Demo,
    /// Which node holds whose session.
    pub membership: Membership,
    /// From the bus into sessions and the store.
    pub ingest: Ingest,
    /// Events that could never be applied; none where they stay in RabbitMQ.
    pub quarantine: Option<Arc<dyn Quarantine>>,
    /// All model releases, and which is active.
    pub shelf: Arc<dyn Shelf>,
    /// What is logged of requests that cannot be served now.
    pub unserved: Unserved,
    /// How the feature store answers.
    pub store_counts: Arc<StoreCounts>,
    /// What has to be asked for now and then.
    pub gauges: Gauges,
    /// How soon feeds have to reflect events, and whether they do.
    pub objective: Objective,
    /// Held while the index is measured: one measurement at a time.
    pub measuring: tokio::sync::Mutex<()>,
    /// The figures of the last hours.
    pub observatory: Arc<Observatory>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The services behind all this.
    pub supervisor: Supervisor,
}

impl App {
    /// What keeps the server from doing its work: one line each.
    pub fn unready(&self) -> Vec<String> {
        // A store may be there and refuse to write; where it is away, that says all.
        let store = self.store.trouble().or_else(|| self.writer.trouble()).or_else(|| self.membership.trouble());
        let engines = [("store", store), ("bus", self.bus.trouble())];
        let troubles = engines.into_iter().filter_map(|(name, trouble)| Some(format!("{name}: {}", trouble?)));
        self.supervisor.unready().into_iter().chain(troubles).collect()
    }
}

/// Starts everything as configured; `listener` is bound.
pub async fn start(config: Config, listener: TcpListener) -> anyhow::Result<Application> {
    let engines = Engines::open(&config, listener.local_addr()?).await?;
    Application::start_on(config, listener, engines).await
}

/// The running server: the engine, and HTTP in front of it.
pub struct Application {
    app: Data<App>,
    server: Server,
    address: SocketAddr,
}

/// How often a changed certificate is looked for.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(2);
/// How long services may take to finish what they took on.
const DRAIN: Duration = Duration::from_secs(10);

impl Application {
    /// Starts everything on engines that are open. `listener` is bound and takes connections from now on.
    pub async fn start_on(config: Config, listener: TcpListener, engines: Engines) -> anyhow::Result<Self> {
        let Engines { store, bus, access, audit, quarantine, shelf, cluster, feed, membership, mut services } = engines;
        let (clock, ids, metrics) = (Clock::system(), Ids::unique(), Arc::new(Metrics::default()));
        let ip = listener.local_addr()?.ip();
        // First: what is refused should not have touched anything.
        let gate = Gate::open(&config, ip, membership.is_alone(), access, clock.clone(), metrics.clone()).await?;
        let certificate = config.server.tls.is_on().then(|| Certificate::open(&config.server.tls)).transpose()?;
        // What this node speaks, the others do, too.
        let speaks_tls = !membership.is_alone() && certificate.is_some();
        let node_tls = speaks_tls.then(|| tls::client(&config.cluster.ca, "cluster.ca")).transpose()?;
        let (gate, audit) = (Data::new(gate), Audit::new(audit, clock.clone()));
        let store_counts = StoreCounts::new(&metrics);
        let store: Arc<dyn FeatureStore> = Arc::new(TimedStore::new(store, store_counts.clone()));
        let live = Arc::new(Live::default());
        catalogue::load(store.as_ref(), &live).await?;
        // Ingest restores them too whenever it starts; here, so that no request is answered without them.
        tallies::restore(store.as_ref(), &live).await?;
        let writer_settings = WriterSettings {
            max_batch: config.store.batch.count(),
            linger: config.store.linger_ms.millis(),
            queue: config.store.queue.count(),
            ..WriterSettings::default()
        };
        let (writer, writer_service) = FeatureWriter::new(writer_settings, store.clone());
        let session_settings = SessionSettings {
            arbiters: threads(config.sessions.arbiters.count()),
            idle: config.sessions.idle_s.seconds(),
            budget_bytes: u64::from(config.sessions.budget_mb.get()) << 20,
            ..SessionSettings::default()
        };
        let sessions = Sessions::start(session_settings, store.clone(), live.clone(), writer.clone())?;
        let (models, popular) = (Arc::new(Models::default()), Arc::new(Popular::default()));
        let (subscriptions, subscriptions_service) = Subscriptions::new(SubscriptionSettings::default());
        let (catalogue, catalogue_service) = CatalogueWriter::new(
            CatalogueSettings::default(),
            store.clone(),
            live.clone(),
            vec![Arc::new(subscriptions.clone()), models.clone()],
            feed.clone(),
        );
        let ingest_settings = IngestSettings { credit: config.bus.credit.count(), ..IngestSettings::default() };
        let parts = IngestParts {
            bus: bus.clone(),
            store: store.clone(),
            live: live.clone(),
            sessions: sessions.clone(),
            writer: writer.clone(),
            subscriptions: subscriptions.clone(),
            membership: membership.clone(),
        };
        let (ingest, ingest_service) = Ingest::new(ingest_settings, parts);
        let (releases, observatory) =
            (Releases::new(&config.data.dir), Observatory::new(config.console.listeners.count()));
        services.extend([
            access::refresh::service(gate.clone(), config.access.refresh_ms.millis()),
            writer_service,
            sweeper::service(sessions.clone()),
            subscriptions_service,
            catalogue_service,
            ingest_service,
            popular.spec(live.clone(), config.feed.exploration.clone(), clock.clone()),
            ReleaseLoader::spec(
                releases,
                models.clone(),
                live.clone(),
                subscriptions.clone(),
                Loading { threads: threads(config.server.workers.count()), ranker: config.models.ranker },
            ),
            IndexKeeper::spec(models.clone(), live.clone()),
            observatory.service(),
        ]);
        if let Some(certificate) = &certificate {
            services.push(tls::service(certificate.clone(), CERTIFICATE_EVERY));
        }
        if let Some(feed) = feed {
            services.push(catalogue_feed::service(feed, catalogue.clone(), cluster, membership.name()));
        }
        if !membership.is_alone() {
            live.share();
            let every = config.cluster.statistics_ms.millis();
            services.push(exchange::service(
                membership.clone(),
                live.clone(),
                store.clone(),
                every,
                gate.node_key(),
                node_tls.clone(),
            ));
        }
        let supervisor = Supervisor::start(RestartPolicy::default(), services).await?;
        let feeds = Feeds {
            live: live.clone(),
            sessions: sessions.clone(),
            models,
            popular,
            writer: writer.clone(),
            settings: Arc::new(config.feed.clone()),
            pipeline: Pipeline::default(),
            clock: clock.clone(),
            ids: ids.clone(),
            counts: Counts::new(&metrics),
            freshness: Arc::new(Freshness::new(&metrics)),
        };
        let events = EventCounts::new(&metrics);
        let objective = Objective::new(&config.console, feeds.freshness.delay().clone());
        let unchecked =
            metrics.counter("events_unchecked", "Events accepted without a look whether the store knows them");
        let claims = Claims::new(config.bus.max_depth.count());
        let sockets = Sockets::new(config.sockets.clone(), &metrics);
        let (open, unread) = (sockets.clone(), sockets.unread().clone());
        metrics.observed("feed_sockets", "Feed sockets that are open", move || open.count() as f64);
        metrics.observed("feed_sockets_unread_bytes", "Written to feed sockets, and not known to be read", move || {
            unread.load(std::sync::atomic::Ordering::Relaxed) as f64
        });
        let demo = Demo::new(config.server.demo, ip.is_loopback() && !gate.is_checked());
        let app = Data::new(App {
            config,
            started_at: clock.now(),
            clock,
            ids,
            live,
            store,
            bus,
            sessions,
            catalogue,
            writer,
            claims,
            events,
            unchecked,
            gate,
            audit,
            node_tls,
            feeds,
            subscriptions,
            sockets,
            demo,
            membership,
            ingest,
            quarantine,
            shelf,
            unserved: Unserved::default(),
            store_counts,
            gauges: Gauges::default(),
            objective,
            measuring: tokio::sync::Mutex::new(()),
            observatory,
            metrics,
            supervisor,
        });
        app.metrics.collected(EngineFigures(Arc::downgrade(&app)));
        app.observatory.begin(console::scene(&app));
        let address = listener.local_addr()?;
        let server = http::serve(app.clone(), listener, certificate.as_ref())?;
        Ok(Self { app, server, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The parts, to look at.
    pub fn app(&self) -> &Data<App> {
        &self.app
    }

    /// Serves until `stop` resolves; then takes no more, finishes what it has, and stops the parts in order.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let handle = self.server.handle();
        let stopping = async {
            stop.await;
            tracing::info!("stopping");
            // They would hold their connections open.
            self.app.observatory.close();
            self.app.sockets.stop();
            handle.stop(true).await;
        };
        let (served, ()) = tokio::join!(self.server, stopping);
        let killed = self.app.supervisor.stop(DRAIN).await;
        if !killed.is_empty() {
            tracing::warn!(?killed, "services did not finish in time; what they had comes again at the next start");
        }
        self.app.sessions.stop().await;
        Ok(served?)
    }
}

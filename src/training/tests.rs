//! From a log to a release and back: trained, checked, judged, replayed, swapped and refused, on a small world with clear tastes.

use std::{fs, path::Path, sync::Arc, time::Duration};

use foryou_actors::{
    live::Live,
    ports::store::FeatureStore,
    services::{
        catalogue::CatalogueListener,
        subscriptions::{SubscriptionSettings, Subscriptions},
        supervisor::{RestartPolicy, Supervisor},
    },
    sessions::state::{Incoming, SessionState},
};
use foryou_schemas::{Kind, Timestamp, Video, VideoId};
use tempfile::TempDir;

use super::{evaluate, log::Log, replay, train};
use crate::{
    import::{self, Source},
    models::{IndexKeeper, Models, ReleaseLoader, Releases, Serving},
    stores::embedded::EmbeddedStore,
};

const VIDEOS: u32 = 60;
const PEOPLE: u32 = 80;
const BEGIN_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// A world in which person `n` mostly meets videos of category `n % 3`, watches them to their end and skips the others.
fn world() -> String {
    let mut lines = String::new();
    for v in 0..VIDEOS {
        let category = v % 3;
        lines += &format!(
            "{{\"id\":\"v{v}\",\"creator\":\"c{}\",\"category\":\"k{category}\",\"duration_ms\":9000}}\n",
            v % 12
        );
    }
    for step in 0..24u32 {
        for user in 0..PEOPLE {
            let some = (user * 7 + step * 11 + step * step) % VIDEOS;
            let video = if step % 4 == 0 { some } else { some / 3 * 3 + user % 3 };
            let watch_ms = if video % 3 == user % 3 { 9_000 } else { 400 };
            let at = Timestamp::from_millis(BEGIN_MS + i64::from(step) * HOUR_MS + i64::from(user) * 1_000).unwrap();
            lines += &format!(
                "{{\"user\":\"u{user}\",\"video\":\"v{video}\",\"kind\":\"view\",\"watch_ms\":{watch_ms},\"at\":\"{at}\",\"surface\":\"for_you\"}}\n"
            );
        }
    }
    lines
}

struct Fixture {
    dir: TempDir,
    store: EmbeddedStore,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("world.jsonl");
        fs::write(&file, world()).unwrap();
        let store = EmbeddedStore::open(&dir.path().join("store")).unwrap();
        import::run(Source::Jsonl(vec![file]), &store, Timestamp::now(), Duration::ZERO).await.unwrap();
        Self { dir, store }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn releases(&self) -> Releases {
        Releases::new(self.path())
    }

    async fn train(&self, until_step: i64, activate: bool) -> train::Report {
        let until = Timestamp::from_millis(BEGIN_MS + until_step * HOUR_MS).unwrap();
        let settings = train::Settings { quick: true, threads: 2, activate, ..train::Settings::default() };
        train::run(&self.store, self.path(), Some(until), settings, Default::default()).await.unwrap()
    }

    async fn live(&self) -> Arc<Live> {
        Log::without_events(&self.store).await.unwrap().live
    }
}

/// A person who watched videos of one category to their end.
fn fan(live: &Live, category: u32) -> SessionState {
    let (mut session, catalogue) = (SessionState::default(), live.catalogue());
    for n in 0..8 {
        let video = catalogue.find(&VideoId::new(format!("v{}", category + 3 * n)).unwrap()).unwrap();
        session.apply(&Incoming {
            id: u64::from(n),
            video,
            entry: *catalogue.entry(video).unwrap(),
            kind: Kind::View,
            watch_ms: 9_000,
            at_ms: BEGIN_MS + i64::from(n) * 1_000,
            surface: 0,
            expected: Default::default(),
        });
    }
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_trained_judged_and_replayed() {
    let world = Fixture::new().await;
    let trained = world.train(18, true).await;
    assert_eq!(world.releases().active().unwrap().as_ref(), Some(&trained.release));
    let listed = world.releases().list().unwrap();
    assert!(listed.len() == 1 && listed[0].active && listed[0].videos == VIDEOS as usize);
    world.releases().check(&trained.release).unwrap();

    let rows = world.path().join("rows.parquet");
    let settings = evaluate::Settings { rows: Some(rows.clone()), threads: 2, ..Default::default() };
    let judged = evaluate::run(&world.store, world.path(), settings).await.unwrap();
    let long = &judged.ranking["long_view"];
    assert!(long.auc.unwrap() > 0.8, "{long:?}");
    assert!(judged.retrieval.keys().eq(["blend", "item_knn", "popularity", "two_tower"].iter()));
    assert!(rows.is_file());

    // The same log once more, from a file: the same predictions as evaluation made.
    let log: String = world_after(18);
    let file = world.path().join("after.jsonl");
    fs::write(&file, log).unwrap();
    let predictions = world.path().join("predictions.parquet");
    let settings = |delay| replay::Settings {
        files: vec![file.clone()],
        delay,
        predictions: Some(predictions.clone()),
        release: None,
        threads: 2,
    };
    let replayed = replay::run(&world.store, world.path(), settings(Duration::ZERO)).await.unwrap();
    assert_eq!((replayed.rows, replayed.judged, replayed.skipped), (long.rows, long.rows, 0));
    assert_eq!(replayed.metrics["long_view"].log_loss, long.log_loss);
    assert!(predictions.is_file());
    let late = replay::run(&world.store, world.path(), settings(Duration::from_secs(7_200))).await.unwrap();
    let losses = |metrics: &std::collections::BTreeMap<_, super::RankingMetrics>| -> Vec<_> {
        metrics.values().map(|m| m.log_loss).collect()
    };
    assert_ne!(losses(&late.metrics), losses(&replayed.metrics), "outcomes were held back");
}

fn world_after(step: i64) -> String {
    let from = BEGIN_MS + step * HOUR_MS;
    let at = |line: &str| line.split("\"at\":\"").nth(1).map(|rest| Timestamp::parse(&rest[..24]).unwrap().millis());
    world().lines().filter(|line| at(line).is_some_and(|at| at >= from)).map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_log_and_seed_make_the_same_models() {
    let world = Fixture::new().await;
    let (a, b) = (world.train(20, false).await.release, world.train(20, false).await.release);
    let files = |id: &str| {
        let mut files = world.releases().manifest(id).unwrap().files;
        // Holds how long it took, and the index's priors.
        files.remove("metrics.json");
        files
    };
    assert_eq!(files(&a), files(&b));
    assert!(world.releases().active().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_what_is_like_what_they_watched() {
    let world = Fixture::new().await;
    let release = world.train(24, true).await.release;
    let live = world.live().await;
    let path = world.releases().path(&release).unwrap();
    let serving = Serving::load(&path, 2, &live, BEGIN_MS as f64 / 1e3).unwrap();
    let catalogue = live.catalogue_full();
    for category in 0..3 {
        let session = fan(&live, category);
        let user = serving.user_vector(&session, &catalogue, BEGIN_MS as f64 / 1e3 + 60.0).unwrap();
        let hits = serving.retrieve(&user, 10, |video| session.seen_at(video).is_none()).unwrap();
        let wanted = format!("k{category}");
        let of_category = hits.iter().filter(|h| *catalogue.video(h.item).unwrap().category == *wanted).count();
        assert!(of_category >= 7, "{of_category} of 10 in category {category}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_release_is_refused_and_the_one_before_serves_on() {
    let world = Fixture::new().await;
    let good = world.train(20, true).await.release;
    let (live, models) = (world.live().await, Arc::new(Models::default()));
    let (subscriptions, hub) = Subscriptions::new(SubscriptionSettings::default());
    let services = vec![
        hub,
        ReleaseLoader::spec(world.releases(), Arc::clone(&models), Arc::clone(&live), subscriptions.clone(), 2),
        IndexKeeper::spec(Arc::clone(&models), Arc::clone(&live)),
    ];
    let supervisor = Supervisor::start(RestartPolicy::default(), services).await.unwrap();
    assert!(supervisor.ready().await);
    let serving = models.current().unwrap();
    assert_eq!(serving.release.manifest.id, good);

    // A video that nobody has seen is in the index as soon as the catalogue tells of it.
    let id = VideoId::new("new").unwrap();
    let json = br#"{"creator": "c1", "category": "k1", "duration_ms": 9000}"#;
    let mut catalogue = foryou_actors::catalogue::Catalogue::clone(&live.catalogue());
    let (video, _) = catalogue.put(&id, Video::parse(json).unwrap(), Timestamp::now());
    live.publish_catalogue(catalogue);
    models.videos_changed(&live.catalogue_full(), &[]).await;
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    while serving.similar(video, 1, |_| true).is_empty() {
        assert!(tokio::time::Instant::now() < until, "the new video did not come into the index");
        tokio::task::yield_now().await;
    }

    let bad = world.train(22, false).await.release;
    let path = world.releases().path(&bad).unwrap();
    for (file, damage) in [("ranker.onnx", "checksum"), ("item_vectors.bin", "checksum")] {
        let bytes = fs::read(path.join(file)).unwrap();
        fs::write(path.join(file), &bytes[..bytes.len() - 3]).unwrap();
        let error = world.releases().check(&bad).unwrap_err().to_string();
        assert!(error.contains(damage) && error.contains(&bad), "{error}");
        fs::write(path.join(file), bytes).unwrap();
    }
    world.releases().check(&bad).unwrap();
    fs::write(path.join("user_tower.onnx"), b"not a model").unwrap();
    world.releases().activate(&bad).unwrap();
    let probe = supervisor.probe("release_loader").unwrap();
    while probe.status().last_error.is_none() {
        assert!(tokio::time::Instant::now() < until + Duration::from_secs(20), "the damage was not noticed");
        tokio::task::yield_now().await;
    }
    assert_eq!(models.current().unwrap().release.manifest.id, good);

    assert_eq!(world.releases().rollback().unwrap(), good);
    assert!(supervisor.stop(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&dir.path().join("store")).unwrap();
    let error = train::run(&store, dir.path(), None, Default::default(), Default::default()).await.unwrap_err();
    assert!(error.to_string().contains("import"), "{error}");
    let error = evaluate::run(&store, dir.path(), Default::default()).await.unwrap_err();
    assert!(error.to_string().contains("foryou train"), "{error}");
    let _: &dyn FeatureStore = &store;
}

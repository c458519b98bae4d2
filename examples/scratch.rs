//! Scratch: train and evaluate on the bundle with a store in memory.
use std::{collections::{HashMap, HashSet}, path::PathBuf, sync::Mutex, time::Instant};
use async_trait::async_trait;
use foryou::{import, training::{train, evaluate, replay}};
use foryou_actors::ports::store::*;
use foryou_schemas::*;

#[derive(Default)]
struct Memory { videos: Mutex<std::collections::BTreeMap<VideoId, Video>>, users: Mutex<std::collections::BTreeMap<UserId, User>>, activity: Mutex<HashMap<UserId, Vec<Activity>>>, known: Mutex<HashSet<EventId>> }
#[async_trait]
impl FeatureStore for Memory {
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        for a in batch.activity { if self.known.lock().unwrap().insert(a.event.id.clone()) { self.activity.lock().unwrap().entry(a.event.user.clone()).or_default().push(a); } }
        Ok(())
    }
    async fn known_events(&self, ids: &[EventId]) -> Result<Vec<bool>, StoreError> { let k = self.known.lock().unwrap(); Ok(ids.iter().map(|i| k.contains(i)).collect()) }
    async fn session(&self, user: &UserId) -> Result<StoredSession, StoreError> { Ok(StoredSession { tail: self.activity.lock().unwrap().get(user).cloned().unwrap_or_default(), ..Default::default() }) }
    async fn history(&self, _: &UserId, _: usize) -> Result<Vec<Activity>, StoreError> { Ok(vec![]) }
    async fn put_users(&self, users: &[(UserId, User)]) -> Result<Vec<bool>, StoreError> { let mut m = self.users.lock().unwrap(); Ok(users.iter().map(|(i, u)| m.insert(i.clone(), u.clone()).is_none()).collect()) }
    async fn user(&self, user: &UserId) -> Result<Option<User>, StoreError> { Ok(self.users.lock().unwrap().get(user).cloned()) }
    async fn erase_user(&self, _: &UserId) -> Result<bool, StoreError> { Ok(false) }
    async fn put_videos(&self, videos: &[(VideoId, Video)]) -> Result<(), StoreError> { self.videos.lock().unwrap().extend(videos.iter().cloned()); Ok(()) }
    async fn scan_videos(&self, visit: Visit<'_, (VideoId, Video)>) -> Result<(), StoreError> { for (i, v) in self.videos.lock().unwrap().iter() { visit((i.clone(), v.clone()))?; } Ok(()) }
    async fn scan_users(&self, visit: Visit<'_, (UserId, User)>) -> Result<(), StoreError> { for (i, v) in self.users.lock().unwrap().iter() { visit((i.clone(), v.clone()))?; } Ok(()) }
    async fn scan_activity(&self, visit: Visit<'_, Activity>) -> Result<(), StoreError> { for list in self.activity.lock().unwrap().values() { for a in list { visit(a.clone())?; } } Ok(()) }
    async fn scan_tallies(&self, _: Visit<'_, (foryou_actors::statistics::TallyKey, Vec<u8>)>) -> Result<u64, StoreError> { Ok(u64::MAX) }
    async fn scan_impressions(&self, _: Visit<'_, Impression>) -> Result<(), StoreError> { Ok(()) }
}

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(go())
}
async fn go() {
    let args: Vec<String> = std::env::args().collect();
    let data = PathBuf::from(&args[1]);
    if args[2] == "latency" { return latency(&data); }
    let store = Memory::default();
    let t = Instant::now();
    let embedded = args.get(2).is_some_and(|a| a == "embedded").then(|| foryou::stores::embedded::EmbeddedStore::open(&data.join("store")).unwrap());
    if let Some(store) = embedded {
        let s = import::run(import::Source::Kuairand("/work/shared/data/kuairand".into()), &store, Timestamp::now()).await.unwrap();
        eprintln!("import {s:?} {:?}", t.elapsed());
        let r = train::run(&store, &data, None, Default::default(), Default::default()).await.unwrap();
        println!("{}", serde_json::to_string_pretty(&r).unwrap());
        return;
    }
    let s = import::run(import::Source::Kuairand("/work/shared/data/kuairand".into()), &store, Timestamp::now()).await.unwrap();
    eprintln!("import {s:?} {:?}", t.elapsed());
    let until = Timestamp::parse("2022-04-28T16:00:00Z").unwrap();
    for command in &args[2..] {
        match command.as_str() {
            "train" | "train2" | "train3" => {
                let seed = match command.as_str() { "train2" => 2, "train3" => 3, _ => 1 };
                let settings = train::Settings { seed, rows: Some(data.join("train.parquet")), ..Default::default() };
                let r = train::run(&store, &data, Some(until), settings, Default::default()).await.unwrap();
                println!("{}", serde_json::to_string_pretty(&r).unwrap());
            }
            "evaluate" | "catboost" => {
                let mut settings = evaluate::Settings { rows: Some(data.join("judge.parquet")), ..Default::default() };
                if command == "catboost" { settings.catboost = Some(data.join("train.parquet")); }
                let r = evaluate::run(&store, &data, settings).await.unwrap();
                println!("{}", serde_json::to_string_pretty(&r).unwrap());
            }
            "replay" | "delayed" => {
                let delay = std::time::Duration::from_secs(if command == "delayed" { 3600 } else { 0 });
                let settings = replay::Settings { files: vec!["/work/shared/data/kuairand/val.parquet".into()], delay, predictions: Some(data.join("predictions.parquet")), release: None, threads: 2 };
                let r = replay::run(&store, &data, settings).await.unwrap();
                println!("{}", serde_json::to_string_pretty(&r).unwrap());
            }
            other => panic!("{other}"),
        }
    }
}

pub fn latency(data: &std::path::Path) {
    use foryou::{models::*, features::*};
    use foryou_actors::{live::Live, sessions::state::*, catalogue::Catalogue};
    let releases = Releases::new(data);
    let id = releases.active().unwrap().unwrap();
    let dir = releases.path(&id).unwrap();
    let t = Instant::now();
    let (release, items) = Release::load(&dir, 2).unwrap();
    println!("load {:?}", t.elapsed());
    let m = &release.manifest;
    for len in [0usize, 10, 50, 100] {
        let inputs = towers::UserInputs { items: (0..len).flat_map(|n| items.vector(n).to_vec()).collect(), actions: vec![0.3; len * m.towers.actions.len()], profile: vec![0.0; m.towers.profile.len()] };
        for _ in 0..2000 { release.user_vector(&inputs).unwrap(); }
        let t = Instant::now();
        for _ in 0..5000 { release.user_vector(&inputs).unwrap(); }
        println!("user tower L={len}: {:.1} us", t.elapsed().as_secs_f64() * 1e6 / 5000.0);
    }
    let parity: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("parity.json")).unwrap()).unwrap();
    let rows: Vec<Vec<f32>> = parity["rows"].as_array().unwrap().iter().map(|r| r["features"].as_array().unwrap().iter().map(|x| x.as_f64().map_or(f32::NAN, |x| x as f32)).collect()).collect();
    for n in [50usize, 200, 300, 400] {
        let features: Vec<f32> = (0..n).flat_map(|i| rows[i % rows.len()].iter().map(|x| x * (1.0 + 0.001 * i as f32)).collect::<Vec<_>>()).collect();
        for _ in 0..300 { release.rank(&features, n).unwrap(); }
        let t = Instant::now();
        for _ in 0..1000 { release.rank(&features, n).unwrap(); }
        println!("ranker {n} rows: {:.3} ms", t.elapsed().as_secs_f64() * 1e3 / 1000.0);
    }
    let now = Timestamp::now();
    let mut catalogue = Catalogue::default();
    for id in &items.ids { let v = Video::parse(br#"{"creator": "c", "category": "x", "duration_ms": 10000}"#).unwrap(); catalogue.put(id, v, now); }
    let live = Live::default();
    live.publish_catalogue(catalogue.clone());
    let t = Instant::now();
    let serving = Serving::load(&dir, 2, &live, now.seconds()).unwrap();
    println!("serving load {:?}", t.elapsed());
    let mut session = SessionState::default();
    for n in 0..100u32 { let incoming = Incoming { id: 0, video: n * 7, entry: *catalogue.entry(n * 7).unwrap(), kind: Kind::View, watch_ms: 9000, at_ms: now.millis() + i64::from(n) * 1000, surface: 0, expected: Default::default() }; session.apply(&incoming); }
    let t = Instant::now();
    for _ in 0..5000 { serving.user_vector(&session, &catalogue, now.seconds()).unwrap(); }
    println!("serving.user_vector: {:.1} us", t.elapsed().as_secs_f64() * 1e6 / 5000.0);
    let u = serving.user_vector(&session, &catalogue, now.seconds()).unwrap();
    let t = Instant::now();
    for _ in 0..2000 { serving.retrieve(&u, 300, |v| session.seen_at(v).is_none()).unwrap(); }
    println!("retrieve 300: {:.1} us", t.elapsed().as_secs_f64() * 1e6 / 2000.0);
    let t = Instant::now();
    for i in 0..500u32 { let v = Video::parse(br#"{"creator": "c2", "category": "x", "duration_ms": 10000}"#).unwrap(); catalogue.put(&VideoId::new(format!("new{i}")).unwrap(), v, now); serving.sync(&catalogue).unwrap(); }
    println!("sync of one new video: {:.1} us", t.elapsed().as_secs_f64() * 1e6 / 500.0);
    for i in 0..100_000u32 { let v = Video::parse(br#"{"creator": "c2", "category": "x", "duration_ms": 10000}"#).unwrap(); catalogue.put(&VideoId::new(format!("more{i}")).unwrap(), v, now); }
    let t = Instant::now();
    serving.sync(&catalogue).unwrap();
    println!("sync of 100k new videos: {:?}", t.elapsed());
    let t = Instant::now();
    for i in 0..500u32 { let v = Video::parse(br#"{"creator": "c2", "category": "x", "duration_ms": 10000}"#).unwrap(); catalogue.put(&VideoId::new(format!("newer{i}")).unwrap(), v, now); serving.sync(&catalogue).unwrap(); }
    println!("sync of one new video at 108k: {:.1} us", t.elapsed().as_secs_f64() * 1e6 / 500.0);
    let t = Instant::now();
    for _ in 0..200 { serving.retrieve(&u, 300, |v| session.seen_at(v).is_none()).unwrap(); }
    println!("retrieve 300 of 108k, exact: {:.1} us", t.elapsed().as_secs_f64() * 1e6 / 200.0);
    live.publish_catalogue(catalogue.clone());
    let t = Instant::now();
    for _ in 0..50 { serving.refresh_priors(&live, now.seconds()).unwrap(); }
    println!("refresh_priors: {:.1} us", t.elapsed().as_secs_f64() * 1e6 / 50.0);
}

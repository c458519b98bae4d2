use super::*;
use foryou_actors::{ports::contract::instant, sessions::state::Outcomes, statistics::Expected};
use foryou_schemas::{Event, Kind};
use rand::{Rng, SeedableRng};

fn cpu(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let f: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench() {
    let Ok(events) = std::env::var("BENCH_EVENTS") else { return };
    let events: usize = events.parse().unwrap();
    let get = |n: &str, d: usize| std::env::var(n).ok().map_or(d, |v| v.parse().unwrap());
    let (people, tallies, snaps, secs) = (
        get("BENCH_PEOPLE", 20_000),
        get("BENCH_TALLIES", events * 3),
        get("BENCH_SNAPS", events / 16),
        get("BENCH_SECS", 12),
    );
    let known = get("BENCH_KNOWN", 1);
    let java = std::env::var("BENCH_JAVA").unwrap();
    let keyspace = fresh();
    let store = keyspace.open().await;
    let mut rng = rand::rngs::SmallRng::seed_from_u64(1);
    let mut seqs = vec![0u64; people];
    let mut order = 0u64;
    let mut total = 0;
    let mut n = 0u64;
    let mut times = Vec::new();
    let mut started = std::time::Instant::now();
    let (mut c0, mut j0) = (cpu("self"), cpu(&java));
    let mut warm = true;
    loop {
        let mut batch = Batch::default();
        for _ in 0..events {
            let u = (rng.random::<f64>().powf(1.5) * people as f64) as usize;
            seqs[u] += 1;
            n += 1;
            order += 1;
            let event = Event {
                id: EventId::new(format!("01999999-aaaa-7bbb-8ccc-{n:012}")).unwrap(),
                user: UserId::new(format!("user-{u:06}")).unwrap(),
                video: VideoId::new(format!("video-{:06}", rng.random_range(0..50_000))).unwrap(),
                kind: Kind::View,
                watch_ms: Some(5000),
                at: instant(n),
                feed: Some(foryou_schemas::FeedId::new("01999999-aaaa-7bbb-8ccc-000000000000").unwrap()),
                position: Some(3),
                surface: None,
            };
            batch.activity.push(Activity {
                event,
                seq: seqs[u],
                order,
                gained: Outcomes::VIEW,
                lost: Outcomes::NONE,
                expected: Expected::default(),
            });
        }
        let mut keys = HashSet::new();
        while keys.len() < tallies {
            keys.insert((rng.random::<f64>().powi(3) * 60_000.0) as u32);
        }
        batch.tallies = keys
            .into_iter()
            .map(|k| (TallyKey::Video(format!("video-{k:06}").into()), vec![(k % 251) as u8; 145]))
            .collect();
        for _ in 0..snaps {
            let u = rng.random_range(0..people);
            batch.snapshots.push((UserId::new(format!("user-{u:06}")).unwrap(), seqs[u], vec![1; 3000]));
        }
        batch.order = Some(order);
        let t = std::time::Instant::now();
        if known == 1 {
            let ids: Vec<_> = batch.activity.iter().map(|a| a.event.id.clone()).collect();
            store.known_events(&ids).await.unwrap();
        }
        let k = t.elapsed();
        store.write(batch).await.unwrap();
        times.push((k.as_secs_f64() * 1e3, (t.elapsed() - k).as_secs_f64() * 1e3));
        total += events;
        if warm && started.elapsed().as_secs() >= 6 {
            warm = false;
            total = 0;
            times.clear();
            started = std::time::Instant::now();
            c0 = cpu("self");
            j0 = cpu(&java);
        }
        if !warm && started.elapsed().as_secs() as usize >= secs {
            break;
        }
    }
    let s = started.elapsed().as_secs_f64();
    let mean = |f: fn(&(f64, f64)) -> f64| times.iter().map(f).sum::<f64>() / times.len() as f64;
    println!(
        "BENCH events {events} tallies {tallies}: {:.0}/s, known {:.1} ms, write {:.1} ms; us/event: own {:.1}, cassandra {:.1}",
        total as f64 / s,
        mean(|t| t.0),
        mean(|t| t.1),
        (cpu("self") - c0) * 1e6 / total as f64,
        (cpu(&java) - j0) * 1e6 / total as f64
    );
}

//! The server under test: data prepared once and kept, a process of its own, its CPU time and its metrics.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use foryou_actors::{live::Live, services::catalogue};
use foryou_schemas::Timestamp;
use rand::{Rng, SeedableRng, rngs::SmallRng};

use tempfile::TempDir;

use super::{client::Client, report::Target};
use crate::{
    config::{Config, StoreKind},
    engines,
    models::{Releases, Serving, runtime},
};

/// How long a server may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(120);

const DAY_MS: i64 = 86_400_000;

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// Its data, its log.
    _scratch: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    /// Ids of people in its data.
    pub users: Vec<String>,
}

impl Server {
    /// Prepares data as `target` says, starts the server on it, and waits until it is ready.
    ///
    /// A copy of the prepared data is served, so that runs do not change what later ones find.
    pub async fn start(target: &Target) -> Result<Self> {
        let cache = &target.config.data.dir;
        std::fs::create_dir_all(cache)?;
        // On the disk that the server would use: a temporary folder is in memory on some machines.
        let scratch = tempfile::Builder::new().prefix("bench-run-").tempdir_in(cache)?;
        let (config, data, log) =
            (scratch.path().join("foryou.toml"), scratch.path().join("data"), scratch.path().join("server.log"));
        std::fs::write(&config, target.config.to_toml()?)?;
        let prepared = prepare(target, &config).await?;
        fill_engines(target, &config, &prepared).await?;
        copy_dir(&prepared, &data)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(&target.binary);
        command.arg("serve").arg("--config").arg(&config);
        command.env("FORYOU__DATA__DIR", &data).env("FORYOU__SERVER__BIND", port.to_string());
        let child = command.stdout(Stdio::null()).stderr(std::fs::File::create(&log)?).spawn()?;
        let mut server = Self { child, _scratch: scratch, address: port, users: user_ids(&target.dataset)? };
        server.wait_ready(&log, target.config.bus.partitions.get().into()).await?;
        Ok(server)
    }

    /// Waits until the server is ready and holds all partitions: the server of an earlier run counts as alive for a while.
    async fn wait_ready(&mut self, log: &Path, partitions: u64) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server stopped with {status}; its log: {}", std::fs::read_to_string(log)?);
            }
            if let Ok(mut client) = Client::connect(self.address).await
                && let Ok((status, body)) = client.get("/readyz").await
                && status.is_success()
                && holds(&body)? == partitions
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the server was not ready within {} s; see {}", READY_WITHIN.as_secs(), log.display())
    }

    /// The file name of the ONNX Runtime library that the server has loaded.
    pub fn onnxruntime(&self) -> Option<String> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.child.id())).ok()?;
        let name = maps.lines().filter_map(|line| line.rsplit('/').next()).find(|n| n.starts_with("libonnxruntime"))?;
        Some(name.to_owned())
    }

    /// CPU time the server has used so far, seconds.
    pub fn cpu_s(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Fields 14 and 15, counted after the command in parentheses, in ticks of 1/100 s.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        Ok((ticks(11) + ticks(12)) / 100.0)
    }

    /// The server's resident set, bytes.
    pub fn resident_bytes(&self) -> Result<usize> {
        resident_bytes(&format!("/proc/{}/status", self.child.id()))
    }

    /// The server's metrics page.
    pub async fn metrics(&self) -> Result<String> {
        let (status, body) = Client::connect(self.address).await?.get("/metrics").await?;
        ensure!(status.is_success(), "/metrics answered {status}");
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Imports the data set as if it ended today, trains, and adds made-up videos, unless an earlier run did.
async fn prepare(target: &Target, config: &Path) -> Result<PathBuf> {
    let cache = &target.config.data.dir;
    let ready = cache.join(format!("bench-{}", target.videos));
    if ready.exists() {
        return Ok(ready);
    }
    let trained = cache.join("bench-trained");
    if !trained.exists() {
        let partial = cache.join("bench-trained.partial");
        let _ = std::fs::remove_dir_all(&partial);
        std::fs::create_dir_all(&partial)?;
        let shift = format!("{}d", days_since_the_log());
        run(
            target,
            config,
            &partial,
            &["import", "kuairand", &target.dataset.to_string_lossy(), "--shift", &shift],
            Engines::Embedded,
        )?;
        run(target, config, &partial, &["train"], Engines::Embedded)?;
        std::fs::rename(&partial, &trained)?;
    }
    let partial = cache.join(format!("bench-{}.partial", target.videos));
    let _ = std::fs::remove_dir_all(&partial);
    copy_dir(&trained, &partial)?;
    let extra = partial.join("extra.jsonl");
    if write_videos(&target.dataset, target.videos, &extra)? > 0 {
        run(target, config, &partial, &["import", "jsonl", &extra.to_string_lossy()], Engines::Embedded)?;
    }
    std::fs::remove_file(&extra)?;
    build_index(&target.config, &partial).await?;
    std::fs::rename(&partial, &ready)?;
    Ok(ready)
}

/// Where the store is a shared one: brings people, catalogue and log into it, unless an earlier run did. What is served is
/// the release that was made from the same data in the folder.
async fn fill_engines(target: &Target, config: &Path, prepared: &Path) -> Result<()> {
    run(target, config, prepared, &["migrate"], Engines::Configured)?;
    if target.config.store.kind == StoreKind::Embedded {
        return Ok(());
    }
    let (live, store) = (Live::default(), engines::open_store(&target.config).await?);
    let known = catalogue::load(store.as_ref(), &live).await?;
    drop(store);
    if known == 0 {
        let shift = format!("{}d", days_since_the_log());
        let import = ["import", "kuairand", &target.dataset.to_string_lossy(), "--shift", &shift];
        run(target, config, prepared, &import, Engines::Configured)?;
    }
    let extra = prepared.join("extra.jsonl");
    if known < target.videos && write_videos(&target.dataset, target.videos, &extra)? > 0 {
        run(target, config, prepared, &["import", "jsonl", &extra.to_string_lossy()], Engines::Configured)?;
    }
    Ok(())
}

/// Builds the graph that a server builds some time after its first start: what is measured is the everyday state.
async fn build_index(config: &Config, data: &Path) -> Result<()> {
    let mut config = config.clone();
    config.data.dir = data.to_owned();
    config.store.kind = StoreKind::Embedded;
    runtime::init(config.models.library())?;
    let (live, store) = (Live::default(), engines::open_store(&config).await?);
    catalogue::load(store.as_ref(), &live).await?;
    let releases = Releases::new(data);
    let release = releases.active()?.context("training left no release")?;
    let serving = Serving::load(&releases.path(&release)?, 1, &live, Timestamp::now().seconds())?;
    if serving.wants_rebuild() {
        tracing::info!(videos = live.catalogue().len(), "building the index");
        serving.rebuild()?;
    }
    Ok(())
}

/// The resident set, bytes, of the process whose status is at this path.
pub(super) fn resident_bytes(status: &str) -> Result<usize> {
    let text = std::fs::read_to_string(status).with_context(|| format!("cannot read {status}"))?;
    let kib =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<usize>().ok());
    Ok(kib.with_context(|| format!("{status} does not tell VmRSS"))? * 1_024)
}

/// How many partitions a server says that it holds.
fn holds(readyz: &[u8]) -> Result<u64> {
    let answer: serde_json::Value = serde_json::from_slice(readyz)?;
    Ok(answer["holds"]["count"].as_u64().unwrap_or_default())
}

/// Days from the end of KuaiRand's log, 2022-04-30 16:00 UTC, to now.
fn days_since_the_log() -> i64 {
    (Timestamp::now().millis() - 1_651_334_400_000) / DAY_MS
}

/// What a command works on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Engines {
    /// The folder.
    Embedded,
    /// What the configuration names.
    Configured,
}

fn run(target: &Target, config: &Path, data: &Path, arguments: &[&str], engines: Engines) -> Result<()> {
    tracing::info!("foryou {}", arguments.join(" "));
    let mut command = Command::new(&target.binary);
    command.args(arguments).arg("--config").arg(config).env("FORYOU__DATA__DIR", data);
    if engines == Engines::Embedded {
        command.env("FORYOU__STORE__KIND", "embedded").env("FORYOU__BUS__KIND", "embedded");
    }
    let status = command.stdout(Stdio::null()).status()?;
    ensure!(status.success(), "`foryou {}` ended with {status}", arguments.join(" "));
    Ok(())
}

/// Videos beyond the bundled ones: each takes creator, category and length from bundled ones at random, and appeared in the
/// last 60 days. Returns how many.
fn write_videos(dataset: &Path, wanted: usize, to: &Path) -> Result<usize> {
    let mut rows = csv::Reader::from_path(dataset.join("video_features_basic_pure.csv"))?;
    let rows: Vec<csv::StringRecord> = rows.records().collect::<Result<_, _>>()?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(to)?);
    let mut rng = SmallRng::seed_from_u64(1);
    let now = Timestamp::now();
    let extra = wanted.saturating_sub(rows.len());
    for n in 0..extra {
        let mut pick = |column: usize| rows[rng.random_range(0..rows.len())].get(column).unwrap_or_default().to_owned();
        let (creator, category) = (pick(1), pick(11));
        let duration_ms = pick(6).parse::<f64>().unwrap_or(15_000.0).clamp(1_000.0, 600_000.0) as u32;
        let published_at = now.plus_millis(-rng.random_range(0..60 * DAY_MS));
        let category = category.split(',').next().filter(|c| !c.is_empty()).unwrap_or("unknown").to_owned();
        let video = serde_json::json!({"id": format!("bench-{n}"), "creator": creator, "category": category,
            "duration_ms": duration_ms, "published_at": published_at});
        writeln!(out, "{video}")?;
    }
    out.flush()?;
    Ok(extra)
}

fn user_ids(dataset: &Path) -> Result<Vec<String>> {
    let path = dataset.join("user_features_pure.csv");
    let mut rows = csv::Reader::from_path(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let ids = rows.records().map(|row| Ok(row?.get(0).unwrap_or_default().to_owned()));
    ids.collect()
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

//! The server under test: data prepared once and kept, a process of its own, its CPU time and its metrics.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::{client::Client, report::Target};

/// How long a server may take until it is ready: a graph over 100,000 videos is built in about a minute and a half.
const READY_WITHIN: Duration = Duration::from_secs(600);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Ids of people in its data.
    pub users: Vec<String>,
}

impl Server {
    /// Prepares data as `target` says, starts the server on it, and waits until it is ready.
    ///
    /// A copy of the prepared data is served, so that runs do not change what later ones find.
    pub async fn start(target: &Target, scratch: &Path, overrides: &[(&str, &str)]) -> Result<Self> {
        let prepared = prepare(target)?;
        let data = scratch.join("data");
        copy_dir(&prepared, &data)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = Command::new(&target.binary);
        command.arg("serve").env("FORYOU__DATA__DIR", &data).env("FORYOU__SERVER__BIND", port.to_string());
        command.envs(overrides.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(std::fs::File::create(scratch.join("server.log"))?).spawn()?;
        let mut server = Self { child, address: port, users: user_ids(&target.dataset)? };
        server.wait_ready(&scratch.join("server.log")).await?;
        Ok(server)
    }

    async fn wait_ready(&mut self, log: &Path) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server stopped with {status}; its log: {}", std::fs::read_to_string(log)?);
            }
            if let Ok(mut client) = Client::connect(self.address).await
                && let Ok((status, _)) = client.get("/readyz").await
                && status.is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the server was not ready within {} s; see {}", READY_WITHIN.as_secs(), log.display())
    }

    /// CPU time the server has used so far, seconds.
    pub fn cpu_s(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Fields 14 and 15, counted after the command in parentheses, in ticks of 1/100 s.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        Ok((ticks(11) + ticks(12)) / 100.0)
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

/// Imports the bundled data, trains, and adds made-up videos, unless an earlier run did.
fn prepare(target: &Target) -> Result<PathBuf> {
    let ready = target.cache.join(format!("bench-{}", target.videos));
    if ready.exists() {
        return Ok(ready);
    }
    let trained = target.cache.join("bench-trained");
    if !trained.exists() {
        let partial = target.cache.join("bench-trained.partial");
        let _ = std::fs::remove_dir_all(&partial);
        std::fs::create_dir_all(&partial)?;
        run(target, &partial, &["import", "kuairand", &target.dataset.to_string_lossy()])?;
        run(target, &partial, &["train"])?;
        std::fs::rename(&partial, &trained)?;
    }
    let partial = target.cache.join(format!("bench-{}.partial", target.videos));
    let _ = std::fs::remove_dir_all(&partial);
    copy_dir(&trained, &partial)?;
    let extra = partial.join("extra.jsonl");
    if write_videos(&target.dataset, target.videos, &extra)? > 0 {
        run(target, &partial, &["import", "jsonl", &extra.to_string_lossy()])?;
    }
    std::fs::remove_file(&extra)?;
    std::fs::rename(&partial, &ready)?;
    Ok(ready)
}

fn run(target: &Target, data: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(&target.binary);
    let status = command.args(arguments).env("FORYOU__DATA__DIR", data).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "`foryou {}` ended with {status}", arguments.join(" "));
    Ok(())
}

/// Videos beyond the bundled ones: each takes creator, category and length from bundled ones at random, and appears in the
/// days before now. Returns how many.
fn write_videos(dataset: &Path, wanted: usize, to: &Path) -> Result<usize> {
    let mut rows = csv::Reader::from_path(dataset.join("video_features_basic_pure.csv"))?;
    let rows: Vec<csv::StringRecord> = rows.records().collect::<Result<_, _>>()?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(to)?);
    let mut rng = SmallRng::seed_from_u64(1);
    let extra = wanted.saturating_sub(rows.len());
    for n in 0..extra {
        let mut pick = |column: usize| rows[rng.random_range(0..rows.len())].get(column).unwrap_or_default().to_owned();
        let (creator, category) = (pick(1), pick(11));
        let duration_ms = pick(6).parse::<f64>().unwrap_or(15_000.0).clamp(1_000.0, 600_000.0) as u32;
        let category = category.split(',').next().filter(|c| !c.is_empty()).unwrap_or("unknown").to_owned();
        let video = serde_json::json!({"id": format!("bench-{n}"), "creator": creator, "category": category,
            "duration_ms": duration_ms, "published_at": "2022-04-20T00:00:00Z"});
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

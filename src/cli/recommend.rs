//! `foryou recommend`: feeds for many people at once, without exploration, one JSON line each.

use std::{
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow};
use foryou_actors::ports::store::FeatureStore;
use foryou_schemas::{Timestamp, UserId, VideoId};
use serde::Serialize;
use tokio::task::JoinSet;

use super::Context;
use crate::{
    config::threads,
    feed::{Offline, offline::OfflineSettings, pipeline::Pipeline},
    import::report::Report,
    models::Releases,
};

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A file with one user id a line; - is standard input.
    #[arg(long, value_name = "FILE|-")]
    users: PathBuf,
    /// Videos per person.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only this source of candidates, unranked: two_tower, similar, followed, category, trending or fresh.
    #[arg(long, value_name = "NAME", value_parser = source)]
    source: Option<String>,
}

fn source(name: &str) -> Result<String, String> {
    match Pipeline::only(name) {
        Some(_) => Ok(name.to_owned()),
        None => Err(format!("there are {}", Pipeline::default().source_names().join(", "))),
    }
}

/// A line of the output.
#[derive(Serialize)]
struct Recommended {
    user: UserId,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    video: VideoId,
    score: f32,
}

/// People whose sessions are in memory at once, for each thread.
const AT_ONCE: usize = 64;

/// Runs the command.
pub fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let users = read(&args.users)?;
    context.load_onnxruntime()?;
    context.bring_release(None)?;
    let config = &context.config;
    let settings = OfflineSettings {
        feed: config.feed.clone(),
        limit: args.limit as usize,
        source: args.source.as_deref().and_then(Pipeline::only),
        threads: threads(config.training.threads.count()),
        now: Timestamp::now(),
    };
    let releases = Releases::new(&config.data.dir);
    context.on_store(async |store| {
        recommend(store, &releases, settings, &users, &mut BufWriter::new(std::io::stdout())).await
    })
}

/// Writes one line per user to `out`, in their order.
async fn recommend(
    store: &dyn FeatureStore,
    releases: &Releases,
    settings: OfflineSettings,
    users: &[UserId],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let threads = settings.threads.max(1);
    let offline = Arc::new(Offline::open(store, releases, settings).await?);
    if offline.release().is_none() {
        tracing::warn!("no release is active, so these feeds are made without models; `foryou train` makes one");
    }
    let progress = Report::new();
    progress.step("making feeds", users.len() as u64);
    for users in users.chunks(AT_ONCE * threads) {
        let mut parts = JoinSet::new();
        for (part, users) in users.chunks(users.len().div_ceil(threads)).enumerate() {
            let mut people = Vec::with_capacity(users.len());
            for user in users {
                people.push((user.clone(), offline.session(store, user).await?));
            }
            let offline = offline.clone();
            parts.spawn(async move {
                let mut lines = Vec::with_capacity(people.len());
                for (user, session) in people {
                    let items = offline.feed(session).await.into_iter().map(|(video, score)| Item { video, score });
                    lines.push(Recommended { user, items: items.collect() });
                }
                (part, lines)
            });
        }
        let mut done = Vec::new();
        while let Some(part) = parts.join_next().await {
            done.push(part?);
        }
        done.sort_by_key(|(part, _)| *part);
        for line in done.into_iter().flat_map(|(_, lines)| lines) {
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
        }
        progress.advance(users.len() as u64);
    }
    progress.end();
    Ok(out.flush()?)
}

/// All ids of the file, so that a wrong line is told before any work is done.
fn read(path: &Path) -> anyhow::Result<Vec<UserId>> {
    let (name, text) = match path.to_str() {
        Some("-") => ("standard input".to_owned(), std::io::read_to_string(std::io::stdin())),
        _ => (path.display().to_string(), std::fs::read_to_string(path)),
    };
    let text = text.with_context(|| format!("cannot read {name}"))?;
    let ids = (1..).zip(text.lines().map(str::trim)).filter(|(_, id)| !id.is_empty());
    let id = |(line, id): (u32, &str)| {
        UserId::new(id).map_err(|reason| anyhow!("{name}, line {line}: {id:?} {reason}; write one user id a line"))
    };
    ids.map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "u1\n\n u 2 \r\n").unwrap();
        assert_eq!(read(file.path()).unwrap().iter().map(UserId::as_str).collect::<Vec<_>>(), ["u1", "u 2"]);
        std::fs::write(&file, format!("u1\n{}\n", "x".repeat(129))).unwrap();
        let error = read(file.path()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(read(Path::new("nowhere.txt")).unwrap_err().to_string().contains("nowhere.txt"));
    }
}

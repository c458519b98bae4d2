//! `foryou release`: model releases.

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, metrics};
use crate::models::{Manifest, ModelError, Releases, Summary, shelf::Shelf};

/// What to do with releases.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Every release, newest first, and which one is live.
    List,
    /// One release's manifest and metrics.
    Show {
        /// Its name; the live one where it is left out.
        release: Option<String>,
    },
    /// Make a release live; a running server swaps to it within seconds.
    Activate {
        /// Its name.
        release: String,
    },
    /// Make the release live that was live before.
    Rollback,
    /// Check a release as the server does before it loads one.
    Check {
        /// Its name; the live one where it is left out.
        release: Option<String>,
    },
}

#[derive(Serialize)]
struct Shown {
    active: bool,
    #[serde(flatten)]
    manifest: Manifest,
    metrics: Value,
}

/// Runs the command.
pub fn run(action: Action, context: &Context) -> anyhow::Result<()> {
    match action {
        Action::List => {
            let list = context.on_shelf(async |shelf| Ok(shelf.list().await?))?;
            let list: Vec<Summary> = list.into_iter().map(|shelved| shelved.summary).collect();
            context.print(&json!({"releases": list}), || list_text(&list))
        }
        Action::Show { release } => {
            let shelved = context.on_shelf(async |shelf| {
                let release = or_live(shelf, release).await?;
                let found = shelf.list().await?.into_iter().find(|shelved| shelved.summary.id == release);
                Ok(found.ok_or(ModelError::Unknown(release))?)
            })?;
            let Summary { active, metrics, .. } = shelved.summary;
            let shown = Shown { active, manifest: shelved.manifest, metrics };
            context.print(&shown, || shown_text(&shown))
        }
        Action::Activate { release } => {
            context.on_shelf(async |shelf| Ok(shelf.activate(&release).await?))?;
            context.print(&json!({"release": release}), || format!("release {release} is live"))
        }
        Action::Rollback => {
            let release = context.on_shelf(async |shelf| Ok(shelf.rollback().await?))?;
            context.print(&json!({"release": release}), || format!("release {release} is live again"))
        }
        Action::Check { release } => {
            context.load_onnxruntime()?;
            let release = context.on_shelf(async |shelf| {
                let release = or_live(shelf, release).await?;
                shelf.fetch(&release).await?;
                Ok(release)
            })?;
            Releases::new(&context.config.data.dir).check(&release)?;
            context.print(&json!({"release": release, "sound": true}), || format!("release {release} is sound"))
        }
    }
}

async fn or_live(shelf: &dyn Shelf, release: Option<String>) -> anyhow::Result<String> {
    match release {
        Some(release) => Ok(release),
        None => shelf.history().await?.into_iter().next().context("no release is live; make one with `foryou train`"),
    }
}

fn list_text(list: &[Summary]) -> String {
    let line = |Summary { id, active, trained_until, videos, .. }: &Summary| {
        let mark = if *active { '*' } else { ' ' };
        format!("{mark} {id}  trained until {trained_until}, {videos} videos\n")
    };
    match list.is_empty() {
        true => "no release yet; make one with `foryou train`".to_owned(),
        false => list.iter().map(line).collect(),
    }
}

fn shown_text(Shown { active, manifest, metrics: judged }: &Shown) -> String {
    let Manifest { id, created, trained_until, trained_videos, feature_count, heads, .. } = manifest;
    let live = if *active { ", live" } else { "" };
    let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    format!(
        "release {id}{live}\nwritten {created}, trained until {trained_until}\n{trained_videos} videos, {feature_count} features, \
         heads {}, {:.1} MB\n\n{}\n{}",
        heads.join(", "),
        bytes as f64 / 1e6,
        metrics::table("retrieval", &judged["retrieval"], metrics::RETRIEVAL),
        metrics::table("ranking", &judged["ranking"], metrics::RANKING),
    )
}

//! `foryou quarantine`: events that could not be applied.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use foryou_actors::ports::quarantine::{Quarantine, Rejected};
use foryou_schemas::{Timestamp, UserId};
use serde::Serialize;

use super::Context;
use crate::{config::BusKind, engines};

/// Events that are looked for at a time.
const PAGE: usize = 100;

/// What to do with them.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List them, newest first.
    List {
        /// Only those whose reason holds this text.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        /// Only those before the one of this id: the next page.
        #[arg(long, value_name = "ID")]
        before: Option<u64>,
    },
    /// Show one as a whole.
    Show {
        /// Its id.
        id: u64,
    },
    /// Send them through the bus again: parsed anew, and applied where nothing is wrong any more.
    Replay(Which),
    /// Forget them for good.
    Discard(Which),
}

/// Which events.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Their ids.
    ids: Vec<u64>,
    /// All those whose reason holds this text.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Listed {
    count: u64,
    events: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    id: u64,
    at: Option<Timestamp>,
    reason: String,
    partition: u16,
    deliveries: u32,
    user: Option<UserId>,
    /// What is no UTF-8 is replaced.
    payload: String,
}

impl From<Rejected> for Row {
    fn from(event: Rejected) -> Self {
        let user = event.user();
        let Rejected { id, at, partition, redelivered, reason, payload } = event;
        let payload = String::from_utf8_lossy(&payload).into_owned();
        Self { id, at, reason, partition, deliveries: redelivered.saturating_add(1), user, payload }
    }
}

/// What was done.
#[derive(Serialize)]
struct Done {
    done: u64,
    /// Ids of which there is none (any more).
    unknown: Vec<u64>,
}

/// Runs the command.
pub fn run(action: Action, context: &Context) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let advice = match context.config.bus.kind {
            BusKind::Embedded => "; stop the server first, or use its console at /admin",
            BusKind::Rabbitmq => "",
        };
        let opened = engines::open_quarantine(&context.config).await;
        let Some(kept) = opened.with_context(|| format!("the quarantine cannot be opened{advice}"))? else {
            bail!(
                "rejected events stay in RabbitMQ's queue {}.quarantine: with store.kind = \"scylla\" they are kept where this \
                 command finds them",
                context.config.bus.rabbitmq.name
            );
        };
        match action {
            Action::List { reason, limit, before } => {
                let events = kept.latest(before, reason.as_deref(), limit as usize).await?;
                let listed = Listed { count: kept.count().await?, events: events.into_iter().map(Row::from).collect() };
                context.print(&listed, || list_text(&listed))
            }
            Action::Show { id } => {
                let event = kept.get(id).await?.with_context(|| format!("there is no event {id} in quarantine"))?;
                let row = Row::from(event);
                context.print(&row, || show_text(&row))
            }
            Action::Replay(which) => {
                let done = each(&*kept, which, async |id| Ok(kept.replay(id).await?)).await?;
                context.print(&done, || done_text("published again", &done))?;
                all_known(&done)
            }
            Action::Discard(which) => {
                let done = each(&*kept, which, async |id| Ok(kept.discard(id).await?)).await?;
                context.print(&done, || done_text("discarded", &done))?;
                all_known(&done)
            }
        }
    })
}

/// Does something with each of them. By reason, those that came before this began, oldest first as far as a page goes.
async fn each(
    kept: &dyn Quarantine,
    which: Which,
    work: impl AsyncFn(u64) -> anyhow::Result<bool>,
) -> anyhow::Result<Done> {
    let mut ids = which.ids;
    if let Some(reason) = which.reason {
        let mut before = None;
        loop {
            let some = kept.latest(before, Some(&reason), PAGE).await?;
            let Some(last) = some.last() else { break };
            before = Some(last.id);
            ids.extend(some.iter().map(|event| event.id));
        }
        // In the order in which they happened.
        ids.reverse();
    }
    let mut done = Done { done: 0, unknown: Vec::new() };
    for id in ids {
        match work(id).await? {
            true => done.done += 1,
            false => done.unknown.push(id),
        }
    }
    Ok(done)
}

/// Fails where an id was unknown; the others are done.
fn all_known(Done { unknown, .. }: &Done) -> anyhow::Result<()> {
    anyhow::ensure!(unknown.is_empty(), "not in quarantine (any more): {unknown:?}");
    Ok(())
}

fn list_text(Listed { count, events }: &Listed) -> String {
    let line = |row: &Row| {
        let at = row.at.map_or_else(String::new, |at| format!("{at}  "));
        format!("{}  {at}{}\n", row.id, row.reason)
    };
    let lines: String = events.iter().map(line).collect();
    format!("{lines}{} of {count} in quarantine", events.len())
}

fn show_text(row: &Row) -> String {
    let at = row.at.map_or_else(|| "unknown when".to_owned(), |at| at.to_string());
    format!(
        "event {} ({at}), partition p{:02}, delivered {} times\n{}\n\n{}",
        row.id, row.partition, row.deliveries, row.reason, row.payload
    )
}

fn done_text(what: &str, Done { done, .. }: &Done) -> String {
    format!("{done} {what}")
}

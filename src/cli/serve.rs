//! `foryou serve`: the server, until it is told to stop.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;

use super::Context;
use crate::{app, open_files};

/// The command's arguments.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Listen here instead of at `server.bind`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<SocketAddr>,
}

/// Runs until SIGINT or SIGTERM; then it takes no more, finishes what it has, and returns.
pub fn run(args: Args, context: Context) -> anyhow::Result<()> {
    if let Err(error) = context.load_onnxruntime() {
        tracing::error!(%error, "feeds are made without models");
    }
    match open_files::raise() {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "the number of open files stays as it is; see `ulimit -n`"),
    }
    let mut config = context.config;
    config.server.bind = args.bind.unwrap_or(config.server.bind);
    actix_web::rt::System::new().block_on(async {
        // The address first: a port that is taken should not cost the start of everything else.
        let bind = config.server.bind;
        let listener = TcpListener::bind(bind)
            .with_context(|| format!("cannot listen at {bind}; stop what does, or set server.bind"))?;
        listener.set_nonblocking(true)?;
        let application = app::start(config, listener).await?;
        tracing::info!(address = %application.address(), "serving");
        application.run_until(stop_signal()?).await
    })
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

//! What the server runs on: the feature store, the bus, the nodes.

use std::path::{Path, PathBuf};

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use serde_json::{Value, json};

use crate::{app::App, config::StoreKind, error::Problem, http::around::json};

/// `GET /admin/api/store`: engine, sizes, what troubles it.
pub async fn store(app: Data<App>) -> Result<HttpResponse, Problem> {
    let folder = |name: &str| app.config.data.dir.join(name);
    let folders = match app.config.store.kind {
        StoreKind::Embedded => vec![folder("store"), folder("bus"), folder("releases")],
        StoreKind::Scylla => vec![folder("releases")],
    };
    let sized =
        tokio::task::spawn_blocking(move || folders.iter().map(|path| (path.clone(), size(path))).collect::<Vec<_>>());
    let sized = sized.await.map_err(Problem::internal)?;
    let named = |(path, (bytes, files)): &(PathBuf, (u64, u64))| json!({"folder": path.file_name().map(|name| name.to_string_lossy()), "bytes": bytes, "files": files});
    let operations = app.store_counts.each().map(|(name, times, failed)| {
        let spread = times.spread();
        let ms = |q| spread.quantile(q).map(|s| s * 1e3);
        json!({
            "operation": name, "count": spread.count(), "failed": failed.get(), "p50_ms": ms(0.5), "p99_ms": ms(0.99),
        })
    });
    json(
        StatusCode::OK,
        &json!({
            "kind": app.config.store.kind,
            "where": match app.config.store.kind {
                StoreKind::Embedded => app.config.data.dir.join("store").display().to_string(),
                StoreKind::Scylla => format!("{}, keyspace {}", app.config.store.scylla.nodes, app.config.store.scylla.keyspace),
            },
            "trouble": app.store.trouble(),
            "folders": sized.iter().map(named).collect::<Vec<_>>(),
            "operations": operations.collect::<Vec<_>>(),
            "videos": app.live.catalogue().len(),
            "creators": app.live.catalogue().creators().len(),
            "categories": app.live.catalogue().categories().len(),
            "events_counted": app.live.statistics.read().order(),
        }),
    )
}

/// Bytes and files below a folder; what vanishes meanwhile is left out.
fn size(path: &Path) -> (u64, u64) {
    let Ok(entries) = std::fs::read_dir(path) else { return (0, 0) };
    entries.flatten().fold((0, 0), |(bytes, files), entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => {
            let (below, more) = size(&entry.path());
            (bytes + below, files + more)
        }
        Ok(meta) => (bytes + meta.len(), files + 1),
        Err(_) => (bytes, files),
    })
}

/// `GET /admin/api/nodes`: who holds which partitions.
pub async fn nodes(app: Data<App>) -> Result<HttpResponse, Problem> {
    let held = app.membership.held();
    let me = json!({
        "name": app.membership.name(), "me": true, "address": app.config.advertised(), "started_at": app.started_at,
        "version": env!("CARGO_PKG_VERSION"), "partitions": held.len(), "ranges": held.ranges(),
    });
    let other = |node: foryou_actors::ports::cluster::Node| -> Value {
        json!({
            "name": node.name, "me": false, "address": node.address, "started_at": node.started_at,
            "version": node.version, "partitions": node.held.len(), "ranges": node.held.ranges(),
        })
    };
    let nodes: Vec<Value> = [me].into_iter().chain(app.membership.others().into_iter().map(other)).collect();
    json(
        StatusCode::OK,
        &json!({
            "alone": app.membership.is_alone(), "partitions": app.bus.partitions(), "takeovers": app.membership.takeovers(),
            "nodes": nodes,
        }),
    )
}

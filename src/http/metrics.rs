//! `GET /metrics`: Prometheus text.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};

use super::openapi::{Group, Spec, text};
use crate::{error::Problem, telemetry::Metrics};

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the document says of it.
pub fn spec() -> Spec {
    let about = "In Prometheus' text form, or as OpenMetrics for who accepts that. With `access.open_metrics` nobody has to say who they are.";
    Spec::new(Group::Operations, "getMetrics", "Every metric", about).answers_as(
        200,
        "The metrics",
        &[PROMETHEUS, OPEN_METRICS],
        text(),
    )
}

/// Every metric. The text is OpenMetrics, which readers of Prometheus text understand too: who asks for it by name gets that type.
pub async fn get(metrics: Data<Metrics>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let accepts = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let open = accepts.contains("application/openmetrics-text");
    let text = metrics.encode().map_err(Problem::internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, if open { OPEN_METRICS } else { PROMETHEUS }))
        .body(text))
}

//! A JSON body as bytes: right media type, within the limit, in time.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpRequest, dev,
    http::header,
    web::{Bytes, Data, Payload},
};
use foryou_schemas::Invalid;

use crate::error::Problem;

/// How large a body may be, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes.
    pub bytes: usize,
    /// From the head of the request to the end of its body.
    pub time: Duration,
}

/// The whole body of a request that claims to be JSON; not parsed yet.
pub struct Body(pub Bytes);

impl FromRequest for Body {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let refused = check_type(request).err();
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        let limits = request.app_data::<Data<BodyLimits>>().map(|limits| *limits.get_ref());
        let payload = Payload::from_request(request, payload);
        Box::pin(async move {
            let limits = limits.ok_or_else(|| Problem::internal("the server has no body limits"))?;
            if let Some(problem) = refused {
                return Err(problem);
            }
            if length.is_some_and(|length| length > limits.bytes) {
                return Err(Problem::too_large(limits.bytes));
            }
            let payload = payload.await.map_err(Problem::internal)?;
            let read = tokio::time::timeout(limits.time, read(payload, limits.bytes));
            read.await.map_err(|_| Problem::too_slow())?.map(Self)
        })
    }
}

async fn read(payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    match payload.to_bytes_limited(limit).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(e)) => Err(Problem::invalid(Invalid::body(format!("the body broke off ({e}); send it again")))),
        Err(_) => Err(Problem::too_large(limit)),
    }
}

fn check_type(request: &HttpRequest) -> Result<(), Problem> {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else {
        return Err(Problem::not_json(""));
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(Problem::not_json(&text)),
    }
}

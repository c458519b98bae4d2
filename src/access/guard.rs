//! The middleware around every route: finds out who calls, holds that against what the route declares, and leaves the caller with the
//! request.

use std::rc::Rc;

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web::Data,
};

use super::{Access, Gate};
use crate::{error::Problem, http::login};

/// What each method of one path asks for.
pub type Declared = Rc<[(Method, Access)]>;

/// Lets a request through to its route, or answers in its place.
pub async fn guard(
    declared: Declared,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some((_, access)) = declared.iter().find(|(method, _)| method == request.method()) else {
        // The answer is which methods there are.
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let admitted = match request.app_data::<Data<Gate>>() {
        Some(gate) => gate.admit(request.request(), *access),
        None => Err(Problem::internal("the server has no gate")),
    };
    match admitted {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Err(problem) => {
            let form = if *access == Access::Admin { login::instead(request.request(), &problem) } else { None };
            Ok(request.into_response(form.unwrap_or_else(|| HttpResponse::from_error(problem))))
        }
    }
}

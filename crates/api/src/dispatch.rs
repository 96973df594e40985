//! From a request to its endpoint and back, with the headers that browsers need on everything.
//!
//! See [web browser clients](https://spec.matrix.org/v1.19/client-server-api/#web-browser-clients).

use std::{panic::AssertUnwindSafe, rc::Rc, time::Instant};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    dev::Payload,
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};
use futures_util::FutureExt;

use crate::{
    ApiError,
    requester::session_of,
    routes::{Access, Found, Routes},
};

const CORS: [(HeaderName, HeaderValue); 3] = [
    (
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    ),
    (
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS"),
    ),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-Requested-With, Content-Type, Authorization"),
    ),
];

/// A day: what browsers may keep of a preflight is capped lower anyway.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("86400");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// Makes `routes` answer everything that the app has no other service for.
pub(crate) fn serve(cfg: &mut web::ServiceConfig, routes: Routes) {
    let routes = Rc::new(routes);
    cfg.default_service(web::to(
        move |request: HttpRequest, payload: web::Payload| {
            answer(Rc::clone(&routes), request, payload.into_inner())
        },
    ));
}

async fn answer(routes: Rc<Routes>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let mut response = if request.method() == Method::OPTIONS {
        // The browser only asks for the headers. No logic, no authentication.
        let mut response = HttpResponse::NoContent().finish();
        response
            .headers_mut()
            .insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
        response
    } else {
        match routes.find(request.method(), request.uri().path()) {
            Found::Error(error) => error.error_response(),
            Found::Endpoint(endpoint, args) => {
                request.extensions_mut().insert(args);
                let started = Instant::now();
                let response = AssertUnwindSafe(call(&endpoint.handler, endpoint.access, &request, payload))
                        .catch_unwind()
                        .await
                        // The panic hook has logged it. The handler's half-made answer is gone,
                        // what it had committed stays.
                        .unwrap_or_else(|_| ApiError::internal_silently().error_response());
                endpoint.duration.record(started.elapsed());
                response
            }
        }
    };
    let headers = response.headers_mut();
    for (name, value) in CORS {
        headers.insert(name, value);
    }
    if request.query_string().contains("access_token") {
        headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    }
    response
}

async fn call(
    handler: &dyn Fn(
        HttpRequest,
        Payload,
    ) -> futures_util::future::LocalBoxFuture<'static, HttpResponse>,
    access: Access,
    request: &HttpRequest,
    payload: Payload,
) -> HttpResponse {
    match access {
        Access::Token => {
            // Whoever has no token does not get as far as the body.
            if let Err(error) = session_of(request).await {
                return error.error_response();
            }
        }
        Access::Anybody => {}
    }
    handler(request.clone(), payload).await
}

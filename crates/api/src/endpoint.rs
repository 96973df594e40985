//! How an endpoint gets into the list.

use std::{any::TypeId, rc::Rc};

use actix_web::{FromRequest, Handler, HttpResponse, Responder, http::Method};
use ruma::api::{IncomingRequest, Metadata, auth_scheme::AccessToken, path_builder::PathBuilder};

use crate::routes::{Access, Endpoint, Routes};

/// Adds an endpoint of the specification under every path of its history: `r0`, `v3`, `v1`. Paths
/// of the time before it was stable are left out.
///
/// If the specification asks for an access token, so does this, whether or not the handler takes
/// a [`Requester`](crate::Requester).
pub fn endpoint<R, F, Args>(routes: &mut Routes, handler: F)
where
    R: IncomingRequest + 'static,
    R::Authentication: 'static,
    F: Handler<Args>,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    let paths: Vec<&'static str> = R::PATH_BUILDER
        .all_paths()
        .filter(|path| !path.contains("/unstable/"))
        .collect();
    endpoint_at::<R, F, Args>(routes, &paths, handler);
}

/// Adds an endpoint of the specification under these paths only: old ones that ruma does not
/// know, or unstable ones. The variables in them must be those of the specification's paths, in
/// the same order; the last ones may be missing if the request allows that.
pub fn endpoint_at<R, F, Args>(routes: &mut Routes, paths: &[&'static str], handler: F)
where
    R: IncomingRequest + 'static,
    R::Authentication: 'static,
    F: Handler<Args>,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    let access = if TypeId::of::<R::Authentication>() == TypeId::of::<AccessToken>() {
        Access::Token
    } else {
        Access::Anybody
    };
    add(routes, &method_of::<R>(), access, paths, handler);
}

/// Adds an endpoint that ruma does not know.
pub fn custom_endpoint<F, Args>(
    routes: &mut Routes,
    method: &Method,
    access: Access,
    paths: &[&'static str],
    handler: F,
) where
    F: Handler<Args>,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    add(routes, method, access, paths, handler);
}

fn add<F, Args>(
    routes: &mut Routes,
    method: &Method,
    access: Access,
    paths: &[&'static str],
    handler: F,
) where
    F: Handler<Args>,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    // The newest path names the endpoint in the metrics; one histogram serves all its versions.
    let Some(name) = paths.last() else { return };
    let duration = metrics::histogram!(
        "greenroom_http_request_duration_seconds",
        "method" => method.to_string(),
        "endpoint" => *name
    );
    let endpoint = Rc::new(Endpoint {
        access,
        duration,
        handler: Box::new(move |request, mut payload| {
            let handler = handler.clone();
            Box::pin(async move {
                match Args::from_request(&request, &mut payload).await {
                    Ok(args) => handler
                        .call(args)
                        .await
                        .respond_to(&request)
                        .map_into_boxed_body(),
                    Err(error) => HttpResponse::from_error(error),
                }
            })
        }),
    });
    for path in paths {
        routes.add(method, path, Rc::clone(&endpoint));
    }
}

/// ruma speaks of methods in `http` 1, actix in `http` 0.2.
fn method_of<R: Metadata>() -> Method {
    Method::from_bytes(R::METHOD.as_str().as_bytes()).unwrap_or(Method::GET)
}

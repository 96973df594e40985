//! Serving an [`Asset`]: its headers, its `ETag`, and 405 for what is not a read.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, guard,
    http::header::{self, ContentType, ETag, EntityTag, Header as _, HeaderValue, IfNoneMatch},
    web::{self, Bytes},
};
use sha2::{Digest, Sha256};

use crate::assets::Asset;

/// Only this server's own scripts, styles and images; no inline code, no
/// frames in either direction, and forms only through scripts.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const METHOD_NOT_ALLOWED: &str =
    r#"{"errcode":"M_UNRECOGNIZED","error":"this page can only be read, with GET or HEAD"}"#;

/// Registers one resource per path, and nothing that would match other paths.
pub(crate) fn configure(cfg: &mut web::ServiceConfig, assets: &'static [Asset]) {
    for asset in assets {
        let tag = entity_tag(asset.body);
        for path in asset.paths {
            let tag = tag.clone();
            let read = web::route()
                .guard(guard::Any(guard::Get()).or(guard::Head()))
                .to(move |request: HttpRequest| {
                    let answer = answer(asset, &tag, &request);
                    async move { answer }
                });
            cfg.service(
                web::resource(*path)
                    .route(read)
                    .default_service(web::to(refuse)),
            );
        }
    }
}

fn answer(asset: &'static Asset, tag: &EntityTag, request: &HttpRequest) -> HttpResponse {
    let mut response = if is_known(tag, request) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    guarded(&mut response)
        .insert_header(ETag(tag.clone()))
        // A new binary may bring new files under the same names: ask each time,
        // which costs one 304.
        .insert_header((header::CACHE_CONTROL, "no-cache"));
    if is_known(tag, request) {
        return response.finish();
    }
    response
        .insert_header((header::CONTENT_TYPE, content_type(asset.file)))
        .body(Bytes::from_static(asset.body))
}

/// Whether the client has this very version already; an `If-None-Match` that
/// cannot be read counts as none.
fn is_known(tag: &EntityTag, request: &HttpRequest) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|one| one.weak_eq(tag)),
        Err(_) => false,
    }
}

async fn refuse() -> HttpResponse {
    guarded(&mut HttpResponse::MethodNotAllowed())
        .insert_header((header::ALLOW, "GET, HEAD"))
        .insert_header(ContentType::json())
        .body(METHOD_NOT_ALLOWED)
}

/// The headers that every answer of this crate has, whatever its status.
fn guarded(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
}

fn content_type(file: &str) -> HeaderValue {
    let kind = match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    HeaderValue::from_static(kind)
}

fn entity_tag(body: &[u8]) -> EntityTag {
    use std::fmt::Write as _;
    let mut tag = String::with_capacity(32);
    for byte in Sha256::digest(body).iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    EntityTag::new_strong(tag)
}

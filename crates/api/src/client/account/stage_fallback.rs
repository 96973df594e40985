//! `GET` and `POST /_matrix/client/*/auth/{stage}/fallback/web`
//!
//! A page for the stages of user-interactive authentication that a client does not know. See
//! [fallback](https://spec.matrix.org/v1.19/client-server-api/#fallback).

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web,
};
use greenroom_auth::{AuthService, REGISTRATION_TOKEN};
use serde::Deserialize;

use crate::{ApiError, ClientAddress, FormBody, Limited, PathArgs, Query, RateLimits};

/// Nothing but this page's own style and script, by their hashes; in nobody's frame.
const POLICY: &str = concat!(
    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; ",
    "style-src 'sha256-mR7rQGpFIyJXyGmP/j8RVFTWVuUMfbUhVt99OpfWmyw='; ",
    "script-src 'sha256-yb7A8duTUslRRvY9Vu82B6zeC0fInD69hBdxBMag0Ow='"
);

const STYLE: &str = include_str!("stage_fallback.css");
const SCRIPT: &str = include_str!("stage_fallback.js");

#[derive(Deserialize)]
pub(super) struct Session {
    session: String,
}

#[derive(Deserialize)]
pub(super) struct Form {
    session: String,
    token: String,
}

pub(super) async fn show(
    stage: PathArgs,
    Query(Session { session }): Query<Session>,
    auth: web::Data<AuthService>,
) -> Result<HttpResponse, ApiError> {
    require_known(&stage)?;
    if !auth.is_registration_session(&session).await? {
        return Ok(session_is_over());
    }
    Ok(page(StatusCode::OK, &form(&session, None)))
}

pub(super) async fn submit(
    stage: PathArgs,
    address: ClientAddress,
    FormBody(Form { session, token }): FormBody<Form>,
    auth: web::Data<AuthService>,
    limits: web::Data<RateLimits>,
) -> Result<HttpResponse, ApiError> {
    require_known(&stage)?;
    limits.check(Limited::Registration, None, address)?;
    Ok(
        match auth
            .complete_registration_token_stage(&session, token.trim())
            .await?
        {
            Some(true) => page(StatusCode::OK, &done()),
            Some(false) => {
                let problem = "This registration token is not valid.";
                page(StatusCode::UNAUTHORIZED, &form(&session, Some(problem)))
            }
            None => session_is_over(),
        },
    )
}

fn require_known(stage: &PathArgs) -> Result<(), ApiError> {
    match stage.0.first() {
        Some(stage) if stage == REGISTRATION_TOKEN => Ok(()),
        Some(_) | None => Err(ApiError::unrecognized()),
    }
}

fn session_is_over() -> HttpResponse {
    let text = "<p role=\"alert\">This session is unknown or over. Go back and start again.</p>";
    page(StatusCode::NOT_FOUND, text)
}

fn form(session: &str, problem: Option<&str>) -> String {
    let problem = problem
        .map(|problem| format!("<p id=\"problem\" role=\"alert\">{}</p>", escaped(problem)))
        .unwrap_or_default();
    format!(
        "<form method=\"post\">\
         <p>This server registers people who have a token for it.</p>{problem}\
         <input type=\"hidden\" name=\"session\" value=\"{session}\">\
         <label for=\"token\">Registration token</label>\
         <input id=\"token\" name=\"token\" required maxlength=\"64\" autofocus \
         autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\">\
         <button>Continue</button></form>",
        session = escaped(session),
    )
}

fn done() -> String {
    format!("<p role=\"status\">Done. You can close this window.</p><script>{SCRIPT}</script>")
}

fn page(status: StatusCode, content: &str) -> HttpResponse {
    let body = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Registration token</title><style>{STYLE}</style></head>\
         <body><main><h1>Registration token</h1>{content}</main></body></html>"
    );
    HttpResponse::build(status)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/html; charset=utf-8")
        .body(body)
}

/// Text for the inside of an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a66_nothing_from_the_query_becomes_markup() {
        let page = form("\"><script>alert('x')</script>&", None);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)"));
    }

    #[test]
    fn a66_the_policy_names_this_style_and_this_script() {
        use base64::{Engine, engine::general_purpose::STANDARD};
        for source in [STYLE, SCRIPT] {
            let hash = STANDARD.encode(Sha256::digest(source));
            assert!(
                POLICY.contains(&format!("'sha256-{hash}'")),
                "sha256-{hash}"
            );
        }
        assert!(POLICY.contains("frame-ancestors 'none'"));
    }
}

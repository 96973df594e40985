//! `GET` and `POST /_matrix/client/*/auth/{stage}/fallback/web`
//!
//! A page for each stage of user-interactive authentication, for clients that do not know it. See
//! [fallback](https://spec.matrix.org/v1.19/client-server-api/#fallback).

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web,
};
use greenroom_auth::{AuthService, DUMMY, PASSWORD, REGISTRATION_TOKEN, UiaFallback};
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
    token: Option<String>,
    password: Option<String>,
}

pub(super) async fn show(
    stage: PathArgs,
    Query(Session { session }): Query<Session>,
    auth: web::Data<AuthService>,
) -> Result<HttpResponse, ApiError> {
    let stage = Stage::of(&stage)?;
    Ok(match auth.uia_fallback(&session, stage.name()).await? {
        Some(fallback) if fallback.completed => done(stage),
        Some(fallback) => form(StatusCode::OK, stage, &session, &fallback, None),
        None => session_is_over(stage),
    })
}

pub(super) async fn submit(
    stage: PathArgs,
    address: ClientAddress,
    FormBody(form_body): FormBody<Form>,
    auth: web::Data<AuthService>,
    limits: web::Data<RateLimits>,
) -> Result<HttpResponse, ApiError> {
    let stage = Stage::of(&stage)?;
    let session = form_body.session;
    let Some(fallback) = auth.uia_fallback(&session, stage.name()).await? else {
        limits.check(Limited::Registration, None, address)?;
        return Ok(session_is_over(stage));
    };
    let user_id = fallback.user_id.as_deref();
    let typed = match stage {
        Stage::Password => {
            limits.check(Limited::Login, user_id, address)?;
            form_body.password.unwrap_or_default()
        }
        Stage::RegistrationToken => {
            limits.check(Limited::Registration, None, address)?;
            form_body.token.unwrap_or_default().trim().to_owned()
        }
        Stage::Dummy => {
            limits.check(Limited::Registration, None, address)?;
            String::new()
        }
    };
    let outcome = auth.complete_stage(&session, stage.name(), &typed).await?;
    Ok(match outcome {
        Some(Ok(())) => {
            if let (Stage::Password, Some(user_id)) = (stage, user_id) {
                limits.login_succeeded(user_id, address);
            }
            done(stage)
        }
        Some(Err(failure)) => {
            let status = StatusCode::UNAUTHORIZED;
            form(status, stage, &session, &fallback, Some(failure.error))
        }
        None => session_is_over(stage),
    })
}

/// A stage that has a page: each that this server asks for.
#[derive(Clone, Copy)]
enum Stage {
    Dummy,
    Password,
    RegistrationToken,
}

impl Stage {
    fn of(args: &PathArgs) -> Result<Self, ApiError> {
        match args.0.first().map(String::as_str) {
            Some(DUMMY) => Ok(Self::Dummy),
            Some(PASSWORD) => Ok(Self::Password),
            Some(REGISTRATION_TOKEN) => Ok(Self::RegistrationToken),
            Some(_) | None => Err(ApiError::unrecognized()),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Dummy => DUMMY,
            Self::Password => PASSWORD,
            Self::RegistrationToken => REGISTRATION_TOKEN,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Dummy => "Continue",
            Self::Password => "Confirm your password",
            Self::RegistrationToken => "Registration token",
        }
    }
}

fn session_is_over(stage: Stage) -> HttpResponse {
    let text = "<p role=\"alert\">This session is unknown or over. Go back and start again.</p>";
    page(StatusCode::NOT_FOUND, stage, text)
}

fn form(
    status: StatusCode,
    stage: Stage,
    session: &str,
    fallback: &UiaFallback,
    problem: Option<&str>,
) -> HttpResponse {
    page(
        status,
        stage,
        &form_content(stage, session, fallback, problem),
    )
}

fn form_content(
    stage: Stage,
    session: &str,
    fallback: &UiaFallback,
    problem: Option<&str>,
) -> String {
    let problem = problem
        .map(|problem| format!("<p id=\"problem\" role=\"alert\">{}</p>", escaped(problem)))
        .unwrap_or_default();
    let (text, fields) = match stage {
        Stage::Dummy => (
            "This server asks for nothing more here.".to_owned(),
            String::new(),
        ),
        Stage::Password => password_fields(fallback),
        Stage::RegistrationToken => (
            "This server registers people who have a token for it.".to_owned(),
            "<label for=\"token\">Registration token</label>\
             <input id=\"token\" name=\"token\" required maxlength=\"64\" autofocus \
             autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\">"
                .to_owned(),
        ),
    };
    format!(
        "<form method=\"post\"><p>{text}</p>{problem}\
         <input type=\"hidden\" name=\"session\" value=\"{session}\">{fields}\
         <button>Continue</button></form>",
        session = escaped(session),
    )
}

/// Whoever holds somebody's access token can begin a session and show them this page, so it says
/// what the password is for.
fn password_fields(fallback: &UiaFallback) -> (String, String) {
    let user_id = fallback.user_id.as_ref().map(|user_id| user_id.as_str());
    let user_id = escaped(user_id.unwrap_or_default());
    let act = match fallback.endpoint.as_str() {
        "POST /account/deactivate" => "deactivate the account for good",
        "POST /account/password" => "change the password",
        _ => "make a change that needs your password",
    };
    let text = format!(
        "Somebody who is logged in as <strong>{user_id}</strong> wants to {act}. If that is not \
         you, close this window."
    );
    let fields = format!(
        "<input type=\"hidden\" autocomplete=\"username\" value=\"{user_id}\">\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" required \
         autocomplete=\"current-password\">"
    );
    (text, fields)
}

fn done(stage: Stage) -> HttpResponse {
    let content =
        format!("<p role=\"status\">Done. You can close this window.</p><script>{SCRIPT}</script>");
    page(StatusCode::OK, stage, &content)
}

fn page(status: StatusCode, stage: Stage, content: &str) -> HttpResponse {
    let title = stage.title();
    let body = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{content}</main></body></html>"
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
        let fallback = UiaFallback {
            user_id: None,
            endpoint: String::new(),
            completed: false,
        };
        let session = "\"><script>alert('x')</script>&";
        let page = form_content(Stage::RegistrationToken, session, &fallback, None);
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

//! What is true of every endpoint, seen over HTTP.

use std::sync::Arc;

use actix_web::{
    App,
    body::to_bytes,
    http::{Method, StatusCode, header},
    test::{TestRequest, call_service, init_service},
    web,
};
use greenroom_auth::Sessions;
use greenroom_model::SystemClock;
use greenroom_storage::{
    Device, DeviceStore, NewSession, Refresh, Session, StorageError, TokenHash,
};
use ruma::{
    DeviceId, UserId,
    api::client::{
        account::whoami, alias::create_alias, session::logout, user_directory::search_users,
    },
};
use serde_json::{Value, json};

use crate::{
    Access, ApiError, ApiSettings, JsonAnswer, JsonBody, PathArgs, Requester, Ruma,
    custom_endpoint, dispatch, endpoint, routes::Routes,
};

/// A database in which no token is valid.
struct NoDevices;

#[async_trait::async_trait]
impl DeviceStore for NoDevices {
    async fn create_session(&self, _: &UserId, _: NewSession) -> Result<bool, StorageError> {
        Ok(false)
    }
    async fn session(&self, _: TokenHash) -> Result<Option<Session>, StorageError> {
        Ok(None)
    }
    async fn refresh(
        &self,
        _: TokenHash,
        _: TokenHash,
        _: Option<u64>,
        _: TokenHash,
        _: u64,
    ) -> Result<Refresh, StorageError> {
        Ok(Refresh::Unknown)
    }
    async fn confirm_refresh(&self, _: TokenHash) -> Result<(), StorageError> {
        Ok(())
    }
    async fn devices(&self, _: &UserId) -> Result<Vec<Device>, StorageError> {
        Ok(Vec::new())
    }
    async fn delete_device(&self, _: &UserId, _: &DeviceId) -> Result<bool, StorageError> {
        Ok(false)
    }
    async fn delete_devices(&self, _: &UserId) -> Result<(), StorageError> {
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Echo {
    text: String,
}

fn routes() -> Routes {
    let mut routes = Routes::default();
    endpoint::<whoami::v3::Request, _, _>(
        &mut routes,
        async |requester: Requester, Ruma(_): Ruma<whoami::v3::Request>| {
            Ok::<_, ApiError>(Ruma(whoami::v3::Response::new(requester.user_id, false)))
        },
    );
    // Asks for no requester, and must not be open to the world all the same.
    endpoint::<logout::v3::Request, _, _>(&mut routes, async |_: Ruma<logout::v3::Request>| {
        Ok::<_, ApiError>(Ruma(logout::v3::Response::new()))
    });
    custom_endpoint(
        &mut routes,
        &Method::POST,
        Access::Anybody,
        &["/_matrix/client/v3/echo/{name}"],
        async |PathArgs(args): PathArgs, JsonBody(Echo { text }): JsonBody<Echo>| {
            JsonAnswer(json!({ "name": args.first(), "text": text }))
        },
    );
    custom_endpoint(
        &mut routes,
        &Method::GET,
        Access::Anybody,
        &["/_matrix/client/v3/panic"],
        async || -> JsonAnswer<Value> { panic!("on purpose") },
    );
    routes
}

async fn ask(request: TestRequest) -> (u16, Value, header::HeaderMap) {
    let sessions = Sessions::new(Arc::new(NoDevices), Arc::new(SystemClock), 16);
    let app = init_service(
        App::new()
            .app_data(web::Data::new(sessions))
            .app_data(web::Data::new(ApiSettings {
                body_limit_bytes: 100,
                ..Default::default()
            }))
            .configure(|cfg| dispatch::serve(cfg, routes())),
    )
    .await;
    let response = call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.unwrap();
    (
        status,
        serde_json::from_slice(&body).unwrap_or(Value::Null),
        headers,
    )
}

fn echo(body: impl Into<web::Bytes>) -> TestRequest {
    TestRequest::post()
        .uri("/_matrix/client/v3/echo/%21a%2Fb")
        .set_payload(body)
}

#[actix_web::test]
async fn paths_are_decoded_and_bodies_are_read() {
    let (status, body, _) = ask(echo(r#"{"text":"x"}"#)).await;
    assert_eq!(
        (status, body),
        (200, json!({ "name": "!a/b", "text": "x" }))
    );
}

#[actix_web::test]
async fn b08_bodies_that_are_no_object_are_refused_with_the_right_code() {
    for (body, errcode) in [
        ("{", "M_NOT_JSON"),
        ("  ", "M_NOT_JSON"),
        ("[]", "M_BAD_JSON"),
        ("null", "M_BAD_JSON"),
        // As for no body at all, what is missing is the field.
        ("", "M_BAD_JSON"),
        (r#"{"text":1}"#, "M_BAD_JSON"),
    ] {
        let (status, answer, _) = ask(echo(body)).await;
        assert_eq!(
            (status, &answer["errcode"]),
            (400, &json!(errcode)),
            "{body:?}"
        );
        assert!(answer["error"].is_string());
    }
}

#[actix_web::test]
async fn b08_a_body_over_the_limit_is_413() {
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(100));
    let (status, answer, _) = ask(echo(text)).await;
    assert_eq!((status, &answer["errcode"]), (413, &json!("M_TOO_LARGE")));
}

#[actix_web::test]
async fn a54_a_compressed_body_is_not_decoded() {
    let request = echo("\x1f\u{8b}").insert_header((header::CONTENT_ENCODING, "gzip"));
    let (status, answer, _) = ask(request).await;
    assert_eq!((status, &answer["errcode"]), (400, &json!("M_NOT_JSON")));
}

#[actix_web::test]
async fn b64_what_is_not_there_is_unrecognized() {
    let (status, answer, _) = ask(TestRequest::get().uri("/_matrix/client/v3/nothing")).await;
    assert_eq!(
        (status, &answer["errcode"]),
        (404, &json!("M_UNRECOGNIZED"))
    );
    let (status, answer, headers) = ask(TestRequest::get().uri("/_matrix/client/v3/echo/x")).await;
    assert_eq!(
        (status, &answer["errcode"]),
        (405, &json!("M_UNRECOGNIZED"))
    );
    assert_eq!(headers.get(header::ALLOW).unwrap(), "OPTIONS, POST");
}

#[actix_web::test]
async fn b65_browsers_may_read_everything_and_ask_anywhere() {
    for request in [
        TestRequest::get().uri("/_matrix/client/v3/nothing"),
        TestRequest::get().uri("/_matrix/client/v3/echo/x"),
        TestRequest::get().uri("/_matrix/client/v3/account/whoami"),
        TestRequest::get().uri("/_matrix/client/v3/panic"),
        TestRequest::default()
            .method(Method::OPTIONS)
            .uri("/_matrix/client/v3/account/whoami"),
        TestRequest::default()
            .method(Method::OPTIONS)
            .uri("/anything"),
        echo("{}"),
    ] {
        let (status, _, headers) = ask(request).await;
        assert_eq!(
            headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(),
            "*",
            "{status}"
        );
        assert!(headers.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS));
        assert!(headers.contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS));
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
    let request = TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/_matrix/client/v3/logout");
    assert_eq!(ask(request).await.0, StatusCode::NO_CONTENT);
}

#[actix_web::test]
async fn an_endpoint_that_needs_a_token_is_closed_even_if_its_handler_does_not_ask() {
    for path in ["/_matrix/client/r0/logout", "/_matrix/client/v3/logout"] {
        let (status, answer, _) = ask(TestRequest::post().uri(path)).await;
        assert_eq!(
            (status, &answer["errcode"]),
            (401, &json!("M_MISSING_TOKEN"))
        );
        let bearer = (header::AUTHORIZATION, "Bearer gr_guess");
        let request = TestRequest::post()
            .uri(path)
            .insert_header(bearer)
            .set_payload("{");
        let (status, answer, _) = ask(request).await;
        assert_eq!(
            (status, &answer["errcode"]),
            (401, &json!("M_UNKNOWN_TOKEN"))
        );
    }
}

#[actix_web::test]
async fn a_panic_is_a_500_and_shows_nothing() {
    let (status, answer, _) = ask(TestRequest::get().uri("/_matrix/client/v3/panic")).await;
    assert_eq!((status, &answer["errcode"]), (500, &json!("M_UNKNOWN")));
    assert!(!answer.to_string().contains("purpose"));
}

#[test]
fn an_endpoint_is_listed_under_every_path_of_its_history() {
    let mut routes = Routes::default();
    endpoint::<create_alias::v3::Request, _, _>(
        &mut routes,
        async |_: Ruma<create_alias::v3::Request>| JsonAnswer(json!({})),
    );
    endpoint::<search_users::v3::Request, _, _>(
        &mut routes,
        async |_: Ruma<search_users::v3::Request>| JsonAnswer(json!({})),
    );
    let listed: Vec<String> = routes
        .entries()
        .into_iter()
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    assert_eq!(
        listed,
        [
            "PUT /_matrix/client/r0/directory/room/{room_alias}",
            "POST /_matrix/client/r0/user_directory/search",
            "PUT /_matrix/client/v3/directory/room/{room_alias}",
            "POST /_matrix/client/v3/user_directory/search",
        ]
    );
}

#[test]
fn no_method_and_path_is_listed_twice() {
    // The later one would silently take the place of the first.
    let entries = crate::client::routes().entries();
    let mut once = entries.clone();
    once.dedup_by(|one, other| (one.path, &one.method) == (other.path, &other.method));
    assert_eq!(entries, once);
    assert!(entries.len() > 20);
}

/// The list is there for people, and for the flow tests: they send bad input to everything in it.
#[test]
fn what_is_written_about_the_endpoints_is_so() {
    let rows: Vec<String> = crate::client::routes()
        .entries()
        .into_iter()
        .map(|entry| {
            let access = match entry.access {
                Access::Token => "token",
                Access::Anybody => "anybody",
            };
            format!("| `{}` | `{}` | {access} |", entry.method, entry.path)
        })
        .collect();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/endpoints.md");
    let written = std::fs::read_to_string(file).unwrap();
    let written: Vec<&str> = written
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert!(
        rows == written,
        "the table in docs/endpoints.md should be:\n{}",
        rows.join("\n")
    );
}

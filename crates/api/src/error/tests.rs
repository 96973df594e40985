use actix_web::body::to_bytes;

use super::*;

async fn answer(error: impl Into<ApiError>) -> (u16, Value, Option<String>) {
    let response = error.into().error_response();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap(), retry_after)
}

#[actix_web::test]
async fn a_broken_database_does_not_show_its_inside() {
    let (status, body, _) = answer(StorageError::Failed("table users is gone".into())).await;
    assert_eq!(status, 500);
    assert_eq!(body["errcode"], "M_UNKNOWN");
    assert!(!body.to_string().contains("users"), "{body}");
}

#[actix_web::test]
async fn an_absent_database_asks_to_come_again() {
    let (status, body, retry_after) = answer(StorageError::Unavailable("x".into())).await;
    assert_eq!((status, retry_after.as_deref()), (503, Some("2")));
    assert_eq!(body["errcode"], "M_UNKNOWN");
}

#[actix_web::test]
async fn a_limit_is_told_in_seconds_and_milliseconds() {
    let (status, body, retry_after) =
        answer(ApiError::limit_exceeded(Duration::from_millis(1_200))).await;
    assert_eq!((status, retry_after.as_deref()), (429, Some("2")));
    assert_eq!(body["retry_after_ms"], 1_200);
    let (_, _, retry_after) = answer(ApiError::limit_exceeded(Duration::ZERO)).await;
    assert_eq!(retry_after.as_deref(), Some("1"));
}

#[test]
fn what_a_room_refuses_has_the_code_of_the_specification() {
    use ruma::{RoomVersionId, owned_room_alias_id, owned_user_id};
    let event = |error: EventError| RoomError::from(error);
    let table = [
        (RoomError::NotInRoom, "403 M_FORBIDDEN"),
        (RoomError::Forbidden("x".to_owned()), "403 M_FORBIDDEN"),
        (RoomError::NoSuchRoom, "404 M_NOT_FOUND"),
        (RoomError::NoSuchEvent, "404 M_NOT_FOUND"),
        (RoomError::NoSuchState, "404 M_NOT_FOUND"),
        (RoomError::NoSuchAlias, "404 M_NOT_FOUND"),
        (
            RoomError::NoSuchUser(owned_user_id!("@a:b")),
            "404 M_NOT_FOUND",
        ),
        (RoomError::NotLocal("@a:b".to_owned()), "404 M_NOT_FOUND"),
        (RoomError::StillInRoom, "400 M_UNKNOWN"),
        (RoomError::BadState("x"), "403 M_BAD_STATE"),
        (
            RoomError::BadAlias(owned_room_alias_id!("#a:b")),
            "400 M_BAD_ALIAS",
        ),
        (
            RoomError::AliasTaken(owned_room_alias_id!("#a:b")),
            "409 M_UNKNOWN",
        ),
        (
            RoomError::UnsupportedVersion(RoomVersionId::V1),
            "400 M_UNSUPPORTED_ROOM_VERSION",
        ),
        (
            RoomError::InvalidRoomState("x".to_owned()),
            "400 M_INVALID_ROOM_STATE",
        ),
        (RoomError::InvalidParam("x"), "400 M_INVALID_PARAM"),
        (RoomError::Busy, "503 M_UNKNOWN"),
        (RoomError::Stopped, "503 M_UNKNOWN"),
        (RoomError::Panicked, "500 M_UNKNOWN"),
        (StorageError::Overloaded.into(), "503 M_UNKNOWN"),
        (event(EventError::BadJson("x".into())), "400 M_BAD_JSON"),
        (
            event(EventError::InvalidParam("x".into())),
            "400 M_INVALID_PARAM",
        ),
        (event(EventError::Forbidden("x".into())), "403 M_FORBIDDEN"),
        (
            event(EventError::TooLarge {
                what: "event",
                limit: 65_536,
            }),
            "413 M_TOO_LARGE",
        ),
        (event(EventError::Broken("x".into())), "500 M_UNKNOWN"),
    ];
    for (error, wanted) in table {
        assert_eq!(
            ApiError::from(error.clone()).to_string(),
            wanted,
            "{error:?}"
        );
    }
}

#[test]
fn a_sentence_begins_with_a_capital_unless_with_a_name() {
    for (text, shown) in [
        ("that is so", "That is so."),
        ("m.push_rules is kept", "m.push_rules is kept."),
        ("avatar_url is long", "avatar_url is long."),
        ("", "."),
    ] {
        assert_eq!(sentence(&text), shown);
    }
}

#[actix_web::test]
async fn b54_an_expired_token_is_a_soft_logout() {
    let (status, body, _) = answer(AuthError::ExpiredToken).await;
    assert_eq!((status, &body["soft_logout"]), (401, &json!(true)));
    let (_, body, _) = answer(AuthError::UnknownToken).await;
    assert_eq!(body["soft_logout"], json!(false));
}

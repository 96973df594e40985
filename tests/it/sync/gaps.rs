//! Where an answer does not have everything: no change of state and no event is lost by it.

use greenroom_tests::{Client, encode, shared_server};
use serde_json::{Value, json};

use super::{bodies, events, filtered, ids, in_place, joined, next, places, says, since, topic};

/// Pages back from a token to the end, and gives the events' IDs, newest first.
async fn back_from(reader: &Client, room: &str, token: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut from = token.to_owned();
    loop {
        let query = format!("dir=b&limit=3&from={}", encode(&from));
        let page = reader.messages(room, &query).await;
        let chunk = page["chunk"].as_array().unwrap();
        found.extend(
            chunk
                .iter()
                .map(|event| event["event_id"].as_str().unwrap().to_owned()),
        );
        match page["end"].as_str() {
            Some(end) if !chunk.is_empty() => end.clone_into(&mut from),
            _ => return found,
        }
    }
}

#[tokio::test]
async fn a_limited_timeline_leaves_no_change_of_state_unseen_and_no_hole() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    let token = alice.now().await;
    bob.join(&room).await;
    let in_gap = topic(&alice, &room, "in the gap").await;
    says(&alice, &room, &["1", "2", "3"]).await;
    let shown = topic(&alice, &room, "shown").await;
    let last = says(&bob, &room, &["4", "5"]).await;
    for over in ["v3", "r0"] {
        let filter = json!({"room": {"timeline": {"limit": 3}}});
        let reader = alice.over(over);
        let answer = filtered(&reader, &filter, &since(&token)).await;
        let section = joined(&answer, &room);
        assert_eq!(section["timeline"]["limited"], true, "{section}");
        assert_eq!(
            ids(&section["timeline"]),
            [shown.as_str(), last[0].as_str(), last[1].as_str()]
        );
        let state = &section["state"];
        assert_eq!(
            places(state),
            [
                format!("m.room.member/{}", bob.user_id),
                "m.room.topic/".to_owned()
            ],
            "{section}"
        );
        let before = in_place(state, "m.room.topic", "").unwrap();
        assert_eq!(before["event_id"], in_gap.as_str(), "as of the start");

        let prev = section["timeline"]["prev_batch"].as_str().unwrap();
        let mut found = back_from(&alice, &room, prev).await;
        found.reverse();
        found.extend(ids(&section["timeline"]).into_iter().map(str::to_owned));
        let all = alice.messages(&room, "dir=f&limit=100").await;
        let all = json!({"events": all["chunk"]});
        assert_eq!(found, ids(&all), "the gap is closed by paging back");
    }
}

#[tokio::test]
async fn a_timeline_of_no_events_still_tells_of_state() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let token = alice.now().await;
    says(&alice, &room, &["1"]).await;
    let changed = topic(&alice, &room, "changed").await;
    let filter = json!({"room": {"timeline": {"limit": 0}}});
    let answer = filtered(&alice, &filter, &since(&token)).await;
    let section = joined(&answer, &room);
    assert!(events(&section["timeline"]).is_empty(), "{section}");
    assert_eq!(section["timeline"]["limited"], true, "{section}");
    assert_eq!(ids(&section["state"]), [changed.as_str()]);
    let nothing = filtered(&alice, &filter, &since(&next(&answer))).await;
    assert_eq!(nothing.as_object().unwrap().len(), 1, "{nothing}");
    let initial = filtered(&alice, &filter, "").await;
    let state = &joined(&initial, &room)["state"];
    let topic = in_place(state, "m.room.topic", "").unwrap();
    assert_eq!(topic["event_id"], changed.as_str());
}

#[tokio::test]
async fn a_timeline_never_has_more_than_is_good() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    for n in 0..110 {
        alice.send_text(&room, &format!("t{n}"), "x").await;
    }
    let filter = json!({"room": {"timeline": {"limit": 1_000_000_000}}});
    let answer = filtered(&alice, &filter, "").await;
    let timeline = &joined(&answer, &room)["timeline"];
    assert_eq!(events(timeline).len(), 100);
    assert_eq!(timeline["limited"], true);
    // Further back than memory reaches, the same is found in the database.
    let filter = json!({"room": {"timeline": {"limit": 50}}});
    let answer = filtered(&alice, &filter, "").await;
    let shorter = ids(&joined(&answer, &room)["timeline"]);
    assert_eq!(shorter, ids(timeline)[50..]);
}

#[tokio::test]
async fn the_full_state_comes_at_once_and_again() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let token = alice.now().await;
    let query = format!("{}&full_state=true&timeout=600000", since(&token));
    let answer = alice.sync(&query).await;
    let section = joined(&answer, &room);
    assert!(events(&section["timeline"]).is_empty(), "{section}");
    assert_eq!(section["timeline"]["limited"], false, "{section}");
    let truth = alice
        .get(&format!("rooms/{}/state", encode(&room)))
        .await
        .expect_ok();
    assert_eq!(
        places(&section["state"]),
        places(&json!({"events": truth})),
        "{section}"
    );
}

#[tokio::test]
async fn state_after_is_there_when_asked_for_and_takes_the_place_of_state() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    let left = alice.create_public_room().await;
    for which in [&room, &left] {
        bob.join(which).await;
    }
    let token = bob.now().await;
    says(&alice, &room, &["1"]).await;
    let ask = format!("{}&use_state_after=true", since(&token));
    let answer = bob.sync(&ask).await;
    let section = joined(&answer, &room);
    assert!(section["state"].is_null(), "{section}");
    assert_eq!(section["state_after"]["events"], json!([]), "{section}");

    let first = topic(&alice, &room, "first").await;
    let second = topic(&alice, &room, "second").await;
    super::does_to(&alice, &room, "ban", &alice_guest(&server, &room).await).await;
    super::does(&bob, &left, "leave").await;
    let answer = bob.sync(&ask).await;
    let section = joined(&answer, &room);
    let after = &section["state_after"];
    let now = in_place(after, "m.room.topic", "").unwrap();
    assert_eq!(now["event_id"], second.as_str(), "as of the end: {section}");
    assert!(!ids(after).contains(&first.as_str()), "{section}");
    assert_eq!(events(after).len(), 2, "the topic and the ban: {section}");
    let gone = &answer["rooms"]["leave"][&left];
    assert!(gone["state"].is_null(), "{gone}");
    let own = in_place(&gone["state_after"], "m.room.member", &bob.user_id).unwrap();
    assert_eq!(own["content"]["membership"], "leave", "{gone}");

    // With a gap, and from the start.
    let filter = json!({"room": {"timeline": {"limit": 1}}});
    for query in [ask.as_str(), "use_state_after=true"] {
        let answer = filtered(&bob, &filter, query).await;
        let section = joined(&answer, &room);
        let now = in_place(&section["state_after"], "m.room.topic", "").unwrap();
        assert_eq!(now["event_id"], second.as_str(), "{section}");
        assert!(section["state"].is_null(), "{section}");
    }
}

/// Somebody in the room who is to be banned from it.
async fn alice_guest(server: &greenroom_tests::TestServer, room: &str) -> Client {
    let guest = server.register("guest").await;
    guest.join(room).await;
    guest
}

#[tokio::test]
async fn state_that_a_filter_takes_out_of_the_timeline_comes_as_state() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let token = alice.now().await;
    let first = says(&alice, &room, &["1"]).await;
    let changed = topic(&alice, &room, "hidden").await;
    says(&alice, &room, &["2"]).await;
    for timeline in [
        json!({"types": ["m.room.message"]}),
        json!({"not_types": ["m.room.topic"]}),
        json!({"not_rooms": [room]}),
        json!({"rooms": []}),
    ] {
        for query in [since(&token), String::new()] {
            let filter = json!({"room": {"timeline": timeline}});
            let answer = filtered(&alice, &filter, &query).await;
            let section = joined(&answer, &room);
            let found = in_place(&section["state"], "m.room.topic", "")
                .unwrap_or_else(|| panic!("{timeline} {query}: {section}"));
            assert_eq!(found["event_id"], changed.as_str());
            let answer = filtered(&alice, &filter, &format!("{query}&use_state_after=true")).await;
            let after = &joined(&answer, &room)["state_after"];
            let found = in_place(after, "m.room.topic", "").unwrap();
            assert_eq!(found["event_id"], changed.as_str(), "{timeline} {query}");
        }
    }
    let filter = json!({"room": {"timeline": {"types": ["m.room.message"], "limit": 2}}});
    let answer = filtered(&alice, &filter, &since(&token)).await;
    let timeline = &joined(&answer, &room)["timeline"];
    assert_eq!(bodies(timeline), ["1", "2"]);
    assert_eq!(ids(timeline)[0], first[0]);
    assert_eq!(timeline["limited"], Value::Bool(false));
}

#[tokio::test]
async fn a_gap_is_filled_from_the_token_before_it_to_the_one_after() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let before = alice.now().await;
    let sent = says(&alice, &room, &["7", "8", "9", "10"]).await;
    let filter = json!({"room": {"timeline": {"limit": 3}}});
    let answer = filtered(&alice, &filter, &since(&before)).await;
    let timeline = &joined(&answer, &room)["timeline"];
    assert_eq!(ids(timeline), sent[1..], "{timeline}");
    let after = timeline["prev_batch"].as_str().unwrap();
    for (direction, from, to) in [("f", &*before, after), ("b", after, &*before)] {
        let query = format!("dir={direction}&from={}&to={}", encode(from), encode(to));
        let page = alice.messages(&room, &query).await;
        let gap: Vec<&Value> = page["chunk"].as_array().unwrap().iter().collect();
        assert_eq!(gap.len(), 1, "{page}");
        assert_eq!(gap[0]["event_id"], sent[0], "{page}");
    }
}

//! Coming and going, as a client sees it.

use greenroom_tests::{encode, shared_server};
use serde_json::json;

use super::{
    bodies, contents, does, does_to, events, filtered, ids, in_place, joined, next, places, says,
    since, topic,
};

#[tokio::test]
async fn a_newly_joined_room_comes_as_a_whole() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let token = bob.now().await;
    let room = alice.create_public_room().await;
    let sent = says(&alice, &room, &["1", "2", "3", "4", "5", "6"]).await;
    let receipt = format!("rooms/{}/receipt/m.read/{}", encode(&room), sent[5]);
    alice.post(&receipt, json!({})).await.expect_ok();
    alice.invite(&room, &bob).await;
    let tag = format!(
        "user/{}/rooms/{}/tags/u.later",
        encode(&bob.user_id),
        encode(&room)
    );
    bob.put(&tag, json!({})).await.expect_ok();
    let invited = bob.sync(&since(&token)).await;
    assert!(invited["rooms"]["invite"][&room].is_object(), "{invited}");
    bob.join(&room).await;
    let filter = json!({"room": {"timeline": {"limit": 3}}});
    let answer = filtered(&bob, &filter, &since(&next(&invited))).await;
    let section = joined(&answer, &room);
    assert!(answer["rooms"]["invite"].is_null(), "{answer}");
    assert_eq!(section["timeline"]["limited"], true, "{section}");
    assert_eq!(bodies(&section["timeline"]), ["6"], "an invite, and a join");
    let state = places(&section["state"]);
    for place in ["m.room.create/", "m.room.power_levels/"] {
        assert!(state.iter().any(|found| found == place), "{section}");
    }
    let read = contents(&section["ephemeral"], "m.receipt");
    assert!(
        read[0][&sent[5]]["m.read"][&alice.user_id].is_object(),
        "{section}"
    );
    let tags = contents(&section["account_data"], "m.tag");
    assert!(tags[0]["tags"]["u.later"].is_object(), "{section}");
    assert_eq!(section["summary"]["m.joined_member_count"], 2);
}

#[tokio::test]
async fn leaving_being_kicked_and_banned_end_the_room() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    for what in ["leave", "kick", "ban"] {
        let bob = server.register("bob").await;
        let room = alice.create_public_room().await;
        bob.join(&room).await;
        let token = bob.now().await;
        says(&alice, &room, &["seen"]).await;
        topic(&alice, &room, "seen").await;
        match what {
            "leave" => does(&bob, &room, what).await,
            _ => does_to(&alice, &room, what, &bob).await,
        }
        says(&alice, &room, &["unseen"]).await;
        topic(&alice, &room, "unseen").await;
        let answer = bob.sync(&since(&token)).await;
        assert!(joined(&answer, &room).is_null(), "{what}: {answer}");
        let section = &answer["rooms"]["leave"][&room];
        assert_eq!(bodies(&section["timeline"]), ["seen"], "{what}: {section}");
        let last = events(&section["timeline"]).last().unwrap();
        let membership = if what == "ban" { "ban" } else { "leave" };
        assert_eq!(last["content"]["membership"], membership, "{section}");
        assert_eq!(last["state_key"], bob.user_id.as_str());

        let nothing = bob.sync(&since(&next(&answer))).await;
        assert_eq!(nothing.as_object().unwrap().len(), 1, "{nothing}");
        let initial = bob.sync("").await;
        assert!(initial["rooms"]["leave"].is_null(), "{initial}");
        let filter = json!({"room": {"include_leave": true, "timeline": {"limit": 2}}});
        let initial = filtered(&bob, &filter, "").await;
        let section = &initial["rooms"]["leave"][&room];
        assert_eq!(events(&section["timeline"]).len(), 2, "{section}");
        assert!(
            in_place(&section["state"], "m.room.create", "").is_some(),
            "{section}"
        );
        assert!(!section.to_string().contains("unseen"), "{section}");
        let filter = json!({"room": {"include_leave": true}});
        let query = "full_state=true&use_state_after=true";
        let initial = filtered(&bob, &filter, query).await;
        let section = &initial["rooms"]["leave"][&room];
        let found = in_place(&section["state_after"], "m.room.topic", "").unwrap();
        assert_eq!(found["content"]["topic"], "seen", "{section}");
    }
}

#[tokio::test]
async fn a_declined_invite_tells_nothing_of_the_room() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({"topic": "secret"})).await;
    says(&alice, &room, &["secret"]).await;
    let token = bob.now().await;
    alice.invite(&room, &bob).await;
    let answer = bob.sync(&since(&token)).await;
    let token = next(&answer);
    does(&bob, &room, "leave").await;
    for query in [since(&token), format!("{}&full_state=true", since(&token))] {
        let answer = bob.sync(&query).await;
        let section = &answer["rooms"]["leave"][&room];
        let timeline = events(&section["timeline"]);
        assert_eq!(timeline.len(), 1, "{section}");
        assert_eq!(timeline[0]["content"]["membership"], "leave", "{section}");
        assert!(events(&section["state"]).is_empty(), "{section}");
    }
}

#[tokio::test]
async fn declining_to_come_back_tells_nothing_new() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({})).await;
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    topic(&alice, &room, "old").await;
    does(&bob, &room, "leave").await;
    topic(&alice, &room, "secret").await;
    says(&alice, &room, &["secret"]).await;
    let token = bob.now().await;
    alice.invite(&room, &bob).await;
    does(&bob, &room, "leave").await;
    let filter = json!({"room": {"include_leave": true}});
    for query in [
        since(&token),
        format!("{}&full_state=true", since(&token)),
        format!("{}&use_state_after=true", since(&token)),
        "use_state_after=true".to_owned(),
        String::new(),
    ] {
        let answer = filtered(&bob, &filter, &query).await;
        let section = &answer["rooms"]["leave"][&room];
        assert!(section.is_object(), "{query}: {answer}");
        assert!(
            !section.to_string().contains("secret"),
            "{query}: {section}"
        );
    }
}

#[tokio::test]
async fn a_room_that_was_forgotten_is_gone_and_ones_other_devices_learn_of_it() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let other = server.login(&alice.user_id).await;
    let room = alice.create_public_room().await;
    let token = other.now().await;
    does(&alice, &room, "leave").await;
    does(&alice, &room, "forget").await;
    let filter = json!({"room": {"include_leave": true}});
    let answer = filtered(&alice, &filter, "").await;
    assert!(answer["rooms"].is_null(), "{answer}");
    let answer = other.sync(&since(&token)).await;
    let section = &answer["rooms"]["leave"][&room];
    let timeline = events(&section["timeline"]);
    assert_eq!(timeline.len(), 1, "{answer}");
    assert_eq!(timeline[0]["content"]["membership"], "leave", "{answer}");
    assert!(events(&section["state"]).is_empty(), "{answer}");
    let nothing = other.sync(&since(&next(&answer))).await;
    assert!(nothing["rooms"].is_null(), "{nothing}");
}

/// "Rooms which have been forgotten will never appear in the response to the `/sync` API, until the
/// user re-joins, is re-invited, or knocks."
#[tokio::test]
async fn a_forgotten_room_stays_forgotten_until_one_is_let_in_again() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    does(&bob, &room, "leave").await;
    does(&bob, &room, "forget").await;
    let mut token = bob.now().await;
    let filter = json!({"room": {"include_leave": true}});
    for what in ["ban", "unban"] {
        does_to(&alice, &room, what, &bob).await;
        let answer = bob.sync(&since(&token)).await;
        assert!(answer["rooms"].is_null(), "{what}: {answer}");
        token = next(&answer);
        let answer = filtered(&bob, &filter, "").await;
        assert!(answer["rooms"].is_null(), "{what}: {answer}");
        let path = format!("rooms/{}/messages?dir=b", encode(&room));
        bob.get(&path).await.expect_error(403, "M_FORBIDDEN");
    }
    alice.invite(&room, &bob).await;
    let answer = bob.sync(&since(&token)).await;
    assert!(answer["rooms"]["invite"][&room].is_object(), "{answer}");
}

#[tokio::test]
async fn who_comes_back_gets_the_room_anew() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_public_room().await;
    bob.join(&room).await;
    says(&alice, &room, &["1"]).await;
    let before = bob.now().await;
    does(&bob, &room, "leave").await;
    let meanwhile = topic(&alice, &room, "meanwhile").await;
    let told = bob.now().await;
    bob.join(&room).await;
    let truth = alice.messages(&room, "dir=f&limit=100").await;
    let truth = json!({"events": truth["chunk"]});

    // A client that never heard of it goes on where it was.
    let answer = bob.sync(&since(&before)).await;
    let section = joined(&answer, &room);
    assert!(answer["rooms"]["leave"].is_null(), "{answer}");
    let all = ids(&truth);
    let at = all.len() - 3;
    assert_eq!(ids(&section["timeline"]), all[at..], "{section}");
    assert_eq!(section["timeline"]["limited"], false);
    assert!(
        in_place(&section["state"], "m.room.create", "").is_some(),
        "the whole state: {section}"
    );
    // A client that did begins anew.
    let answer = bob.sync(&since(&told)).await;
    let section = joined(&answer, &room);
    assert_eq!(section["timeline"]["limited"], true, "{section}");
    let known = ids(&section["timeline"]);
    assert!(known.contains(&meanwhile.as_str()), "{section}");
    assert_eq!(known[..], all[all.len() - known.len()..]);
}

#[tokio::test]
async fn a_new_name_does_not_make_a_room_new() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let room = alice.create_public_room().await;
    let token = alice.now().await;
    let path = format!("profile/{}/displayname", encode(&alice.user_id));
    alice
        .put(&path, json!({"displayname": "Al"}))
        .await
        .expect_ok();
    let renamed = |section: &serde_json::Value| {
        contents(&section["timeline"], "m.room.member")
            .iter()
            .any(|content| content["displayname"] == "Al")
    };
    let answer = alice.sync_until_since(&token, &room, renamed).await;
    let section = joined(&answer, &room);
    assert_eq!(section["state"]["events"], json!([]), "{section}");
    assert_eq!(events(&section["timeline"]).len(), 1, "{section}");
    // Also for a device that is new to the server's memory.
    let other = server.login(&alice.user_id).await;
    other.sync(&since(&token)).await;
}

#[tokio::test]
async fn a_knock_is_seen_and_so_is_its_answer() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let rules = json!([{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]);
    let room = alice
        .create_room(json!({"preset": "public_chat", "name": "Door", "initial_state": rules}))
        .await;
    let token = bob.now().await;
    bob.post(&format!("knock/{}", encode(&room)), json!({}))
        .await
        .expect_ok();
    let answer = bob.sync(&since(&token)).await;
    let state = &answer["rooms"]["knock"][&room]["knock_state"];
    let name = in_place(state, "m.room.name", "").unwrap();
    assert_eq!(name["content"]["name"], "Door", "{answer}");
    alice.invite(&room, &bob).await;
    let answer = bob.sync(&since(&next(&answer))).await;
    assert!(answer["rooms"]["invite"][&room].is_object(), "{answer}");
    assert!(answer["rooms"]["knock"].is_null(), "{answer}");
}

#[tokio::test]
async fn of_several_changes_between_two_answers_the_last_one_counts() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({"name": "Room"})).await;
    let where_is_it = |answer: &serde_json::Value| -> Vec<String> {
        let sections = answer["rooms"].as_object().into_iter().flatten();
        let with_it = sections.filter(|(_, rooms)| rooms.get(&room).is_some());
        with_it.map(|(section, _)| section.clone()).collect()
    };
    let at_first = bob.now().await;
    alice.invite(&room, &bob).await;
    let invited = bob.now().await;
    // An invite that was taken back before anybody saw it.
    does_to(&alice, &room, "kick", &bob).await;
    let answer = bob.sync(&since(&at_first)).await;
    assert!(joined(&answer, &room).is_null(), "{answer}");
    assert!(answer["rooms"]["invite"].is_null(), "{answer}");
    let answer = bob.sync(&since(&invited)).await;
    assert_eq!(where_is_it(&answer), ["leave"], "{answer}");
    alice.invite(&room, &bob).await;
    bob.join(&room).await;
    let in_it = bob.now().await;
    // Out, and invited once more.
    does_to(&alice, &room, "kick", &bob).await;
    let out = next(&bob.sync(&since(&in_it)).await);
    alice.invite(&room, &bob).await;
    for token in [&in_it, &out] {
        let answer = bob.sync(&since(token)).await;
        assert_eq!(where_is_it(&answer), ["invite"], "{answer}");
        let state = &answer["rooms"]["invite"][&room]["invite_state"];
        assert!(in_place(state, "m.room.create", "").is_some(), "{answer}");
        let own = in_place(state, "m.room.member", &bob.user_id).unwrap();
        assert_eq!(own["content"]["membership"], "invite", "{answer}");
    }
    let again = bob.now().await;
    does_to(&alice, &room, "ban", &bob).await;
    for token in [&again, &in_it] {
        let answer = bob.sync(&since(token)).await;
        assert_eq!(where_is_it(&answer), ["leave"], "{answer}");
        let timeline = &answer["rooms"]["leave"][&room]["timeline"];
        let last = events(timeline).last().unwrap();
        assert_eq!(last["content"]["membership"], "ban", "{answer}");
    }
}

#[tokio::test]
async fn a_knock_that_is_taken_back_is_gone() {
    let server = shared_server().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let rules = json!([{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]);
    let room = alice.create_room(json!({"initial_state": rules})).await;
    bob.post(&format!("knock/{}", encode(&room)), json!({}))
        .await
        .expect_ok();
    let initial = bob.sync("").await;
    let state = &initial["rooms"]["knock"][&room]["knock_state"];
    assert!(in_place(state, "m.room.create", "").is_some(), "{initial}");
    does(&bob, &room, "leave").await;
    let answer = bob.sync(&since(&next(&initial))).await;
    assert!(answer["rooms"]["leave"][&room].is_object(), "{answer}");
    assert!(answer["rooms"]["knock"].is_null(), "{answer}");
    let left = &answer["rooms"]["leave"][&room];
    assert!(events(&left["state"]).is_empty(), "{left}");
    let initial = bob.sync("").await;
    assert!(initial["rooms"].is_null(), "{initial}");
}

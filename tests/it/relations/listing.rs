//! `GET relations`: the events that relate to an event, page by page.

use super::*;
use crate::rooms::ids;

async fn ask(client: &Client, room: &str, rest: &str) -> greenroom_tests::Answer {
    let path = in_room(room, &format!("relations/{rest}"));
    client.over("v1").get(&path).await
}

fn chunk(page: &Value) -> Vec<&str> {
    ids(page["chunk"].as_array().unwrap())
}

#[tokio::test]
async fn children_are_read_page_by_page_in_both_directions() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let parent = say(&alice, &room, text("parent")).await;
    let mut all = Vec::new();
    for n in 0..7 {
        let sender = [&alice, &bob][n % 2];
        all.push(say(sender, &room, relating("m.thread", &parent)).await);
        say(&alice, &room, text("between")).await;
    }
    let of = encode(&parent);
    for (dir, limit) in [("f", 3), ("b", 3), ("b", 7), ("f", 1000), ("b", 1)] {
        let (mut found, mut from) = (Vec::new(), String::new());
        loop {
            let rest = format!("{of}?dir={dir}&limit={limit}{from}");
            let page = ask(&bob, &room, &rest).await.expect_ok();
            assert!(chunk(&page).len() <= limit);
            // "The absence of this token means this is the start of the result set."
            assert_eq!(page["prev_batch"].is_string(), !from.is_empty());
            assert_eq!(page.get("recursion_depth"), None);
            found.extend(chunk(&page).into_iter().map(ToOwned::to_owned));
            let Some(next) = page["next_batch"].as_str() else {
                break;
            };
            from = format!("&from={}", encode(next));
        }
        if dir == "b" {
            found.reverse();
        }
        assert_eq!(found, all, "{dir} {limit}");
    }
    // "Optional (default `b`)": most recent first.
    let page = ask(&bob, &room, &format!("{of}?limit=2")).await.expect_ok();
    assert_eq!(chunk(&page), [all[6].as_str(), all[5].as_str()]);
    assert_eq!(page["chunk"][0]["room_id"], *room);
    assert_eq!(
        page["chunk"][0]["content"]["m.relates_to"]["event_id"],
        *parent
    );
}

#[tokio::test]
async fn tokens_of_sync_and_messages_are_taken() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let parent = say(&alice, &room, text("parent")).await;
    let first = say(&alice, &room, relating("m.thread", &parent)).await;
    let sync = bob.now().await;
    let start = bob.messages(&room, "dir=b&limit=1").await;
    let second = say(&alice, &room, relating("m.thread", &parent)).await;
    let of = encode(&parent);
    for token in [sync.as_str(), start["start"].as_str().unwrap()] {
        let token = encode(token);
        for (query, right) in [
            (format!("dir=b&from={token}"), &first),
            (format!("dir=f&from={token}"), &second),
            (format!("dir=b&to={token}"), &second),
            (format!("dir=f&to={token}"), &first),
        ] {
            let page = ask(&bob, &room, &format!("{of}?{query}")).await.expect_ok();
            assert_eq!(chunk(&page), [right.as_str()], "{query}");
        }
    }
    // A token of a page is good for messages.
    let page = ask(&bob, &room, &format!("{of}?limit=1")).await.expect_ok();
    let next = encode(page["next_batch"].as_str().unwrap());
    let older = bob
        .messages(&room, &format!("dir=b&limit=1&from={next}"))
        .await;
    assert_eq!(chunk(&older), [first.as_str()]);
}

#[tokio::test]
async fn b40_b41_what_is_no_page_is_refused() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let parent = encode(&say(&alice, &room, text("parent")).await);
    let of_alice = encode(&alice.now().await);
    let other = bob.create_room(json!({})).await;
    let elsewhere = bob.messages(&other, "dir=b").await;
    let elsewhere = encode(elsewhere["start"].as_str().unwrap());
    for bad in [
        "from=x".to_owned(),
        "to=-1".to_owned(),
        format!("from={of_alice}"),
        format!("to={elsewhere}"),
        "dir=x".to_owned(),
        "limit=-1".to_owned(),
        "limit=x".to_owned(),
        "recurse=x".to_owned(),
    ] {
        let refused = ask(&bob, &room, &format!("{parent}?{bad}")).await;
        assert_eq!(refused.status, 400, "{}", refused.describe());
    }
    for fine in ["limit=0", "limit=1000000000", "from=", "recurse=false"] {
        ask(&bob, &room, &format!("{parent}?{fine}"))
            .await
            .expect_ok();
    }
}

#[tokio::test]
async fn a_parent_that_one_may_not_see_is_not_found() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let parent = say(&alice, &room, text("parent")).await;
    say(&alice, &room, relating("m.thread", &parent)).await;
    let other = bob.create_room(json!({})).await;
    let carol = server.register("carol").await;
    let of = encode(&parent);
    let answers = [
        ask(&carol, &room, &of).await,
        ask(&bob, &other, &of).await,
        ask(&bob, &room, "$unknown").await,
        ask(&bob, &room, "%24unknown/m.thread/m.room.message").await,
        ask(&bob, "!unknown", &of).await,
    ];
    for answer in answers {
        answer.expect_error(404, "M_NOT_FOUND");
    }
}

#[tokio::test]
async fn children_are_asked_for_by_relation_and_type() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let parent = say(&alice, &room, text("parent")).await;
    let reply = say(&bob, &room, relating("m.thread", &parent)).await;
    let vote = post(
        &bob,
        &room,
        "org.example/vote",
        relating("m.thread", &parent),
    )
    .await;
    let odd = say(&bob, &room, relating("x/y\u{0}", &parent)).await;
    let reaction = react(&bob, &room, &parent, "👍").await.expect_ok();
    let reaction = reaction["event_id"].as_str().unwrap();
    let of = encode(&parent);
    for (rest, right) in [
        ("", vec![reaction, &odd, &vote, &reply]),
        ("/m.thread", vec![&vote, &reply]),
        ("/m.thread/m.room.message", vec![&*reply]),
        ("/m.thread/org.example%2Fvote", vec![&*vote]),
        ("/m.annotation/m.reaction", vec![reaction]),
        ("/x%2Fy%00", vec![&*odd]),
        ("/m.annotation/m.room.message", vec![]),
        ("/m.unknown", vec![]),
    ] {
        let page = ask(&alice, &room, &format!("{of}{rest}")).await.expect_ok();
        assert_eq!(chunk(&page), right, "{rest}");
        assert_eq!(page.get("next_batch"), None, "{rest}");
    }
    redact(&bob, &room, &reply).await;
    let page = ask(&alice, &room, &format!("{of}/m.thread"))
        .await
        .expect_ok();
    assert_eq!(chunk(&page), [vote.as_str()]);
}

#[tokio::test]
async fn recursion_finds_what_relates_to_what_relates() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let parent = say(&alice, &room, text("parent")).await;
    let reply = say(&bob, &room, relating("m.thread", &parent)).await;
    let edited = say(&bob, &room, edit(&reply, "edited")).await;
    let reaction = react(&alice, &room, &edited, "x").await.expect_ok();
    let reaction = reaction["event_id"].as_str().unwrap();
    let of = encode(&parent);
    let page = ask(&alice, &room, &format!("{of}?recurse=true"))
        .await
        .expect_ok();
    assert_eq!(chunk(&page), [reaction, &edited, &reply]);
    // "Homeservers SHOULD traverse at least 3 levels", and "the actual depth" is told.
    assert_eq!(page["recursion_depth"], 3);
    let page = ask(&alice, &room, &format!("{of}?recurse=true&limit=2"))
        .await
        .expect_ok();
    let next = encode(page["next_batch"].as_str().unwrap());
    let rest = format!("{of}?recurse=true&limit=2&from={next}");
    let page = ask(&alice, &room, &rest).await.expect_ok();
    assert_eq!(chunk(&page), [reply.as_str()]);
    let page = ask(&alice, &room, &format!("{of}?recurse=false"))
        .await
        .expect_ok();
    assert_eq!(chunk(&page), [reply.as_str()]);
    assert_eq!(page["recursion_depth"], 1);
    // Through an event of another type, nothing is found.
    let rest = format!("{of}/m.replace?recurse=true");
    let page = ask(&alice, &room, &rest).await.expect_ok();
    assert_eq!(chunk(&page), Vec::<&str>::new());
}

#[tokio::test]
async fn ignored_users_are_not_listed_and_children_are_bundled() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let parent = say(&alice, &room, text("parent")).await;
    let by_bob = say(&bob, &room, relating("m.thread", &parent)).await;
    let own = say(&alice, &room, relating("m.thread", &parent)).await;
    let edited = say(&alice, &room, edit(&own, "edited")).await;
    let of = encode(&parent);
    let page = ask(&bob, &room, &of).await.expect_ok();
    assert_eq!(chunk(&page), [own.as_str(), by_bob.as_str()]);
    let replace = &page["chunk"][0]["unsigned"]["m.relations"]["m.replace"];
    assert_eq!(replace["event_id"], *edited);
    ignore(&alice, &[&bob]).await;
    let page = ask(&alice, &room, &of).await.expect_ok();
    assert_eq!(chunk(&page), [own.as_str()]);
}

#[tokio::test]
async fn children_of_an_ignored_users_event_are_listed() {
    let server = shared_server().await;
    let (alice, bob, room) = shared_room(&server, json!({})).await;
    let parent = say(&bob, &room, text("parent")).await;
    say(&bob, &room, relating("m.thread", &parent)).await;
    let own = say(&alice, &room, relating("m.thread", &parent)).await;
    ignore(&alice, &[&bob]).await;
    let page = ask(&alice, &room, &encode(&parent)).await.expect_ok();
    assert_eq!(chunk(&page), [own.as_str()]);
}

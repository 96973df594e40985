//! The index of words: what is found, what a redaction takes away, and that it is whole wherever the
//! process ends.

use diesel::{RunQueryDsl, connection::SimpleConnection};
use greenroom_model::StreamPosition;
use greenroom_search::{Query, hash, room_token, sender_token};
use greenroom_storage::{RoomStore, SearchQuery, SearchStore};
use serde_json::json;

use crate::support::{Place, Room, TestDb, user};

const END: StreamPosition = StreamPosition(i64::MAX);

fn query(term: &str, room: &Room) -> SearchQuery {
    SearchQuery {
        all: Query::new(term).tokens(),
        any: vec![vec![room_token(hash(room.id.as_str()))]],
        from: StreamPosition::START,
        upto: END,
        limit: 100,
    }
}

async fn found(db: &TestDb, query: SearchQuery) -> Vec<StreamPosition> {
    db.candidates(query).await.unwrap()
}

/// Indexes all there is, step by step.
async fn catch_up(db: &TestDb) {
    let end = db.watcher.position();
    let mut done = StreamPosition::START;
    while done < end {
        let more = db.index_more(end).await.unwrap();
        assert!(more > done || more >= end, "it stands still at {more}");
        done = more;
    }
}

#[tokio::test]
async fn words_of_a_room_are_found_newest_first() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let mut other = Room::created(&db, "other", &alice).await;
    let one = room.say(&db, &alice, "The martians have landed").await;
    other.say(&db, &alice, "Martians elsewhere").await;
    let two = room.say(&db, &alice, "more MARTIANS").await;
    let name = json!({ "name": "Martian club" });
    let named = room.set(&db, &alice, "m.room.name", name).await;
    let encrypted = json!({ "ciphertext": "martians" });
    db.append(room.event(&alice, "m.room.encrypted", None, encrypted))
        .await
        .unwrap();
    assert_eq!(found(&db, query("martian", &room)).await, []);
    catch_up(&db).await;
    assert_eq!(found(&db, query("martian", &room)).await, [named, two, one]);
    assert_eq!(found(&db, query("martian land", &room)).await, [one]);
    assert_eq!(found(&db, query("venus", &room)).await, []);
    let part = |from, upto, limit| SearchQuery {
        from,
        upto,
        limit,
        ..query("martian", &room)
    };
    assert_eq!(found(&db, part(one, two, 9)).await, [two, one]);
    assert_eq!(found(&db, part(one.next(), END, 1)).await, [named]);
    let by = |name: &str| {
        let mut query = query("martian", &room);
        query
            .any
            .push(vec![sender_token(hash(user(name).as_str()))]);
        query
    };
    assert_eq!(found(&db, by("alice")).await.len(), 3);
    assert_eq!(found(&db, by("bob")).await, []);
    // Nothing that is typed is an operator.
    for term in [
        "NEAR(a b)",
        "a OR martians",
        "martians*",
        "tokens:martians",
        "NOT martians -x",
    ] {
        let hits = found(&db, query(term, &room)).await;
        assert!(hits.len() <= 3, "{term}");
    }
    db.close().await;
}

#[tokio::test]
async fn a_search_in_thousands_of_rooms_is_one_question() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let said = room.say(&db, &alice, "needle").await;
    catch_up(&db).await;
    let mut query = query("needle", &room);
    let rooms = (0..3_000).map(|n| room_token(hash(&format!("!{n}"))));
    query.any[0].extend(rooms);
    assert_eq!(found(&db, query).await, [said]);
    db.close().await;
}

#[tokio::test]
async fn b33_a_redacted_message_leaves_the_index_in_the_same_act() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let early = room.message(&alice, "a secret word");
    let kept = room.say(&db, &alice, "a secret kept").await;
    db.append(early.clone()).await.unwrap();
    catch_up(&db).await;
    assert_eq!(found(&db, query("secret", &room)).await.len(), 2);
    let redaction = room.redaction(&alice, &early, &json!({}));
    db.append(redaction).await.unwrap();
    assert_eq!(found(&db, query("secret", &room)).await, [kept]);
    // Again: there is nothing left to take out.
    let again = room.redaction(&alice, &early, &json!({}));
    db.append(again).await.unwrap();
    assert_eq!(found(&db, query("secret", &room)).await, [kept]);
    // Before it is indexed.
    let late = room.message(&alice, "a later secret");
    db.append(late.clone()).await.unwrap();
    let redaction = room.redaction(&alice, &late, &json!({}));
    db.append(redaction).await.unwrap();
    catch_up(&db).await;
    assert_eq!(found(&db, query("secret", &room)).await, [kept]);
    check(&db.place);
    db.close().await;
}

#[tokio::test]
async fn a_redaction_between_the_reading_and_the_indexing_wins() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let message = room.message(&alice, "a secret");
    db.append(message.clone()).await.unwrap();
    // The redaction and the indexing share a group, in either order, while the event was read before.
    let release = db.watcher.hold();
    let blocking = db.append(room.message(&alice, "holds the writer"));
    let redaction = db.append(room.redaction(&alice, &message, &json!({})));
    let indexing = db.index_more(db.watcher.position());
    let release = async {
        tokio::task::yield_now().await;
        release.send(()).unwrap();
    };
    let (blocked, redacted, indexed, ()) = tokio::join!(blocking, redaction, indexing, release);
    blocked.unwrap();
    redacted.unwrap();
    indexed.unwrap();
    catch_up(&db).await;
    assert_eq!(found(&db, query("secret", &room)).await, []);
    check(&db.place);
    db.close().await;
}

#[tokio::test]
async fn two_who_index_at_once_do_it_once() {
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    for number in 0..250 {
        room.say(&db, &alice, &format!("word {number}")).await;
    }
    let end = db.watcher.position();
    for _ in 0..5 {
        let both = tokio::join!(db.index_more(end), db.index_more(end), db.index_more(end));
        both.0.unwrap();
    }
    catch_up(&db).await;
    let mut all = query("word", &room);
    all.limit = 1000;
    assert_eq!(found(&db, all).await.len(), 250);
    check(&db.place);
    db.close().await;
}

#[tokio::test]
async fn an_index_that_was_left_half_way_or_made_by_another_version_is_made_whole() {
    let mut db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    for number in 0..150 {
        room.say(&db, &alice, &format!("word {number}")).await;
    }
    let half = db.index_more(db.watcher.position()).await.unwrap();
    assert!(half < db.watcher.position());
    let mut all = query("word", &room);
    all.limit = 1000;
    db = db.restart().await;
    catch_up(&db).await;
    assert_eq!(found(&db, all.clone()).await.len(), 150);
    db.place
        .execute("UPDATE search_progress SET version = version + 1");
    db = db.restart().await;
    assert_eq!(found(&db, all.clone()).await.len(), 0);
    catch_up(&db).await;
    assert_eq!(found(&db, all).await.len(), 150);
    check(&db.place);
    db.close().await;
}

/// On SQLite: the index is sound.
fn check(place: &Place) {
    if place.is_sqlite() {
        place
            .sqlite()
            .batch_execute("INSERT INTO search_index (search_index) VALUES ('integrity-check')")
            .unwrap();
    }
}

/// Every byte of the files of a SQLite database.
fn files(place: &Place) -> Vec<u8> {
    ["", "-wal"]
        .iter()
        .filter_map(|end| std::fs::read(format!("{}{end}", place.file())).ok())
        .flatten()
        .collect()
}

#[tokio::test]
async fn b33_no_part_of_a_redacted_word_is_left_in_the_file() {
    let db = TestDb::at(Place::on_sqlite());
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let has = |bytes: &[u8], part: &str| {
        bytes
            .windows(part.len())
            .any(|window| window == part.as_bytes())
    };
    // Nobody else says these, not even in parts.
    let secrets = ["qzxqvq", "wkjxzy", "vqhzkj"];
    let mut sent = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        for n in 0..60 {
            room.say(&db, &alice, &format!("chat {number} {n}")).await;
        }
        let message = room.message(&alice, &format!("it is {secret}, you know"));
        db.append(message.clone()).await.unwrap();
        sent.push(message);
        // Each in a part of the index of its own, which are merged later.
        catch_up(&db).await;
    }
    for n in 0..400 {
        room.say(&db, &alice, &format!("more chat {n}")).await;
        if n % 20 == 0 {
            catch_up(&db).await;
        }
    }
    for secret in secrets {
        assert!(has(&files(&db.place), &secret[..3]), "not indexed by parts");
    }
    for message in &sent {
        let redaction = room.redaction(&alice, message, &json!({}));
        db.append(redaction).await.unwrap();
    }
    check(&db.place);
    for secret in secrets {
        assert_eq!(found(&db, query(secret, &room)).await, []);
    }
    db.close().await;
    let left = files(&db.place);
    for secret in secrets {
        for part in 0..=3 {
            let part = &secret[part..part + 3];
            assert!(!has(&left, part), "{part} is left");
        }
    }
}

/// What the index costs. Run it with `--ignored --nocapture`.
#[tokio::test]
#[ignore = "measures, proves nothing"]
async fn bytes_per_message() {
    #[derive(diesel::QueryableByName)]
    struct Size {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        size: i64,
    }
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "room", &alice).await;
    let text = include_str!("../../../../ARCHITECTURE.md").repeat(20);
    let letters: Vec<char> = text.chars().collect();
    let number = 4_000_u32;
    let mut sends = Vec::new();
    for part in letters.chunks(100).take(4_000) {
        sends.push(db.append(room.message(&alice, &part.iter().collect::<String>())));
        if sends.len() == 500 {
            for send in sends.drain(..) {
                send.await.unwrap();
            }
        }
    }
    for send in sends {
        send.await.unwrap();
    }
    let size = || -> i64 {
        if db.place.is_sqlite() {
            let sql = "SELECT sum(pgsize) AS size FROM dbstat WHERE name LIKE 'search%'";
            let size: Result<Size, _> = diesel::sql_query(sql).get_result(&mut db.place.sqlite());
            return size.map_or_else(
                |_| {
                    let mut conn = db.place.sqlite();
                    let sql = "SELECT sum(length(block)) AS size FROM search_index_data";
                    let size: Size = diesel::sql_query(sql).get_result(&mut conn).unwrap();
                    size.size
                },
                |size| size.size,
            );
        }
        let sql = "SELECT pg_total_relation_size('search_entries') AS size";
        let size: Size = diesel::sql_query(sql)
            .get_result(&mut db.place.postgres())
            .unwrap();
        size.size
    };
    let started = std::time::Instant::now();
    catch_up(&db).await;
    println!(
        "{} bytes and {} us for each of {number} messages",
        size() / i64::from(number),
        started.elapsed().as_micros() / u128::from(number),
    );
    db.close().await;
}

/// What a large room takes for each byte of its events. Run it with `--ignored --nocapture`.
#[tokio::test]
#[ignore = "measures, proves nothing"]
async fn bytes_of_a_large_room() {
    #[derive(diesel::QueryableByName)]
    struct Size {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        size: i64,
    }
    let db = TestDb::new();
    let alice = user("alice");
    let mut room = Room::created(&db, "a-room-with-an-id-as-long-as-the-real-ones-", &alice).await;
    // As long as what a server adds: hashes, a signature, the events before.
    let whole = |mut append: greenroom_storage::Append| {
        let mut pdu: serde_json::Value = serde_json::from_slice(&append.json).unwrap();
        pdu["added"] = "x".repeat(450).into();
        append.json = pdu.to_string().into_bytes().into();
        append
    };
    let text = include_str!("../../../../ARCHITECTURE.md");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut sends = Vec::new();
    for number in 0..55_000_usize {
        let sender = user(&format!("member-{:04}", number % 5_000));
        let append = if number < 5_000 {
            room.join(&sender)
        } else {
            let at = number * 7_919 % (words.len() - 8);
            room.message(&sender, &words[at..at + 8].join(" "))
        };
        sends.push(db.append(whole(append)));
        if sends.len() == 500 {
            for send in sends.drain(..) {
                send.await.unwrap();
            }
        }
    }
    catch_up(&db).await;
    let ask = |sqlite: &str, postgres: &str| -> Vec<Size> {
        if db.place.is_sqlite() {
            diesel::sql_query(sqlite).load(&mut db.place.sqlite())
        } else {
            diesel::sql_query(postgres).load(&mut db.place.postgres())
        }
        .unwrap()
    };
    let events = "SELECT 'json' AS name, sum(length(json)) AS size FROM events";
    let json: i64 = ask(events, events).iter().map(|part| part.size).sum();
    let parts = ask(
        "SELECT 'file' AS name, page_count * page_size AS size \
         FROM pragma_page_count(), pragma_page_size()",
        "SELECT relname::text AS name, pg_relation_size(oid) AS size FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i') \
         AND pg_relation_size(oid) > 1000000 ORDER BY size DESC",
    );
    for part in &parts {
        println!("{} takes {} bytes", part.name, part.size);
    }
    let whole: i64 = parts.iter().map(|part| part.size).sum();
    println!(
        "{whole} bytes for {json} of events: {} %",
        whole * 100 / json
    );
    db.close().await;
}

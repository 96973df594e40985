//! No question reads a whole table: what SQLite plans to do for each of them.

mod relations;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use diesel::{
    QueryableByName, RunQueryDsl,
    connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation},
    sql_types::Text,
};
use greenroom_model::StreamPosition;
use greenroom_storage::{
    AccountDataStore, AccountStore, DeviceStore, Direction, DirectoryStore, EventTimeStore,
    FilterStore, MemberStore, PresenceStore, ProfileStore, PublicRoomsQuery, Pusher, PusherId,
    PusherProgress, PusherStore, Receipt, ReceiptStore, RoomStore, SlidingStore, StateStore,
    TimelineStore, UiaStore, UnreadStore, UpgradeStore,
};
use ruma::{events::room::member::MembershipState, room_alias_id};
use serde_json::{json, value::to_raw_value};

use crate::{
    support::{Place, Room, TestDb, register, room_with_members, session, token, user},
    upgrades::upgrade,
};

/// Statements by the database they were run on.
static RUN: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// Notes every statement of one connection.
#[derive(Default)]
struct Recorder {
    url: String,
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => {
                url.clone_into(&mut self.url);
            }
            InstrumentationEvent::StartQuery { query, .. } => {
                let text = query.to_string();
                let sql = text.split(" -- binds").next().unwrap_or_default();
                let mut run = RUN.lock().unwrap();
                run.entry(self.url.clone())
                    .or_default()
                    .insert(sql.to_owned());
            }
            _ => {}
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that diesel asks for")]
fn recorder() -> Option<Box<dyn Instrumentation>> {
    Some(Box::new(Recorder::default()))
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The plan of each statement that was run on `place` since the last call.
fn plans(place: &Place) -> Vec<(String, Vec<String>)> {
    let statements = RUN.lock().unwrap().remove(place.file()).unwrap_or_default();
    let mut conn = place.sqlite();
    statements
        .into_iter()
        .filter(|sql| {
            ["SELECT", "UPDATE", "DELETE"]
                .iter()
                .any(|verb| sql.starts_with(verb))
        })
        .map(|sql| {
            let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"))
                .load(&mut conn)
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            (sql, steps.into_iter().map(|step| step.detail).collect())
        })
        .collect()
}

/// Fails if one of the statements run so far scans, or if none of them uses `index`.
fn assert_uses(place: &Place, question: &str, index: &str) {
    let plans = plans(place);
    let report = format!("{question}: {plans:#?}");
    let steps: Vec<&String> = plans.iter().flat_map(|(_, steps)| steps).collect();
    assert!(steps.iter().all(|step| !step.contains("SCAN")), "{report}");
    assert!(steps.iter().any(|step| step.contains(index)), "{report}");
}

fn watched() -> Place {
    set_default_instrumentation(recorder).unwrap();
    Place::on_sqlite()
}

macro_rules! uses {
    ($db:expr, $index:literal, $question:expr) => {{
        $question.await.unwrap();
        assert_uses(&$db.place, stringify!($question), $index);
    }};
}
use uses;

#[tokio::test]
async fn the_questions_of_unread_counts_go_by_an_index() {
    let db = TestDb::at(watched());
    let (room, users) = room_with_members(&db, &["alice"]).await;
    let (alice, id) = (&users[0], &room.id);
    plans(&db.place);
    uses!(
        db,
        "unread USING PRIMARY KEY (user_id=? AND room_id=?)",
        db.reading(alice, id)
    );
    uses!(
        db,
        "unread USING PRIMARY KEY (user_id=?)",
        db.judged_upto(alice)
    );
    uses!(
        db,
        "USING COVERING INDEX events_by_room (room_id=? AND position<?)",
        db.newest_events(vec![id.clone()], StreamPosition(7))
    );
    uses!(
        db,
        "receipts USING PRIMARY KEY (room_id=? AND user_id=?)",
        db.reading(alice, id)
    );
}

#[expect(clippy::too_many_lines, reason = "a list of questions")]
#[tokio::test]
async fn the_questions_of_sync_go_by_an_index() {
    let db = TestDb::at(watched());
    let (room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let (alice, bob, id) = (&users[0], &users[1], &room.id);
    let (start, end) = (StreamPosition(1), db.watcher.position());
    plans(&db.place);
    for direction in [Direction::Forward, Direction::Backward] {
        uses!(
            db,
            "USING INDEX events_by_room (room_id=? AND position>? AND position<?)",
            db.events_between(id, start, end, direction, 10)
        );
    }
    uses!(
        db,
        "USING INDEX events_by_room (room_id=? AND position>? AND position<?)",
        db.events_in_rooms(std::slice::from_ref(id), start, end, 10)
    );
    uses!(
        db,
        "USING INDEX events_by_room (room_id=? AND position>? AND position<?)",
        db.stretches_by_time(id, 5, Direction::Forward, end)
    );
    uses!(
        db,
        "USING COVERING INDEX events_by_room (room_id=?)",
        db.newest_position(id)
    );
    uses!(
        db,
        "USING COVERING INDEX events_by_room (room_id=?)",
        db.newest_positions(vec![id.clone()])
    );
    uses!(
        db,
        "room_state USING INDEX room_state_by_end (room_id=? AND replaced_at>?)",
        db.state_at(id, end, None)
    );
    let types = || Some(vec!["m.room.create".to_owned(), "m.room.name".to_owned()]);
    uses!(
        db,
        "room_state USING PRIMARY KEY (room_id=? AND event_type=?)",
        db.state_at(id, end, types())
    );
    uses!(
        db,
        "room_state USING PRIMARY KEY (room_id=? AND event_type<?)",
        db.state_without_members_at(id, end)
    );
    let place = || ("m.room.create".to_owned(), String::new());
    uses!(
        db,
        "room_state USING PRIMARY KEY (room_id=? AND event_type=? AND state_key=? AND position<?)",
        db.state_entries_at(id, end, vec![place()])
    );
    uses!(
        db,
        "room_state USING PRIMARY KEY (room_id=? AND event_type=? AND state_key=? AND position<?)",
        db.current_state(id, vec![place()])
    );
    uses!(
        db,
        "room_state USING PRIMARY KEY (room_id=? AND event_type=? AND state_key=?)",
        db.reader_history(id, alice)
    );
    uses!(
        db,
        "USING INDEX room_state_by_start (room_id=? AND position>? AND position<?)",
        db.state_changes(id, start, end)
    );
    let joined = [MembershipState::Join, MembershipState::Invite];
    uses!(
        db,
        "USING INDEX memberships_by_user (user_id=? AND membership=?)",
        db.rooms_of(alice, &joined)
    );
    uses!(
        db,
        "USING INDEX memberships_by_user (user_id=? AND membership=? AND position>? AND position<?)",
        db.left_rooms(alice, start, end)
    );
    uses!(
        db,
        "memberships_by_room (room_id=? AND membership=? AND position<?)",
        db.heroes(id, alice)
    );
    uses!(
        db,
        "memberships_by_room (room_id=? AND membership=?)",
        db.members(id, MembershipState::Join, None)
    );
    uses!(
        db,
        "USING PRIMARY KEY (room_id=? AND user_id=?)",
        db.membership(id, alice)
    );
    uses!(
        db,
        "USING INDEX memberships_by_user (user_id=? AND membership=?)",
        db.removed_rooms(alice, 10)
    );
    uses!(
        db,
        "USING PRIMARY KEY (room_id=? AND user_id=?)",
        db.own_receipts(id, alice)
    );
    uses!(
        db,
        "USING PRIMARY KEY (user_id=? AND room_id=?)",
        db.room_account_data(alice, id)
    );
    uses!(
        db,
        "USING INDEX events_by_room (room_id=?)",
        db.newest_of_types(id, &["m.room.create"], 10)
    );
    uses!(
        db,
        "room_state USING PRIMARY KEY (room_id=? AND event_type=? AND state_key=? AND position<?)",
        db.entries_of_rooms(vec![id.clone()], vec![place()], end)
    );
    uses!(db, "SEARCH", db.share_room(alice, bob));
    uses!(db, "SEARCH", db.mutual_rooms(alice, bob));
    uses!(db, "SEARCH", db.joined_any(alice, std::slice::from_ref(id)));
    uses!(db, "SEARCH", db.member_counts(id));
    uses!(
        db,
        "receipts_by_room (room_id=? AND position>? AND position<?)",
        db.receipts(id, alice, start, end)
    );
    uses!(
        db,
        "account_data_by_user (user_id=? AND position>? AND position<?)",
        db.account_data_changes(alice, start, end)
    );
    uses!(db, "SEARCH", db.room_head(id));
    uses!(db, "SEARCH", db.event(ruma::event_id!("$x")));
    uses!(
        db,
        "SEARCH",
        db.events(vec![
            ruma::event_id!("$x").to_owned(),
            ruma::event_id!("$y").to_owned()
        ])
    );
    uses!(
        db,
        "USING INDEX pushers_by_user (user_id=?)",
        db.pushers_of(alice)
    );
    uses!(
        db,
        "USING COVERING INDEX pushers_by_user (user_id=?)",
        db.members_with_pushers(id)
    );
    db.close().await;
}

#[tokio::test]
async fn the_user_directory_goes_by_its_words() {
    use greenroom_storage::UserDirectoryStore as _;

    let db = TestDb::at(watched());
    let alice = register(&db, "alice").await;
    let (mut room, _) = room_with_members(&db, &["alice", "sam0"]).await;
    let rules = json!({"join_rule": "public"});
    room.set(&db, &alice, "m.room.join_rules", rules).await;
    for number in 0..600 {
        register(&db, &format!("sam{number}")).await;
    }
    plans(&db.place);
    // Little of what was found may be seen, so that every question is asked.
    db.find_users(&alice, "sam s", 10).await.unwrap();
    let found = plans(&db.place);
    let plan = |part: &str| {
        let (sql, steps) = found.iter().find(|(sql, _)| sql.contains(part)).unwrap();
        (sql, steps.join("; "))
    };
    let words = "directory_words USING COVERING INDEX directory_words_by_word (word>? AND word<?)";
    let also = "USING PRIMARY KEY (user_id=? AND word>? AND word<?)";
    for (part, wanted) in [
        ("ORDER BY `directory_words`", vec![words, also]),
        (
            "`user_id` IN",
            vec!["memberships_by_user (user_id=? AND membership=?)"],
        ),
        (
            "`memberships` INNER JOIN `memberships`",
            vec!["memberships_by_user (user_id=? AND membership=?)", also],
        ),
        (
            "`rooms`.`room_id` FROM `rooms` WHERE ((`rooms`.`room_id` > ?)",
            vec!["rooms USING INDEX rooms_open (room_id>?)"],
        ),
        (
            "(`memberships`.`room_id` IN",
            vec!["memberships USING PRIMARY KEY (room_id=?)", also],
        ),
    ] {
        let (sql, steps) = plan(part);
        for index in wanted {
            assert!(steps.contains(index), "{index}: {sql}: {steps}");
        }
        assert!(!steps.contains("SCAN"), "{sql}: {steps}");
    }
    db.close().await;
}

#[tokio::test]
async fn open_reports_go_by_their_index() {
    use greenroom_storage::ReportStore as _;

    let db = TestDb::at(watched());
    plans(&db.place);
    db.reports(true, 10).await.unwrap();
    let found = plans(&db.place);
    // In the order of the index, which holds nothing else.
    assert_eq!(found[0].1, ["SCAN reports USING INDEX reports_open"]);
    uses!(db, "INTEGER PRIMARY KEY (rowid=?)", db.report(1));
    uses!(db, "INTEGER PRIMARY KEY (rowid=?)", db.close_report(1, 1));
    db.close().await;
}

#[tokio::test]
async fn the_questions_of_spaces_go_by_an_index() {
    use greenroom_storage::SpaceStore as _;

    let db = TestDb::at(watched());
    let (mut room, users) = room_with_members(&db, &["alice", "bob"]).await;
    let allow = json!([{"type": "m.room_membership", "room_id": room.id}]);
    let rules = json!({"join_rule": "restricted", "allow": allow});
    room.set(&db, &users[0], "m.room.join_rules", rules).await;
    let (id, end) = (&room.id, db.watcher.position());
    plans(&db.place);
    uses!(
        db,
        "room_state USING PRIMARY KEY (room_id=? AND event_type=?)",
        db.space_children(id, end, 10)
    );
    for index in [
        "rooms USING INDEX sqlite_autoindex_rooms_1 (room_id=?)",
        "room_state USING PRIMARY KEY (room_id=? AND event_type=? AND state_key=?)",
        "memberships USING PRIMARY KEY (room_id=? AND user_id=?)",
    ] {
        let asked = vec![id.clone(), ruma::room_id!("!other").to_owned()];
        db.room_previews(asked, Some(&users[0])).await.unwrap();
        assert_uses(&db.place, "room_previews", index);
    }
    db.close().await;
}

#[tokio::test]
async fn a_page_of_the_directory_goes_by_its_index() {
    let db = TestDb::at(watched());
    let (room, users) = room_with_members(&db, &["alice"]).await;
    db.publish(&room.id, true).await.unwrap();
    plans(&db.place);
    for from in [None, Some((3, room.id.clone()))] {
        for backwards in [false, true] {
            for search_term in [None, Some("x".to_owned())] {
                let query = PublicRoomsQuery {
                    limit: 10,
                    from: from.clone(),
                    backwards,
                    search_term,
                    room_types: None,
                };
                db.public_rooms(query).await.unwrap();
                for (sql, steps) in plans(&db.place) {
                    let report = format!("{sql}: {steps:#?}");
                    let count = sql.contains("COUNT");
                    // The count reads the published rooms, and only those.
                    let wanted = if count {
                        "INDEX rooms_published"
                    } else {
                        "SEARCH rooms USING INDEX rooms_published (joined_members"
                    };
                    assert!(steps.iter().any(|step| step.contains(wanted)), "{report}");
                    assert!(
                        steps.iter().all(|step| !step.contains("TEMP B-TREE")),
                        "{report}"
                    );
                    assert!(
                        count || steps.iter().all(|step| !step.contains("SCAN")),
                        "{report}"
                    );
                }
            }
        }
    }
    let alias = room_alias_id!("#a:test.example");
    db.create_alias(alias, &room.id, &users[0]).await.unwrap();
    db.alias(alias).await.unwrap();
    db.aliases(&room.id).await.unwrap();
    db.delete_alias(alias).await.unwrap();
    db.published(&room.id).await.unwrap();
    assert_uses(&db.place, "aliases", "room_aliases_by_room (room_id=?)");
}

#[tokio::test]
async fn the_writes_and_the_questions_of_accounts_go_by_an_index() {
    let db = TestDb::at(watched());
    let alice = register(&db, "alice").await;
    let (mut room, _) = room_with_members(&db, &["alice", "bob"]).await;
    let bob = user("bob");
    db.create_session(&alice, session("A", 1)).await.unwrap();
    db.create_session(&alice, session("A", 2)).await.unwrap();
    db.session(token(2)).await.unwrap();
    db.refresh(token(102), token(3), None, token(103), 1)
        .await
        .unwrap();
    db.confirm_refresh(token(3)).await.unwrap();
    db.devices(&alice).await.unwrap();
    db.account(&alice).await.unwrap();
    db.profile(&alice).await.unwrap();
    db.set_profile_field(&alice, "displayname", Some("A".into()))
        .await
        .unwrap();
    db.profile_change_done(&alice, 1).await.unwrap();
    let content = || to_raw_value(&json!({})).unwrap();
    let filter = db
        .store_filter(&alice, content(), 9)
        .await
        .unwrap()
        .unwrap();
    db.filter(&alice, &filter).await.unwrap();
    db.set_tag(&alice, &room.id, "u.x", Some(content()))
        .await
        .unwrap();
    db.account_data(&alice, None, "m.direct").await.unwrap();
    let receipt = Receipt {
        user_id: alice.clone(),
        receipt_type: "m.read".to_owned(),
        thread_id: None,
        event_id: ruma::event_id!("$x").to_owned(),
        event_position: StreamPosition(1),
        ts_ms: 1,
    };
    db.set_receipts(&room.id, &alice, vec![receipt], None)
        .await
        .unwrap();
    db.registration_token("x").await.unwrap();
    db.delete_registration_token("x").await.unwrap();
    db.uia_session("s", 1).await.unwrap();
    db.complete_stage("s", "x", None).await.unwrap();
    db.finish("s").await.unwrap();
    room.set(&db, &alice, "m.room.name", json!({ "name": "1" }))
        .await;
    let named = room.event(&alice, "m.room.name", Some(""), json!({ "name": "2" }));
    db.append(named.clone()).await.unwrap();
    let redaction = room.redaction(&alice, &named, &json!({}));
    db.append(redaction).await.unwrap();
    room.set_member(&db, &bob, &bob, MembershipState::Leave)
        .await;
    db.forget(&room.id, &bob).await.unwrap();
    db.local_joined_members(&room.id, ruma::server_name!("test.example"), 5)
        .await
        .unwrap();
    let message = room.message_with(&alice, "1");
    let key = message.transaction.clone().unwrap().0;
    db.append(message).await.unwrap();
    db.event_of_transaction(key).await.unwrap();
    db.room_of_transaction(key).await.unwrap();
    db.room_version(&room.id).await.unwrap();
    db.bans(&room.id).await.unwrap();
    db.carry_labels(&alice, &room.id, &room.id).await.unwrap();
    let mut next = Room::new("next");
    let upgrade = upgrade(&mut room, &mut next, &alice, db.watcher.position());
    db.upgrade_room(upgrade).await.unwrap();
    db.set_password(&alice, "x".to_owned(), true, None)
        .await
        .unwrap();
    db.deactivate(&alice).await.unwrap();
    let own = ["__diesel_schema_migrations", "FROM `server`"];
    for (sql, steps) in plans(&db.place) {
        // Of the sessions under way there are few; they live for minutes.
        let few = sql.contains("DELETE") && sql.contains("`uia_sessions`");
        let passes = few || own.iter().any(|table| sql.contains(table));
        let scans = steps.iter().any(|step| step.contains("SCAN"));
        assert!(passes || !scans, "{sql}: {steps:#?}");
    }
}

#[tokio::test]
async fn the_writes_of_pushers_go_by_an_index() {
    let db = TestDb::at(watched());
    let alice = register(&db, "alice").await;
    db.create_session(&alice, session("A", 1)).await.unwrap();
    plans(&db.place);
    let id = PusherId {
        user_id: alice.clone(),
        app_id: "app".to_owned(),
        pushkey: "key".to_owned(),
    };
    let pusher = Pusher {
        id: id.clone(),
        device_id: "A".into(),
        app_display_name: String::new(),
        device_display_name: String::new(),
        profile_tag: None,
        lang: String::new(),
        data: to_raw_value(&json!({})).unwrap(),
        set_ts_ms: 1,
    };
    db.set_pusher(pusher, StreamPosition(1), false, 9)
        .await
        .unwrap();
    db.note_progress(vec![(id.clone(), PusherProgress::default())])
        .await
        .unwrap();
    db.delete_pusher(&id, None).await.unwrap();
    db.delete_device(&alice, "A".into()).await.unwrap();
    assert_uses(&db.place, "pushers", "pushers_by_user (user_id=?)");
}

#[tokio::test]
async fn who_was_online_is_read_whole_and_written_by_an_index() {
    let db = TestDb::at(watched());
    let changes = vec![(user("alice"), true), (user("bob"), false)];
    db.set_online(changes).await.unwrap();
    db.online_users().await.unwrap();
    let of_presence = |sql: &str| sql.contains("online_users");
    let mut plans = plans(&db.place);
    plans.retain(|(sql, _)| of_presence(sql));
    assert!(!plans.is_empty());
    for (sql, steps) in plans {
        // Asked once, at the start, and all of them are wanted.
        let whole = sql.starts_with("SELECT");
        let scans = steps.iter().any(|step| step.contains("SCAN"));
        assert_eq!(scans, whole, "{sql}: {steps:#?}");
    }
}

/// Else every statement with a bound `LIMIT` is parsed and planned anew each time it runs; see
/// `.cargo/config.toml`.
#[test]
fn plans_do_not_depend_on_what_is_bound() {
    #[derive(QueryableByName)]
    struct CompileOption {
        #[diesel(sql_type = Text)]
        compile_options: String,
    }
    let options: Vec<CompileOption> = diesel::sql_query("PRAGMA compile_options")
        .load(&mut Place::on_sqlite().sqlite())
        .unwrap();
    let mut options = options.iter().map(|it| it.compile_options.as_str());
    assert!(options.any(|option| option == "ENABLE_QPSG"));
}

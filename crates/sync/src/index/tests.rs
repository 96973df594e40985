use greenroom_model::StoredEvent;
use greenroom_stream::{Change, ChangeKind, ChangeObserver, MembershipChange};
use ruma::{room_id, user_id};
use tokio::sync::watch;

use super::*;
use crate::{
    sliding::Connections,
    testing::{Script, event, row},
};

struct Setup {
    index: Arc<Index>,
    script: Arc<Script>,
    stream: ChangeStream,
}

/// Runs a test where the hub can live.
fn in_system(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}

fn setup() -> Setup {
    let script = Arc::new(Script::default());
    let stream = ChangeStream::new();
    // The sender may go: nobody waits here.
    let hub = HubHandle::start(2, watch::channel(false).1);
    let members: Arc<dyn MemberStore> = Arc::clone(&script) as _;
    let timeline: Arc<dyn TimelineStore> = Arc::clone(&script) as _;
    let index = Index::new(members, timeline, stream.clone(), hub);
    let index = Arc::new(index);
    let observer = IndexObserver::new(Arc::clone(&index), Arc::new(Connections::new(1)));
    stream.observe(vec![Arc::new(observer) as Arc<dyn ChangeObserver>]);
    Setup {
        index,
        script,
        stream,
    }
}

fn room() -> &'static RoomId {
    room_id!("!room:localhost")
}

fn bob() -> &'static UserId {
    user_id!("@bob:localhost")
}

fn message(position: i64) -> Change {
    Change {
        position: StreamPosition(position),
        kind: ChangeKind::Event {
            event: event(room(), position, 10),
            membership: None,
        },
    }
}

fn member(position: i64, membership: MembershipState) -> Change {
    let event = StoredEvent::clone(&event(room(), position, 10));
    Change {
        position: StreamPosition(position),
        kind: ChangeKind::Event {
            membership: Some(MembershipChange {
                event_id: event.event_id.clone(),
                user_id: bob().to_owned(),
                previous: None,
                membership,
            }),
            event: Arc::new(event),
        },
    }
}

fn announce(stream: &ChangeStream, change: Change) {
    let position = change.position;
    stream.announce(position, &[change]);
    stream.wake(position);
}

/// `membership position` of every room that the index has of a user.
fn standings(user: &User) -> Vec<String> {
    let mut found = Vec::new();
    user.each_room(|_, standing| {
        found.push(format!("{} {}", standing.membership, standing.position));
    });
    found
}

fn positions(room: &Room, after: i64, upto: i64) -> Option<Vec<i64>> {
    let events = room.events_between(StreamPosition(after), StreamPosition(upto))?;
    Some(events.iter().map(|tail| tail.event.position.0).collect())
}

#[test]
fn an_event_that_comes_between_reading_a_room_and_knowing_it_is_not_missed() {
    in_system(async {
        let Setup {
            index,
            script,
            stream,
        } = setup();
        announce(&stream, message(10));
        *script.rooms.lock() = vec![row(room(), MembershipState::Join, 3)];
        *script.newest.lock() = vec![(room().to_owned(), StreamPosition(10))];
        let meanwhile = stream.clone();
        *script.after_newest.lock() = Some(Box::new(move || announce(&meanwhile, message(11))));
        let user = index.user(bob()).await.unwrap();
        let rooms = user.joined_rooms();
        assert_eq!(rooms[0].newest_event(), StreamPosition(11));
        announce(&stream, message(12));
        assert_eq!(positions(&rooms[0], 10, 12), Some(vec![11, 12]));
        assert_eq!(positions(&rooms[0], 9, 12), None, "the database knows");
        assert_eq!(rooms[0].listeners().len(), 1);
    });
}

#[test]
fn who_leaves_while_they_are_read_is_not_taken_for_a_member() {
    in_system(async {
        let Setup {
            index,
            script,
            stream,
        } = setup();
        announce(&stream, message(10));
        *script.rooms.lock() = vec![row(room(), MembershipState::Join, 3)];
        *script.newest.lock() = vec![(room().to_owned(), StreamPosition(10))];
        let meanwhile = stream.clone();
        *script.after_rooms.lock() = Some(Box::new(move || {
            announce(&meanwhile, member(11, MembershipState::Leave));
        }));
        let user = index.user(bob()).await.unwrap();
        assert!(standings(&user).is_empty());
        assert_eq!(user.newest_membership(), StreamPosition(11));
        assert!(index.rooms.is_empty(), "nobody is left to listen");
    });
}

#[test]
fn who_joins_while_they_are_read_is_a_member() {
    in_system(async {
        let Setup {
            index,
            script,
            stream,
        } = setup();
        let meanwhile = stream.clone();
        *script.after_rooms.lock() = Some(Box::new(move || {
            announce(&meanwhile, member(11, MembershipState::Join));
            announce(&meanwhile, message(12));
        }));
        let user = index.user(bob()).await.unwrap();
        assert_eq!(standings(&user), ["join 11"]);
        assert_eq!(
            positions(&user.joined_rooms()[0], 10, 12),
            Some(vec![11, 12])
        );
    });
}

#[test]
fn a_leaving_that_is_committed_but_not_announced_is_ahead_of_what_readers_may_see() {
    in_system(async {
        let Setup {
            index,
            script,
            stream,
        } = setup();
        announce(&stream, message(10));
        *script.left.lock() = vec![
            row(room(), MembershipState::Leave, 5),
            row(room(), MembershipState::Leave, 11),
        ];
        let user = index.user(bob()).await.unwrap();
        assert_eq!(user.newest_membership(), StreamPosition(11));
        assert!(user.newest_membership() > stream.position());
    });
}

#[test]
fn a_new_name_leaves_the_time_of_the_join_and_coming_back_does_not() {
    in_system(async {
        let Setup { index, stream, .. } = setup();
        let user = index.user(bob()).await.unwrap();
        let since = |user: &User| {
            let mut since = 0;
            user.each_room(|_, standing| since = standing.joined_since.0);
            since
        };
        announce(&stream, member(1, MembershipState::Join));
        announce(&stream, member(2, MembershipState::Join));
        assert_eq!(since(&user), 1);
        announce(&stream, member(3, MembershipState::Leave));
        assert!(standings(&user).is_empty());
        announce(&stream, member(4, MembershipState::Join));
        assert_eq!(since(&user), 4);
    });
}

#[test]
fn who_came_back_to_memory_goes_on_listening_when_their_old_self_goes() {
    in_system(async {
        let Setup { index, stream, .. } = setup();
        let old = index.user(bob()).await.unwrap();
        announce(&stream, member(1, MembershipState::Join));
        index.users.remove(bob());
        let new = User::new(bob());
        let room = index.listen(room(), &new);
        index.unlisten(&room.room_id, &old);
        assert_eq!(room.listeners().len(), 1);
        index.unlisten(&room.room_id, &new);
        assert!(index.rooms.is_empty());
    });
}

#[test]
fn a_change_of_presence_is_counted_when_everyone_knows_of_it() {
    in_system(async {
        let Setup { index, stream, .. } = setup();
        let alice = index.user(user_id!("@alice:localhost")).await.unwrap();
        let joined = Standing {
            membership: MembershipState::Join,
            position: StreamPosition(1),
            joined_since: StreamPosition(1),
            sender: alice.user_id.clone(),
            room: Some(index.listen(room(), &alice)),
        };
        alice.set_standing(room().to_owned(), joined);
        let bob = index.user(bob()).await.unwrap();
        announce(&stream, member(1, MembershipState::Join));
        let changed = |after| index.presence_after(&alice, after);
        assert_eq!(changed(0), Some(Vec::new()));
        index.note_presence(&bob.user_id);
        assert_eq!(index.presence_told(), 1);
        assert_eq!(changed(0), Some(vec![(bob.user_id.clone(), 1)]));
        assert_eq!(changed(1), Some(Vec::new()));
        index.note_presence(&bob.user_id);
        assert_eq!(changed(0), Some(vec![(bob.user_id.clone(), 2)]), "once");
        // What is not yet told when they part is not told later.
        announce(&stream, member(2, MembershipState::Leave));
        assert_eq!(changed(0), Some(Vec::new()));
        assert_eq!(
            index.presence_after(&bob, 1),
            Some(vec![(bob.user_id.clone(), 2)])
        );
        // Who is read later knows nothing of what was before.
        let carol = index.user(user_id!("@carol:localhost")).await.unwrap();
        assert_eq!(index.presence_after(&carol, 1), None);
        assert_eq!(index.presence_after(&carol, 2), Some(Vec::new()));
    });
}

#[test]
fn a_room_that_is_only_peeked_into_is_forgotten_with_the_last_peek() {
    in_system(async {
        let Setup { index, .. } = setup();
        let user = index.user(bob()).await.unwrap();
        let first = index.peek(room(), &user);
        let second = index.peek(room(), &user);
        drop(first);
        let known = index.rooms.get(room()).map(|room| Arc::clone(&room));
        let known = known.unwrap();
        assert_eq!(known.audience().len(), 1);
        assert!(known.listeners().is_empty(), "a peeker is no member");
        drop(second);
        assert!(index.rooms.is_empty());
    });
}

#[test]
fn a_tail_knows_nothing_before_it_begins_and_says_so() {
    let room = Room::new(room());
    assert_eq!(positions(&room, 0, 100), None);
    room.push(&event(&room.room_id, 7, 10));
    assert_eq!(positions(&room, 6, 100), Some(vec![7]));
    assert_eq!(positions(&room, 5, 100), None);
    // What the database says of the newest event does not move a tail that has begun.
    room.loaded(StreamPosition(9), StreamPosition(9));
    assert_eq!(positions(&room, 6, 6), Some(Vec::new()));
    assert_eq!(room.newest_event(), StreamPosition(9));
}

#[test]
fn a_tail_is_bounded_in_events_and_in_bytes() {
    let many = Room::new(room());
    many.loaded(StreamPosition(0), StreamPosition(0));
    for position in 1..=100 {
        many.push(&event(&many.room_id, position, 10));
    }
    assert_eq!(positions(&many, 59, 100), None);
    let kept = positions(&many, 60, 100).unwrap();
    assert_eq!(kept, (61..=100).collect::<Vec<i64>>());
    let large = Room::new(room());
    for position in 1..=10 {
        large.push(&event(&large.room_id, position, 30_000));
    }
    assert_eq!(positions(&large, 8, 10), Some(vec![9, 10]));
    assert_eq!(positions(&large, 7, 10), None);
}

#[test]
fn an_emptied_event_takes_the_place_of_the_full_one() {
    let room = Room::new(room());
    for position in 1..=3 {
        room.push(&event(&room.room_id, position, 50));
    }
    room.replace(&event(&room.room_id, 2, 0));
    let events = room
        .events_between(StreamPosition(0), StreamPosition(9))
        .unwrap();
    let lengths: Vec<bool> = events.iter().map(|e| e.event.json.len() > 50).collect();
    assert_eq!(lengths, [true, false, true]);
}

#[test]
fn a55_what_may_have_missed_a_change_is_read_again() {
    in_system(async {
        let Setup {
            index,
            script,
            stream,
        } = setup();
        *script.rooms.lock() = vec![row(room(), MembershipState::Join, 3)];
        *script.newest.lock() = vec![(room().to_owned(), StreamPosition(9))];
        let old = index.user(bob()).await.unwrap();
        assert!(!old.is_forgotten());
        IndexObserver::new(Arc::clone(&index), Arc::new(Connections::new(1))).forget();
        assert!(old.is_forgotten());
        // The event at 10 was committed and missed.
        *script.newest.lock() = vec![(room().to_owned(), StreamPosition(10))];
        stream.announce(StreamPosition(10), &[]);
        let new = index.user(bob()).await.unwrap();
        assert!(!new.is_forgotten());
        let [room] = &*new.joined_rooms() else {
            panic!("one room");
        };
        assert_eq!(room.newest_event(), StreamPosition(10));
        announce(&stream, message(11));
        assert_eq!(room.newest_event(), StreamPosition(11));
    });
}

fn message_in(room_id: &RoomId, position: i64) -> Change {
    Change {
        position: StreamPosition(position),
        kind: ChangeKind::Event {
            event: event(room_id, position, 10),
            membership: None,
        },
    }
}

#[test]
fn the_order_after_few_events_is_that_of_all_rooms() {
    in_system(async {
        let Setup {
            index,
            script,
            stream,
        } = setup();
        let ids: Vec<_> = (0..40)
            .map(|n| RoomId::parse(format!("!{n}:localhost")).unwrap())
            .collect();
        announce(&stream, message(100));
        let rows = ids.iter().zip(1..);
        *script.rooms.lock() = rows
            .map(|(id, at)| row(id, MembershipState::Join, at))
            .collect();
        *script.newest.lock() = ids.iter().cloned().zip((1..).map(StreamPosition)).collect();
        let user = index.user(bob()).await.unwrap();
        let mut position = 100;
        for step in 0..200_usize {
            for turn in 0..step % 5 {
                position += 1;
                let id = &ids[(step * 7 + turn * turn * 3) % ids.len()];
                announce(&stream, message_in(id, position));
            }
            let mut expected = user.joined_rooms();
            expected.sort_by_key(|room| std::cmp::Reverse(room.newest_event()));
            let upto = StreamPosition(position);
            let rooms = user.sliding.rooms(&user, &index.moves, upto, true).unwrap();
            let rooms = rooms.in_order.iter().map(|it| &it.room_id);
            let expected = expected.iter().map(|room| &room.room_id);
            assert!(rooms.eq(expected), "step {step}");
        }
    });
}

#[test]
fn what_is_kept_of_a_room_is_not_told_at_a_position_before_it() {
    let room = Room::new(room());
    let at = StreamPosition;
    room.loaded(at(5), at(5));
    assert_eq!(
        room.edition_at(at(4)),
        None,
        "what was so then is not known"
    );
    let edition = room.edition_at(at(5));
    let named = |name: &str| {
        Arc::new(Identity {
            name: Some(name.to_owned()),
            ..Identity::default()
        })
    };
    room.keep_identity(edition, at(5), &named("first"));
    let mut state = StoredEvent::clone(&event(&room.room_id, 7, 10));
    state.state_key = Some(String::new());
    room.push(&Arc::new(state));
    // Announced and not yet to be seen: who reads up to 6 is not told of it, nor keeps what they
    // read for others.
    assert_eq!(room.edition_at(at(6)), None);
    assert_eq!(room.identity_at(at(7)), None);
    let after = room.edition_at(at(7));
    assert!(after.is_some() && after != edition);
    room.keep_identity(after, at(7), &named("second"));
    room.keep_identity(None, at(6), &named("first"));
    assert_eq!(room.identity_at(at(6)), None);
    assert_eq!(room.identity_at(at(7)), Some(named("second")));
    assert_eq!(room.last_identity(), Some(named("second")));
}

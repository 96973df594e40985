use greenroom_model::{StoredEvent, StreamPosition};
use ruma::{
    events::room::{history_visibility::HistoryVisibility, member::MembershipState},
    user_id,
};
use serde_json::json;

use crate::{
    VisibilityHistory,
    tests::{built, draft, message, stored, version},
    visibility::may_see,
};

const BOB: &str = "@bob:localhost";
const ALL: [&str; 4] = ["world_readable", "shared", "invited", "joined"];

fn event(position: i64) -> StoredEvent {
    stored(&built(message("hi"), &version(12)), position)
}

fn visibility(position: i64, value: &str) -> StoredEvent {
    let content = json!({ "history_visibility": value });
    stored(
        &built(
            draft("m.room.history_visibility", Some(""), &content),
            &version(12),
        ),
        position,
    )
}

fn member(position: i64, membership: &str) -> StoredEvent {
    let content = json!({ "membership": membership });
    stored(
        &built(draft("m.room.member", Some(BOB), &content), &version(12)),
        position,
    )
}

fn members(steps: &[(i64, &str)]) -> Vec<StoredEvent> {
    steps
        .iter()
        .map(|(position, membership)| member(*position, membership))
        .collect()
}

fn history(visibilities: &[StoredEvent], memberships: &[StoredEvent]) -> VisibilityHistory {
    VisibilityHistory::new(user_id!("@bob:localhost"), visibilities, memberships)
}

#[test]
fn the_rule_is_the_specification_s_table() {
    use {HistoryVisibility as V, MembershipState as M};
    let odd = V::from("org.example.odd");
    for membership in [M::Join, M::Invite, M::Leave, M::Ban, M::Knock] {
        for later in [false, true] {
            let joined = membership == M::Join;
            let invited = membership == M::Invite;
            for (visibility, expected) in [
                (&V::WorldReadable, true),
                (&V::Shared, joined || later),
                (&V::Invited, joined || invited),
                (&V::Joined, joined),
                (&odd, joined || later),
            ] {
                assert_eq!(
                    may_see(visibility, &membership, later),
                    expected,
                    "{visibility} {membership} {later}"
                );
            }
        }
    }
}

type Course = &'static [(i64, &'static str)];

/// For each course of Bob's membership: which of the events at 5, 15, 25, ... he may see under
/// `world_readable`, `shared`, `invited` and `joined`, one letter per event.
const COURSES: &[(&str, Course, [&str; 4])] = &[
    ("never", &[], ["yyyyy", "-----", "-----", "-----"]),
    (
        "invited",
        &[(10, "invite")],
        ["yyyyy", "-----", "-----", "-----"],
    ),
    (
        "invite rejected",
        &[(10, "invite"), (20, "leave")],
        ["yyyyy", "-----", "-----", "-----"],
    ),
    (
        "knocked",
        &[(10, "knock")],
        ["yyyyy", "-----", "-----", "-----"],
    ),
    (
        "joined late",
        &[(30, "join")],
        ["yyyyy", "yyyyy", "---yy", "---yy"],
    ),
    (
        "invited, joined",
        &[(10, "invite"), (30, "join")],
        ["yyyyy", "yyyyy", "-yyyy", "---yy"],
    ),
    (
        "knocked, invited, joined",
        &[(10, "knock"), (20, "invite"), (30, "join")],
        ["yyyyy", "yyyyy", "--yyy", "---yy"],
    ),
    (
        "left",
        &[(10, "join"), (30, "leave")],
        ["yyyyy", "yyy--", "-yy--", "-yy--"],
    ),
    (
        "banned",
        &[(10, "join"), (30, "ban")],
        ["yyyyy", "yyy--", "-yy--", "-yy--"],
    ),
    (
        "banned, never joined",
        &[(10, "ban")],
        ["yyyyy", "-----", "-----", "-----"],
    ),
    (
        "banned, unbanned",
        &[(10, "join"), (20, "ban"), (30, "leave")],
        ["yyyyy", "yy---", "-y---", "-y---"],
    ),
    (
        "joined again",
        &[(10, "join"), (20, "leave"), (40, "join")],
        ["yyyyy", "yyyyy", "-y--y", "-y--y"],
    ),
    (
        "invited again, not joined",
        &[(10, "join"), (20, "leave"), (30, "invite")],
        ["yyyyy", "yy---", "-y-yy", "-y---"],
    ),
    (
        "renamed",
        &[(10, "join"), (20, "join"), (30, "leave")],
        ["yyyyy", "yyy--", "-yy--", "-yy--"],
    ),
];

#[test]
fn b27_messages_are_seen_as_membership_went() {
    for (name, course, expected) in COURSES {
        for (value, expected) in ALL.iter().zip(expected) {
            let history = history(&[visibility(1, value)], &members(course));
            let letter = |at: i64| {
                if history.allows(&event(at * 10 + 5)) {
                    'y'
                } else {
                    '-'
                }
            };
            let seen: String = (0..5).map(letter).collect();
            assert_eq!(&seen, expected, "{name} under {value}");
        }
    }
}

#[test]
fn b27_what_was_set_when_an_event_was_sent_counts() {
    let changes = [
        visibility(1, "joined"),
        visibility(10, "world_readable"),
        visibility(20, "joined"),
    ];
    let stranger = history(&changes, &[]);
    assert_eq!(
        [5, 15, 25].map(|at| stranger.allows(&event(at))),
        [false, true, false]
    );

    let changes = [
        visibility(1, "joined"),
        visibility(10, "shared"),
        visibility(20, "invited"),
    ];
    let late = history(&changes, &members(&[(15, "invite"), (30, "join")]));
    let seen = [5, 12, 17, 25, 35].map(|at| late.allows(&event(at)));
    assert_eq!(seen, [false, true, true, true, true]);
}

#[test]
fn without_a_setting_or_with_an_odd_one_history_is_shared() {
    for settings in [vec![], vec![visibility(1, "org.example.odd")]] {
        assert!(history(&settings, &members(&[(10, "join")])).allows(&event(5)));
        assert!(!history(&settings, &[]).allows(&event(5)));
    }
    let broken = stored(
        &built(
            draft(
                "m.room.history_visibility",
                Some(""),
                &json!({ "history_visibility": 1 }),
            ),
            &version(12),
        ),
        1,
    );
    assert!(history(&[broken], &members(&[(10, "join")])).allows(&event(5)));
}

/// Every change of visibility, both ways, by somebody who never joined.
#[test]
fn b27_a_change_of_visibility_is_seen_under_the_old_or_the_new_one() {
    for before in ALL {
        for after in ALL {
            let changes = [visibility(1, before), visibility(10, after)];
            let either = before == "world_readable" || after == "world_readable";
            assert_eq!(
                history(&changes, &[]).allows(&changes[1]),
                either,
                "{before} to {after}"
            );

            let invited = history(&changes, &members(&[(5, "invite")]));
            assert_eq!(
                invited.allows(&changes[1]),
                either,
                "{before} to {after}, invited"
            );

            let accepted = history(&changes, &members(&[(5, "invite"), (20, "join")]));
            let either = before != "joined" || after != "joined";
            assert_eq!(
                accepted.allows(&changes[1]),
                either,
                "{before} to {after}, invited and joined later"
            );

            let late = history(&changes, &members(&[(20, "join")]));
            let either = [before, after]
                .iter()
                .any(|it| ["world_readable", "shared"].contains(it));
            assert_eq!(
                late.allows(&changes[1]),
                either,
                "{before} to {after}, joined later"
            );

            let joined = history(&changes, &members(&[(5, "join")]));
            assert!(joined.allows(&changes[1]));
        }
    }
    // An event of that type elsewhere in the state changes nothing and is judged like others.
    let content = json!({ "history_visibility": "world_readable" });
    let elsewhere = stored(
        &built(
            draft("m.room.history_visibility", Some("x"), &content),
            &version(12),
        ),
        10,
    );
    assert!(!history(&[visibility(1, "joined")], &[]).allows(&elsewhere));
}

/// Every change of the reader's own membership, under every visibility.
#[test]
fn b27_own_member_events_are_seen_by_membership_before_or_after() {
    for value in ALL {
        for before in ["invite", "join", "leave", "ban", "knock"] {
            for after in ["invite", "join", "leave", "ban", "knock"] {
                let steps = members(&[(2, "join"), (3, "leave"), (10, before), (20, after)]);
                let seen = history(&[visibility(1, value)], &steps).allows(&steps[3]);
                let either = |membership| before == membership || after == membership;
                let expected = value == "world_readable"
                    || either("join")
                    || (value == "invited" && either("invite"));
                assert_eq!(seen, expected, "{value}: {before} to {after}");
            }
        }
        let first = members(&[(10, "join")]);
        assert!(
            history(&[visibility(1, value)], &first).allows(&first[0]),
            "{value}: the join"
        );
    }
    // Somebody else's member event is judged like any other event.
    let content = json!({ "membership": "leave" });
    let alice = stored(
        &built(
            draft("m.room.member", Some("@alice:localhost"), &content),
            &version(12),
        ),
        30,
    );
    let left = history(
        &[visibility(1, "shared")],
        &members(&[(10, "join"), (20, "leave")]),
    );
    assert!(!left.allows(&alice));
}

#[test]
fn b28_after_leaving_later_events_stay_unseen() {
    let left = history(
        &[visibility(1, "shared")],
        &members(&[(10, "join"), (20, "leave")]),
    );
    let name = |at| {
        stored(
            &built(
                draft("m.room.name", Some(""), &json!({ "name": "n" })),
                &version(12),
            ),
            at,
        )
    };
    assert!(left.allows(&name(15)));
    assert!(!left.allows(&name(25)));
    assert!(left.allows(&member(20, "leave")), "the leaving itself");
}

#[test]
fn a_history_tells_membership_and_visibility_at_any_position() {
    use greenroom_model::StreamPosition as At;
    // Handed over in any order.
    let history = history(
        &[visibility(30, "joined"), visibility(1, "shared")],
        &members(&[(20, "leave"), (10, "join")]),
    );
    assert_eq!(*history.membership_at(At(9)), MembershipState::Leave);
    assert_eq!(*history.membership_at(At(10)), MembershipState::Join);
    assert_eq!(*history.membership_at(At(19)), MembershipState::Join);
    assert_eq!(*history.membership_at(At(99)), MembershipState::Leave);
    assert_eq!(*history.visibility_at(At(29)), HistoryVisibility::Shared);
    assert_eq!(*history.visibility_at(At(30)), HistoryVisibility::Joined);
}

#[test]
fn a_history_tells_where_its_reader_was_last_joined() {
    let steps = members(&[
        (2, "invite"),
        (3, "join"),
        (4, "join"),
        (6, "leave"),
        (8, "invite"),
        (9, "leave"),
        (12, "join"),
    ]);
    let history = history(&[], &steps);
    let departed = |upto| {
        let departed = history.departed_by(StreamPosition(upto));
        departed.map(|position| position.0)
    };
    assert_eq!(departed(1), None);
    assert_eq!(departed(5), None, "joined");
    for upto in [6, 7, 8, 9, 11] {
        assert_eq!(departed(upto), Some(6), "declining is not leaving: {upto}");
    }
    assert_eq!(departed(12), None, "joined again");
    assert!(!history.has_joined_by(StreamPosition(2)));
    assert!(history.has_joined_by(StreamPosition(3)));
    assert!(history.has_joined_by(StreamPosition(9)));
}

#[test]
fn one_event_may_be_seen_whatever_the_rules_say() {
    let steps = members(&[(2, "invite"), (5, "leave")]);
    let history = history(&[visibility(1, "joined")], &steps);
    let leaving = member(5, "leave");
    assert!(!history.allows(&leaving));
    let history = history.and_event_at(StreamPosition(5));
    assert!(history.allows(&leaving));
    assert!(!history.allows(&event(4)));
    assert!(!history.allows(&event(6)));
}

#[test]
fn from_outside_one_sees_what_is_open_to_all() {
    let steps = members(&[(10, "join"), (20, "leave")]);
    let visibilities = [
        visibility(1, "shared"),
        visibility(30, "world_readable"),
        visibility(40, "joined"),
    ];
    let history = history(&visibilities, &steps).from_outside();
    for (at, seen) in [
        (5, false),
        (15, false),
        (25, false),
        (35, true),
        (45, false),
    ] {
        assert_eq!(history.allows(&event(at)), seen, "{at}");
    }
    assert!(!history.allows(&member(20, "leave")));
    // The membership is told as it was all the same.
    let membership = history.membership_at(StreamPosition(15));
    assert_eq!(*membership, MembershipState::Join);
}

#[test]
fn all_that_is_seen_lies_in_the_stretches() {
    let visibilities = [
        visibility(5, "joined"),
        visibility(25, "world_readable"),
        visibility(45, "shared"),
        visibility(65, "invited"),
    ];
    let courses: [&[(i64, &str)]; 4] = [
        &[],
        &[(10, "invite"), (30, "leave")],
        &[
            (1, "join"),
            (8, "leave"),
            (70, "invite"),
            (75, "join"),
            (80, "ban"),
        ],
        &[(10, "join"), (11, "join"), (12, "join")],
    ];
    for course in courses {
        let history = history(&visibilities, &members(course));
        for history in [history.clone(), history.from_outside()] {
            let stretches = history.stretches();
            let apart = |pair: &[(StreamPosition, StreamPosition)]| pair[0].1 < pair[1].0;
            assert!(stretches.windows(2).all(apart), "{stretches:?}");
            for at in 1..100 {
                let inside = stretches
                    .iter()
                    .any(|(after, upto)| at > after.0 && at <= upto.0);
                let seen = history.allows(&event(at));
                assert!(inside || !seen, "{course:?}: {at} is seen");
                let changes = course.iter().any(|(change, _)| *change == at)
                    || visibilities.iter().any(|event| event.position.0 == at);
                assert!(!inside || seen || changes, "{course:?}: {at} is not seen");
                for limit in [60, 1_000] {
                    let open = history.open_stretches(StreamPosition(limit));
                    let mut open = open.iter();
                    let open = open.any(|(after, upto)| at > after.0 && at <= upto.0);
                    assert_eq!(open, seen && at <= limit, "{course:?}: {at} of {limit}");
                }
            }
        }
    }
}

//! Rule 5: who may be what in a room.

use ruma::signatures::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;
use crate::tests::object;

fn join(user: &'static str) -> Try {
    member(user, user, "join")
}

#[test]
fn rule_5_1_a_member_event_has_a_state_key_and_a_membership() {
    let allowed = join(IDA);
    let nobody = Try {
        state_key: None,
        ..allowed.clone()
    };
    let nothing = Try {
        content: json!({}),
        ..allowed.clone()
    };
    rule("5.1", 1..=12, &allowed, [nobody, nothing]);
}

#[test]
fn rule_5_3_1_the_creator_joins_first() {
    let allowed = Try {
        first: true,
        ..join(ALICE)
    };
    let second = Try {
        first: false,
        ..allowed.clone()
    };
    let second = second
        .without("m.room.member", ALICE)
        .without("m.room.join_rules", "");
    rule(
        "5.3.1",
        1..=12,
        &allowed,
        [
            allowed.clone().by(BOB).about(BOB),
            allowed.clone().about(BOB),
            second,
        ],
    );
}

#[test]
fn rule_5_3_2_nobody_joins_for_another() {
    let allowed = join(STRANGER).joining_by("public");
    rule("5.3.2", 1..=12, &allowed, [allowed.clone().by(ALICE)]);
}

#[test]
fn rule_5_3_3_who_is_banned_does_not_join() {
    let allowed = join(LEA).joining_by("public");
    let banned = allowed.clone().member_is(LEA, "ban");
    rule("5.3.3", 1..=12, &allowed, [banned]);
}

#[test]
fn rule_5_3_4_an_invited_room_is_for_the_invited() {
    for user in [IDA, CAROL] {
        let allowed = join(user).joining_by("invite");
        let others = ["leave", "knock", "ban"].map(|it| allowed.clone().member_is(user, it));
        rule("5.3.4", 1..=12, &allowed, others);
        let unknown = allowed.clone().without("m.room.member", user);
        rule("5.3.4", 1..=12, &allowed, [unknown]);
        let knocking = join(user).joining_by("knock");
        let others = ["leave", "knock", "ban"].map(|it| knocking.clone().member_is(user, it));
        rule("5.3.4", 7..=12, &knocking, others);
        // A rule that is not known lets nobody in.
        rejects("5.3.7", 1..=6, [knocking]);
    }
}

#[test]
fn rule_5_3_5_a_restricted_room_is_for_those_whom_a_member_vouches_for() {
    const VOUCHER: &str = "join_authorised_via_users_server";
    for (join_rule, versions) in [("restricted", 8..=12), ("knock_restricted", 10..=12)] {
        let invited = join(IDA).joining_by(join_rule);
        let vouched = join(STRANGER)
            .joining_by(join_rule)
            .saying(VOUCHER, json!(DAN));
        let on_their_own = join(STRANGER).joining_by(join_rule);
        let others = [
            on_their_own,
            vouched.clone().saying(VOUCHER, json!(CAROL)),
            vouched.clone().level(&["invite"], json!(31)),
            vouched.clone().member_is(DAN, "leave"),
            vouched.clone().member_is(DAN, "ban"),
            vouched.clone().without("m.room.member", DAN),
            vouched.clone().saying(VOUCHER, json!("nobody")),
            vouched.clone().member_is(STRANGER, "ban"),
        ];
        let before = 1..*versions.start();
        rule("5.3.5.1", versions.clone(), &invited, []);
        rule(
            "5.3.5.2",
            versions.clone(),
            &join(CAROL).joining_by(join_rule),
            [],
        );
        rule("5.3.5.2", versions, &vouched, others);
        rejects("5.3.7", before, [invited, vouched]);
    }
}

#[test]
fn rule_5_3_6_and_5_3_7_a_public_room_is_open_and_an_unknown_rule_shuts() {
    let allowed = join(STRANGER).joining_by("public");
    rule("5.3.6", 1..=12, &allowed, []);
    let closed = ["private", "org.example.mine", ""];
    for user in [STRANGER, IDA, LEA] {
        let others = closed.map(|join_rule| join(user).joining_by(join_rule));
        rejects("5.3.7", 1..=12, others);
    }
    let none = allowed.without("m.room.join_rules", "");
    rejects("5.3.7", 1..=12, [none]);
}

#[test]
fn rule_5_4_invites() {
    let allowed = member(DAN, STRANGER, "invite");
    let others = ["leave", "invite", "ban", "knock"];
    let others = others.map(|it| allowed.clone().member_is(DAN, it));
    rule("5.4.2", 1..=12, &allowed, others);
    let others = [CAROL, BEN].map(|target| allowed.clone().about(target));
    rule("5.4.3", 1..=12, &allowed, others);
    for target in [IDA, LEA, KIM] {
        rule("5.4.4", 1..=12, &allowed.clone().about(target), []);
    }
    let others = [
        allowed.clone().by(CAROL),
        allowed.clone().level(&["invite"], json!(31)),
        allowed.clone().level(&["users", DAN], json!(29)),
    ];
    rule("5.4.5", 1..=12, &allowed, others);
}

/// An identity server's answer, signed.
fn signed(mxid: &str, token: &str, key: &Ed25519KeyPair) -> Value {
    let signed = json!({ "mxid": mxid, "token": token });
    let text = serde_json::to_string(&object(&signed)).unwrap();
    let mut signed = signed;
    let signature = key.sign(text.as_bytes()).base64();
    signed["signatures"] = json!({ "id.example": { "ed25519:1": signature } });
    signed
}

#[test]
fn rule_5_4_1_an_invite_by_way_of_an_address() {
    let [key, other_key] = [(); 2].map(|()| {
        let document = Ed25519KeyPair::generate();
        Ed25519KeyPair::from_der(&document, "1".to_owned()).unwrap()
    });
    let public = |key: &Ed25519KeyPair| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(key.public_key())
    };
    let redeemed = |signed: Value| {
        member(LEA, STRANGER, "invite").saying(
            "third_party_invite",
            json!({ "display_name": "a...", "signed": signed }),
        )
    };
    let issued = |attempt: Try, content: Value| {
        attempt.given(LEA, "m.room.third_party_invite", "token", content)
    };
    let base = json!({ "display_name": "a...", "key_validity_url": "https://id.example" });
    let with = |name: &str, value: Value| {
        let mut content = base.clone();
        content[name] = value;
        content
    };
    let single = with("public_key", json!(public(&key)));
    let good = signed(STRANGER, "token", &key);
    // Neither is the sender asked to be there, nor to have a level: the token is enough.
    let allowed = issued(redeemed(good.clone()), single.clone());
    let mut forged = good.clone();
    forged["mxid"] = json!(CAROL);
    let mut no_mxid = good.clone();
    no_mxid.as_object_mut().unwrap().remove("mxid");
    let mut no_token = good.clone();
    no_token.as_object_mut().unwrap().remove("token");
    let mut unsigned = good.clone();
    unsigned["signatures"] = json!({});
    for (name, broken) in [
        ("5.4.1.1", allowed.clone().member_is(STRANGER, "ban")),
        (
            "5.4.1.2",
            allowed.clone().saying("third_party_invite", json!({})),
        ),
        ("5.4.1.3", issued(redeemed(no_mxid), single.clone())),
        ("5.4.1.3", issued(redeemed(no_token), single.clone())),
        (
            "5.4.1.4",
            issued(redeemed(signed(CAROL, "token", &key)), single.clone()),
        ),
        (
            "5.4.1.5",
            issued(redeemed(signed(STRANGER, "other", &key)), single.clone()),
        ),
        (
            "5.4.1.5",
            allowed
                .clone()
                .without("m.room.third_party_invite", "token"),
        ),
        ("5.4.1.6", allowed.clone().by(BOB)),
        ("5.4.1.7", issued(redeemed(forged), single.clone())),
        ("5.4.1.8", issued(redeemed(unsigned), single.clone())),
        (
            "5.4.1.8",
            issued(redeemed(signed(STRANGER, "token", &other_key)), single),
        ),
    ] {
        rule(name, 1..=12, &allowed, [broken]);
    }
    let list = json!([{ "public_key": public(&other_key) }, { "public_key": public(&key) }]);
    let mut listed = with("public_keys", list);
    listed["public_key"] = json!(public(&other_key));
    let allowed = issued(redeemed(good), listed);
    rule("5.4.1.7.2", 1..=12, &allowed, []);
}

#[test]
fn rule_5_5_leaving_and_kicking() {
    for user in [IDA, CAROL] {
        let allowed = member(user, user, "leave");
        let others = ["leave", "ban"].map(|it| allowed.clone().member_is(user, it));
        rule("5.5.1", 1..=12, &allowed, others);
        let unknown = allowed.clone().without("m.room.member", user);
        rule("5.5.1", 1..=12, &allowed, [unknown]);
    }
    rule("5.5.1", 7..=12, &member(KIM, KIM, "leave"), []);
    rejects("5.5.1", 1..=6, [member(KIM, KIM, "leave")]);

    let kick = member(BOB, CAROL, "leave");
    let others = ["leave", "ban", "invite"].map(|it| kick.clone().member_is(BOB, it));
    rule("5.5.2", 1..=12, &kick, others);
    let unban = member(BOB, BEN, "leave");
    let others = [unban.clone().level(&["ban"], json!(61))];
    rule("5.5.3", 1..=12, &unban, others);
    let others = [
        kick.clone().level(&["kick"], json!(61)),
        kick.clone().by(DAN),
        kick.clone().level(&["users", CAROL], json!(60)),
        kick.clone().level(&["users", CAROL], json!(61)),
        kick.clone().about(ALICE),
        unban.clone().level(&["kick"], json!(61)),
        unban.clone().level(&["users", BEN], json!(60)),
    ];
    rule("5.5.4", 1..=12, &kick, others);
    // An invite and a knock are taken back, or refused, in the same way.
    for target in [IDA, KIM, CAROL] {
        rule("5.5.4", 1..=12, &kick.clone().about(target), []);
    }
}

#[test]
fn rule_5_6_bans() {
    let allowed = member(BOB, CAROL, "ban");
    let others = ["leave", "ban", "invite", "knock"];
    let others = others.map(|it| allowed.clone().member_is(BOB, it));
    rule("5.6.1", 1..=12, &allowed, others);
    let others = [
        allowed.clone().level(&["ban"], json!(61)),
        allowed.clone().by(DAN),
        allowed.clone().level(&["users", CAROL], json!(60)),
        allowed.clone().level(&["users_default"], json!(60)),
        allowed.clone().about(ALICE),
    ];
    rule("5.6.2", 1..=12, &allowed, others);
    for target in [IDA, KIM, STRANGER] {
        rule("5.6.2", 1..=12, &allowed.clone().about(target), []);
    }
}

#[test]
fn rule_5_7_knocking() {
    let knock = |user| member(user, user, "knock");
    for user in [STRANGER, LEA, KIM] {
        let allowed = knock(user).joining_by("knock");
        let others = ["invite", "public", "restricted", "private", "knock "];
        let others = others.map(|it| knock(user).joining_by(it));
        rule("5.7.1", 7..=12, &allowed, others);
        rule("5.7.2", 7..=12, &allowed, [allowed.clone().by(BOB)]);
        let others = ["ban", "invite", "join"].map(|it| allowed.clone().member_is(user, it));
        rule("5.7.3", 7..=12, &allowed, others);
        let both = knock(user).joining_by("knock_restricted");
        rule("5.7.1", 10..=12, &both, []);
        rejects("5.7.1", 7..=9, [both.clone()]);
        rejects("5.8", 1..=6, [allowed, both]);
    }
}

#[test]
fn rule_5_8_no_other_membership_is_known() {
    let allowed = member(ALICE, ALICE, "join");
    let others = ["joined", "", "JOIN", "org.example.lurk"].map(|it| member(ALICE, ALICE, it));
    rule("5.8", 1..=12, &allowed, others);
}

/// "The power level of room creators is infinitely high."
#[test]
fn nobody_stands_above_a_creator_of_version_12() {
    let high = |attempt: Try| attempt.level(&["users", BOB], json!(9_007_199_254_740_991_i64));
    for membership in ["leave", "ban"] {
        rejects("5", [12], [high(member(BOB, ALICE, membership))]);
        rule("5", [12], &high(member(ALICE, BOB, membership)), []);
        rule("5", 1..=11, &high(member(BOB, ALICE, membership)), []);
    }
    let create = json!({ "room_version": "12", "additional_creators": [DAN] });
    let second = member(DAN, BOB, "ban").given(ALICE, "m.room.create", "", create.clone());
    rule("5", [12], &high(second), []);
    let against = member(BOB, DAN, "ban").given(ALICE, "m.room.create", "", create);
    rejects("5", [12], [high(against)]);
}

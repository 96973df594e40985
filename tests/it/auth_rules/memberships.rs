//! Rule 5, the one for member events: every change of membership, by everybody, as the
//! specification allows or rejects it.

use greenroom_tests::{Answer, Client, TestServer, encode, shared_server};
use serde_json::{Value, json};

use crate::rooms::in_room;

const STANDINGS: [&str; 5] = ["leave", "invite", "join", "ban", "knock"];
const CHANGES: [&str; 5] = ["join", "invite", "leave", "ban", "knock"];

/// A user as the rule sees them.
struct Party<'a> {
    membership: &'a str,
    power: i64,
}

/// The room as the rule sees it.
struct Rules {
    version: u32,
    join_rule: &'static str,
    invite: i64,
    kick: i64,
    ban: i64,
}

impl Rules {
    fn knows_knocks(&self) -> bool {
        self.version >= 7
    }

    /// "If `membership` is ..." where the sender is the one it is about.
    fn allows_oneself(&self, membership: &str, change: &str) -> bool {
        let within = |list: &[&str]| list.contains(&membership);
        match change {
            "join" if within(&["ban"]) => false,
            "join" => match self.join_rule {
                "public" => true,
                "invite" | "knock" => within(&["invite", "join"]),
                _ => false,
            },
            "leave" => within(&["invite", "join"]) || (self.knows_knocks() && within(&["knock"])),
            "knock" => {
                self.knows_knocks()
                    && self.join_rule == "knock"
                    && !within(&["ban", "invite", "join"])
            }
            // Nobody invites or bans themselves: they are in already, or not above themselves.
            _ => false,
        }
    }

    /// The same where it is about somebody else.
    fn allows(&self, sender: &Party<'_>, target: &Party<'_>, change: &str) -> bool {
        let is_above = target.power < sender.power;
        sender.membership == "join"
            && match change {
                "invite" => {
                    !["join", "ban"].contains(&target.membership) && sender.power >= self.invite
                }
                "leave" => {
                    (target.membership != "ban" || sender.power >= self.ban)
                        && sender.power >= self.kick
                        && is_above
                }
                "ban" => sender.power >= self.ban && is_above,
                _ => false,
            }
    }
}

/// A room under test and its all-powerful owner.
struct Stage {
    owner: Client,
    room: String,
    rules: Rules,
}

impl Stage {
    async fn new(server: &TestServer, rules: Rules, powers: &[(&Client, i64)]) -> Self {
        let owner = server.register("owner").await;
        let mut users = json!({});
        if rules.version < 12 {
            users[&owner.user_id] = json!(100);
        }
        for (user, power) in powers {
            users[&user.user_id] = json!(power);
        }
        let Rules {
            invite, kick, ban, ..
        } = rules;
        let levels = json!({"users": users, "invite": invite, "kick": kick, "ban": ban});
        let request = json!({
            "room_version": rules.version.to_string(),
            "power_level_content_override": levels,
            "initial_state": [join_rule(rules.join_rule)],
        });
        let room = owner.create_room(request).await;
        Self { owner, room, rules }
    }

    async fn member(&self, target: &Client) -> Answer {
        let path = format!("state/m.room.member/{}", encode(&target.user_id));
        let path = in_room(&self.room, &path);
        self.owner.get(&format!("{path}?format=event")).await
    }

    async fn does(&self, actor: &Client, verb: &str, target: &Client) {
        let body = match actor.user_id == target.user_id {
            true => json!({}),
            false => json!({"user_id": target.user_id}),
        };
        actor
            .post(&in_room(&self.room, verb), body)
            .await
            .expect_ok();
    }

    async fn set_rule(&self, rule: &str) {
        let content = json!({ "join_rule": rule });
        self.owner
            .send_state(&self.room, "m.room.join_rules", "", content)
            .await;
    }

    /// Brings a user to a membership, from whatever it is.
    async fn put(&self, target: &Client, standing: &str) {
        let now = self.member(target).await;
        match now.body["content"]["membership"].as_str() {
            Some("ban") => self.does(&self.owner, "unban", target).await,
            Some("join" | "invite" | "knock") => self.does(&self.owner, "kick", target).await,
            // Who was never there is to have left, like the others.
            None => self.does(&self.owner, "ban", target).await,
            _ => {}
        }
        if now.status == 404 {
            self.does(&self.owner, "unban", target).await;
        }
        match standing {
            "invite" => self.does(&self.owner, "invite", target).await,
            "join" => {
                self.set_rule("invite").await;
                self.does(&self.owner, "invite", target).await;
                self.does(target, "join", target).await;
                self.set_rule(self.rules.join_rule).await;
            }
            "ban" => self.does(&self.owner, "ban", target).await,
            "knock" => {
                self.set_rule("knock").await;
                let path = format!("knock/{}", encode(&self.room));
                target.post(&path, json!({})).await.expect_ok();
                self.set_rule(self.rules.join_rule).await;
            }
            _ => {}
        }
    }

    /// One attempt, and whether it went as it should.
    async fn attempt(&self, sender: &Client, target: &Client, change: &str, right: bool, of: &str) {
        let before = self.member(target).await.body;
        let path = format!("state/m.room.member/{}", encode(&target.user_id));
        let path = in_room(&self.room, &path);
        let answer = sender.put(&path, json!({ "membership": change })).await;
        let after = self.member(target).await.body;
        let Rules {
            version, join_rule, ..
        } = self.rules;
        let what = format!("version {version}, {join_rule}: {of} to {change}");
        let shown = format!("{what}: {}", answer.describe());
        if right {
            assert_eq!(answer.status, 200, "{shown}");
            assert_eq!(after["content"]["membership"], change, "{shown}");
            return;
        }
        assert_eq!(after["event_id"], before["event_id"], "{shown}");
        // What is so already may be put once more; a membership that the version does not know is
        // none.
        let nothing_new = before["content"]["membership"] == change && answer.status == 200;
        let unknown = change == "knock" && !self.rules.knows_knocks();
        if !nothing_new && !unknown {
            answer.expect_error(403, "M_FORBIDDEN");
        }
    }
}

fn join_rule(rule: &str) -> Value {
    json!({"type": "m.room.join_rules", "content": {"join_rule": rule}})
}

#[tokio::test]
async fn a05_rule_5_what_one_does_about_oneself() {
    let server = shared_server().await;
    let bob = server.register("bob").await;
    let mut stages = Vec::new();
    for version in [1, 6, 7, 10, 12] {
        for join_rule in ["public", "invite", "knock", "private"] {
            let rules = Rules {
                version,
                join_rule,
                invite: 50,
                kick: 50,
                ban: 50,
            };
            if join_rule != "knock" || rules.knows_knocks() {
                stages.push(Stage::new(&server, rules, &[]).await);
            }
        }
    }
    let walks = stages.iter().map(async |stage| {
        for change in CHANGES {
            for standing in STANDINGS {
                if standing == "knock" && !stage.rules.knows_knocks() {
                    continue;
                }
                stage.put(&bob, standing).await;
                let right = stage.rules.allows_oneself(standing, change);
                stage.attempt(&bob, &bob, change, right, standing).await;
            }
        }
    });
    futures_util::future::join_all(walks).await;
}

#[tokio::test]
async fn a05_rule_5_what_one_does_about_others() {
    let server = shared_server().await;
    let [moderator, member, gone] = [
        server.register("moderator").await,
        server.register("member").await,
        server.register("gone").await,
    ];
    let [plain, equal] = [
        server.register("plain").await,
        server.register("equal").await,
    ];
    let powers = [(&moderator, 50), (&equal, 50), (&gone, 99)];
    let mut stages = Vec::new();
    for version in [1, 7, 10, 12] {
        for (invite, kick, ban) in [(50, 50, 50), (0, 50, 75), (51, 51, 0)] {
            let rules = Rules {
                version,
                join_rule: "invite",
                invite,
                kick,
                ban,
            };
            stages.push(Stage::new(&server, rules, &powers).await);
        }
    }
    let walks = stages.iter().map(async |stage| {
        stage.put(&moderator, "join").await;
        stage.put(&member, "join").await;
        stage.put(&gone, "leave").await;
        let senders = [
            (&moderator, "join", 50),
            (&member, "join", 0),
            (&gone, "leave", 99),
        ];
        for (target, target_power) in [(&plain, 0), (&equal, 50)] {
            for standing in STANDINGS {
                if standing == "knock" && !stage.rules.knows_knocks() {
                    continue;
                }
                stage.put(target, standing).await;
                for (sender, membership, power) in senders {
                    let by = Party { membership, power };
                    let to = Party {
                        membership: standing,
                        power: target_power,
                    };
                    for change in CHANGES {
                        let right = stage.rules.allows(&by, &to, change);
                        let name = format!("{membership} {power} moves {standing} {target_power}");
                        stage.attempt(sender, target, change, right, &name).await;
                        if right {
                            stage.put(target, standing).await;
                        }
                    }
                }
            }
        }
    });
    futures_util::future::join_all(walks).await;
}

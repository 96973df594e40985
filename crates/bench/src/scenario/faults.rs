//! The scenarios against a server that keeps its promises, and ones that do not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Bench, Scenario};
use crate::options::Cli;
use crate::outcome::Outcome;

/// What the server does wrong with every tenth message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Loses,
    StoresTwice,
    StoresTwiceUnderOneId,
    SwapsWithTheOneBefore,
}

/// As much of a homeserver as sending and paging back need, in memory.
#[derive(Debug)]
struct Fake {
    fault: Fault,
    rooms: Mutex<HashMap<String, Vec<String>>>,
    sent: Mutex<usize>,
}

impl Fake {
    fn answer(&self, method: &str, target: &str) -> Value {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut segments = path.trim_start_matches("/_matrix/client/v3/").split('/');
        let mut rooms = self.rooms.lock().unwrap();
        match (
            method,
            segments.next().unwrap(),
            segments.next(),
            segments.next(),
        ) {
            ("POST", "register", ..) => {
                json!({ "user_id": "@a:x", "access_token": "t", "device_id": "d" })
            }
            ("POST", "createRoom", ..) => {
                let id = format!("room{}", rooms.len());
                rooms.insert(id.clone(), Vec::new());
                json!({ "room_id": id })
            }
            ("GET", "joined_rooms", ..) => {
                json!({ "joined_rooms": rooms.keys().collect::<Vec<_>>() })
            }
            ("POST", "rooms", Some(id), Some("join")) => json!({ "room_id": id }),
            ("PUT", "rooms", Some(id), Some("send")) => {
                json!({ "event_id": self.store(rooms.get_mut(id).unwrap()) })
            }
            ("GET", "rooms", Some(id), Some("messages")) => page(&rooms[id], query),
            other => panic!("{other:?}"),
        }
    }

    fn store(&self, room: &mut Vec<String>) -> String {
        let mut sent = self.sent.lock().unwrap();
        *sent += 1;
        let id = format!("${sent}");
        let fault = if sent.is_multiple_of(10) {
            self.fault
        } else {
            Fault::None
        };
        match fault {
            Fault::None => room.push(id.clone()),
            Fault::Loses => {}
            Fault::StoresTwice => room.extend([id.clone(), format!("{id}-again")]),
            Fault::StoresTwiceUnderOneId => room.extend([id.clone(), id.clone()]),
            Fault::SwapsWithTheOneBefore => room.insert(room.len() - 1, id.clone()),
        }
        id
    }
}

fn page(room: &[String], query: &str) -> Value {
    let from = query.split('&').find_map(|pair| pair.strip_prefix("from="));
    let end = from.map_or(room.len(), |from| from.parse().unwrap());
    let start = end.saturating_sub(100);
    let chunk: Vec<Value> = room[start..end]
        .iter()
        .rev()
        .map(|id| json!({ "event_id": id, "type": "m.room.message" }))
        .collect();
    if start == 0 {
        json!({ "chunk": chunk })
    } else {
        json!({ "chunk": chunk, "end": start.to_string() })
    }
}

async fn serve(fake: Arc<Fake>, mut stream: TcpStream) -> std::io::Result<()> {
    let mut input = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&input[..head]).into_owned();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let whole = head + length.map_or(0, |length| length.parse().unwrap());
        while input.len() < whole {
            stream.read_buf(&mut input).await?;
        }
        input.drain(..whole);
        let mut words = text.split(' ');
        let body = fake
            .answer(words.next().unwrap(), words.next().unwrap())
            .to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Runs a scenario against a server with a fault.
async fn measure(fault: Fault, scenario: &str, more: &[&str]) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fake = Arc::new(Fake {
        fault,
        rooms: Mutex::default(),
        sent: Mutex::default(),
    });
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Arc::clone(&fake), stream));
        }
    });
    let args = ["greenroom-bench", "--url", &url, "--scenario", scenario];
    let options = Cli::parse_from(args.iter().chain(more)).run;
    let bench = Bench::new(&options).unwrap();
    let outcome = Scenario::by_name(scenario)
        .unwrap()
        .run(&bench)
        .await
        .unwrap();
    server.abort();
    outcome
}

#[tokio::test]
async fn a_server_that_keeps_its_promises_passes() {
    let outcome = measure(
        Fault::None,
        "many-rooms",
        &["--senders", "6", "--rooms", "3", "--count", "600"],
    )
    .await;
    assert_eq!(outcome.failure, None);
    // Each of the six has warmed up with ten.
    assert_eq!(
        (
            outcome.operations,
            outcome.latency.count,
            outcome.verified.found
        ),
        (600, 600, 660)
    );
    let paging = measure(
        Fault::None,
        "paging",
        &["--messages", "250", "--count", "2"],
    )
    .await;
    assert_eq!(
        (paging.failure, paging.operations, paging.verified.found),
        (None, 6, 500)
    );
    let rooms = measure(
        Fault::None,
        "create-room",
        &["--senders", "1", "--count", "5"],
    )
    .await;
    assert_eq!((rooms.failure, rooms.verified.found), (None, 5));
}

#[tokio::test]
async fn a_lost_message_fails_the_run() {
    let outcome = measure(Fault::Loses, "one-sender", &["--count", "40"]).await;
    assert_eq!(
        (outcome.verified.lost, outcome.failure.is_some()),
        (5, true)
    );
}

#[tokio::test]
async fn a_doubled_message_fails_the_run() {
    let two_ids = measure(Fault::StoresTwice, "one-sender", &["--count", "40"]).await;
    assert_eq!(
        (two_ids.verified.unknown, two_ids.failure.is_some()),
        (5, true)
    );
    let one_id = measure(
        Fault::StoresTwiceUnderOneId,
        "one-sender",
        &["--count", "40"],
    )
    .await;
    assert_eq!(
        (one_id.verified.duplicated, one_id.failure.is_some()),
        (5, true)
    );
}

#[tokio::test]
async fn a_reordered_message_fails_the_run() {
    let outcome = measure(
        Fault::SwapsWithTheOneBefore,
        "one-sender",
        &["--count", "40"],
    )
    .await;
    assert_eq!(
        (outcome.verified.out_of_order, outcome.failure.is_some()),
        (5, true)
    );
}

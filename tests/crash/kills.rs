//! The server is killed at random instants.

use std::time::{Duration, Instant};

use greenroom_tests::TestServer;
use tokio::time::sleep;

use crate::journal::Shelf;
use crate::random::{Random, seed};
use crate::reading::compare;
use crate::swarm::{Interruption, Swarm};
use crate::world::World;
use crate::{alone, say, times};

/// Whoever kills draws from a stream of its own.
const KILLER: u64 = 0;

/// Most kills come while all are at work, some while they still repeat themselves.
fn before_a_kill(random: &mut Random) -> Duration {
    Duration::from_micros(match random.below(4) {
        0 => random.below(40_000),
        _ => random.below(700_000),
    })
}

/// Starts the server again; one in five starts is killed as well.
async fn start_again(server: &TestServer, random: &mut Random) {
    if random.below(5) == 0 {
        let short = Duration::from_micros(random.below(200_000));
        tokio::select! {
            () = server.restart() => {}
            // This sleep is the experiment too.
            () = sleep(short) => {}
        }
        server.kill9().await;
    }
    server.restart().await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let _alone = alone().await;
    let seed = seed();
    let server = TestServer::builder().flag("--workers", "2").start().await;
    let kills = times(
        "GREENROOM_CRASH_KILLS",
        if server.is_on_postgres() { 4 } else { 8 },
    );
    say!("{kills} kills, GREENROOM_CRASH_SEED={seed}");
    let shelf = Shelf::new();
    let world = World::create(&server).await;
    let mut swarm = Swarm::start(&world, shelf.path(), seed, Interruption::Killed).await;
    swarm.works(1).await;
    let mut random = Random::new(seed, KILLER);
    let mut slowest = Duration::ZERO;
    for kill in 1..=kills {
        // This sleep is the experiment: nothing waits for what happens meanwhile.
        sleep(before_a_kill(&mut random)).await;
        swarm.interrupt();
        server.kill9().await;
        let killed = Instant::now();
        start_again(&server, &mut random).await;
        slowest = slowest.max(killed.elapsed());
        swarm.resume().await;
        if kill % 10 == 0 {
            say!("{kill} kills");
        }
    }
    let outcome = swarm.finish().await;
    server.kill9().await;
    server.restart().await;
    say!("slowest restart: {} ms", slowest.as_millis());
    say!("acknowledged: {:?}", outcome.progress.acked_by_kind);
    say!("unanswered: {:?}", outcome.progress.unanswered);
    say!("sent again later: {}", outcome.progress.replayed);
    let findings = compare(&world, &outcome.history, Some(&outcome.watched)).await;
    findings.report(&format!("after {kills} kills, seed {seed}"));
    server.stop().await;
}

//! Many people at once, in several lives of the process: calls, ends and beginnings of grants, events
//! at both doors, slow clouds, lost answers, a failing database, crashes. All by chance from a seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use ostler_app::call_function::Wait;
use ostler_core::grant::GrantSource;
use ostler_core::id::GrantId;
use ostler_core::port::Clock as _;

use super::chance::Chance;
use super::cloud::Behaviour;
use super::faults::Blow;
use super::site::{CUSTOMERS, FREE, SHARED};
use super::witness::{CallTold, Said};
use super::world::{Life, World};
use super::{edge, promises};

const SEEDS: u64 = 200;
const SEEDS_ON_POSTGRES: u64 = 12;
/// Most of a run is waiting, so more of them than there are cores.
const AT_ONCE: usize = 6;

fn kind_or_not(chance: &mut Chance) -> Behaviour {
    match chance.below(16) {
        0 => Behaviour::LosesTheAnswer,
        1 => Behaviour::Unreachable,
        2 => Behaviour::Offline,
        3 => Behaviour::Refuses,
        4 => Behaviour::LimitsRate,
        5 => Behaviour::SaysNothing,
        6 | 7 => Behaviour::DepartsAfter(chance.millis(400)),
        8 => Behaviour::AnswersAfter(chance.millis(45_000)),
        9..=11 => Behaviour::AnswersAfter(chance.millis(200)),
        _ => Behaviour::Answers,
    }
}

fn blow(chance: &mut Chance) -> Option<Blow> {
    match chance.below(5) {
        0 => None,
        1 | 2 => Some(Blow::Crash(1 + chance.below(150))),
        _ => Some(Blow::Random {
            seed: chance.next(),
            per_mille: chance.below(80),
        }),
    }
}

/// A customer who calls, now with a key, now without. Nobody waits for ever: who gives up comes back
/// in the last life.
async fn calls(life: &Life, who: usize, mut chance: Chance) {
    for _ in 0..6 {
        tokio::time::sleep(chance.millis(120)).await;
        let (device, number) = (chance.index(SHARED), life.witness.number());
        let call = async {
            match chance.below(4) {
                0 => drop(life.call(who, device, number, None, Wait::ForOutcome).await),
                1 => drop(
                    life.call(who, device, number, Some(&format!("key-{number}")), Wait::ForAcceptance)
                        .await,
                ),
                _ => drop(life.call_until_known(who, device, number, 3).await),
            }
        };
        drop(tokio::time::timeout(Duration::from_millis(900), call).await);
    }
}

/// The maker, who ends grants and gives new ones, some of which end by themselves.
async fn grants(life: &Life, given: &Mutex<Vec<GrantId>>, mut chance: Chance) {
    for _ in 0..5 {
        tokio::time::sleep(chance.millis(150)).await;
        let (who, device) = (chance.index(CUSTOMERS), chance.index(SHARED));
        let ended = if chance.below(2) == 0 {
            given.lock().unwrap().pop()
        } else {
            None
        };
        life.end(ended.unwrap_or(life.site.customers[who].grants[device]), 3)
            .await;
        let ends_at = (chance.below(2) == 0).then(|| life.clock.now() + Duration::from_millis(1 + chance.below(400)));
        if let Some(grant_id) = life.grant(who, device, GrantSource::Share, ends_at).await {
            given.lock().unwrap().push(grant_id);
        }
        let owner = chance.index(CUSTOMERS);
        life.grant(
            owner,
            FREE,
            GrantSource::Owner,
            Some(life.clock.now() + Duration::from_millis(300)),
        )
        .await;
    }
}

async fn delivers(life: &Life, mut chance: Chance) {
    for _ in 0..6 {
        tokio::time::sleep(chance.millis(120)).await;
        let batch: Vec<Said> = (0..1 + chance.below(4))
            .map(|_| life.says(chance.index(SHARED)))
            .collect();
        life.deliver(batch, 3).await;
        life.register(1).await;
    }
}

async fn streams(life: &Life, mut chance: Chance) {
    let stream = life.follow().await;
    for _ in 0..8 {
        tokio::time::sleep(chance.millis(100)).await;
        let said = life.says(chance.index(SHARED));
        // While the database is ill nobody reads.
        drop(tokio::time::timeout(Duration::from_millis(300), life.stream(&stream, said)).await);
    }
}

async fn everybody(life: &Life, given: &Mutex<Vec<GrantId>>, chance: &mut Chance) {
    let customers = join_all(
        (0..CUSTOMERS)
            .map(|who| calls(life, who, chance.fork()))
            .collect::<Vec<_>>(),
    );
    let (maker, hook, stream) = (chance.fork(), chance.fork(), chance.fork());
    tokio::join!(
        customers,
        grants(life, given, maker),
        delivers(life, hook),
        streams(life, stream)
    );
}

/// All who do not know yet ask again, with their keys; the hook repeats what was not acknowledged.
async fn loose_ends(life: &Life) {
    let unacknowledged = std::mem::take(&mut *life.witness.undelivered.lock().unwrap());
    assert!(life.deliver(unacknowledged, 1).await);
    let calls = life.witness.calls.lock().unwrap().clone();
    for call in calls.iter().filter(|call| call.key.is_some()) {
        let number = call.argument.parse().unwrap();
        let told = life.call_until_known(call.who, call.device, number, 1).await;
        match told {
            CallTold::Command { state, .. } => assert!(state.is_settled(), "P5: {state:?}"),
            CallTold::Denied => {}
            CallTold::InFlight | CallTold::Failed(_) => panic!("P6: {told:?} of {call:?}"),
        }
    }
}

fn lives_through(mut world: World, seed: u64) {
    let mut chance = Chance::new(seed);
    let mut of_cloud = chance.fork();
    world.cloud.behaves(move || kind_or_not(&mut of_cloud));
    let given = Mutex::default();
    for _ in 0..2 + chance.below(2) {
        let blow = blow(&mut chance);
        world.live(async |life| {
            if let Some(blow) = blow {
                life.faults.arm(blow);
            }
            everybody(life, &given, &mut chance).await;
        });
    }
    world.cloud.behaves(|| Behaviour::Answers);
    world.live(async |life| {
        loose_ends(life).await;
        promises::check(life).await;
    });
}

/// Runs all seeds, a few at a time, and names those that fail.
fn live_through_seeds(seeds: u64, world: fn(u64) -> World) {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| lives_through(world(seed), seed))).is_err() {
                        eprintln!("seed {seed} failed");
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "the promises did not hold for the seeds {failed:?}");
}

#[test]
fn the_promises_hold_for_many_seeds_on_sqlite() {
    live_through_seeds(edge::seeds().unwrap_or(SEEDS), World::new);
}

#[test]
fn the_promises_hold_for_some_seeds_on_postgres() {
    live_through_seeds(
        edge::seeds().unwrap_or(SEEDS_ON_POSTGRES).min(SEEDS_ON_POSTGRES),
        World::on_postgres,
    );
}

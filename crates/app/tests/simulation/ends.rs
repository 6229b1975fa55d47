//! P1: the end of a grant, and a device's quarantine, while calls are on their way, under a fault at
//! every step.

use std::time::Duration;

use ostler_app::admin::Maker;
use ostler_app::call_function::Wait;
use ostler_core::command::{CommandState, RefusedBy};
use ostler_core::grant::GrantSource;
use ostler_core::port::Clock as _;

use super::cloud::Behaviour;
use super::fast_time::STEP;
use super::site::FREE;
use super::under_every_fault;
use super::witness::CallTold;
use super::world::{Life, World};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Calls are judged, queued, under way and slow.
fn calls_take_their_time(life: &Life) {
    let mut turn = 0;
    life.cloud.behaves(move || {
        turn += 1;
        match turn % 4 {
            0 => Behaviour::Answers,
            1 => Behaviour::AnswersAfter(Duration::from_millis(600)),
            2 => Behaviour::DepartsAfter(Duration::from_millis(100)),
            _ => Behaviour::DepartsAfter(Duration::from_millis(300)),
        }
    });
}

async fn calls_and_end(life: &Life) {
    calls_take_their_time(life);
    let grant_id = life.site.customers[0].grants[0];
    let calls = futures_util::future::join_all((0..6_u64).map(|turn| async move {
        tokio::time::sleep(Duration::from_millis(turn * 15)).await;
        life.call(0, 0, life.witness.number(), None, Wait::ForOutcome).await
    }));
    let end = async {
        tokio::time::sleep(Duration::from_millis(40)).await;
        if life.end(grant_id, 5).await {
            let told = life.call(0, 0, life.witness.number(), None, Wait::ForOutcome).await;
            assert!(
                !matches!(told, CallTold::Command { .. }),
                "P1: called after the end: {told:?}"
            );
        }
    };
    let other = life.call(1, 0, life.witness.number(), None, Wait::ForOutcome);
    tokio::join!(calls, end, other);
}

async fn calls_and_quarantine(life: &Life) {
    calls_take_their_time(life);
    let calls = futures_util::future::join_all((0..6_u64).map(|turn| async move {
        tokio::time::sleep(Duration::from_millis(turn * 15)).await;
        life.call(0, 0, life.witness.number(), None, Wait::ForOutcome).await
    }));
    let quarantine = async {
        tokio::time::sleep(Duration::from_millis(40)).await;
        for _ in 0..5 {
            let maker = Maker::at_the_terminal();
            let desk = life.app.desk(&maker);
            match desk.quarantine_device(life.site.devices[0], "smoke".into()).await {
                Ok(_) => return Some(life.witness.next()),
                Err(_) => life.witness.failed(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    };
    let (_, acknowledged) = tokio::join!(calls, quarantine);
    let Some(acknowledged) = acknowledged else { return };
    for arrival in &*life.cloud.arrivals.lock().unwrap() {
        assert!(arrival.departed < acknowledged, "P1: {arrival:?} after {acknowledged}");
    }
    let told = life.call(1, 0, life.witness.number(), None, Wait::ForOutcome).await;
    assert!(!matches!(told, CallTold::Command { .. }), "P1: {told:?}");
}

/// Calls in the last millisecond of a grant. No permit of it could leave any more, and whoever calls
/// hears that there is no such right, not that the cloud is out of reach.
async fn calls_at_the_very_end(life: &Life) {
    for _ in 0..20 {
        let ends_at = life.clock.now() + STEP * 40 + MILLISECOND;
        let granted = life.grant(0, FREE, GrantSource::Share, Some(ends_at)).await;
        assert!(granted.is_some());
        while life.clock.now() + MILLISECOND < ends_at {
            tokio::time::sleep(MILLISECOND).await;
        }
        let told = life.call(0, FREE, life.witness.number(), None, Wait::ForOutcome).await;
        let denied = match &told {
            CallTold::Command { state, .. } => matches!(
                state,
                CommandState::Refused {
                    by: RefusedBy::Policy,
                    ..
                }
            ),
            CallTold::Denied => true,
            CallTold::InFlight | CallTold::Failed(_) => false,
        };
        assert!(denied, "P1: {told:?}");
    }
}

#[test]
fn p1_a_call_in_the_last_millisecond_of_a_right_is_told_that_there_is_none() {
    let mut world = World::new(1);
    world.live(async |life| calls_at_the_very_end(life).await);
}

/// Also after a restart: acknowledged is ended.
async fn still_ended(life: &Life) {
    let grant_id = life.site.customers[0].grants[0];
    let acknowledged = life
        .witness
        .ends
        .lock()
        .unwrap()
        .iter()
        .any(|end| end.grant_id == grant_id);
    if acknowledged {
        let told = life.call(0, 0, life.witness.number(), None, Wait::ForOutcome).await;
        assert!(matches!(told, CallTold::Denied), "P1: {told:?}");
    }
}

#[test]
fn p1_the_end_of_a_grant_survives_a_fault_at_every_step() {
    under_every_fault(
        Behaviour::DepartsAfter(Duration::from_millis(260)),
        calls_and_end,
        still_ended,
    );
}

#[test]
fn p1_a_quarantine_survives_a_fault_at_every_step() {
    under_every_fault(
        Behaviour::DepartsAfter(Duration::from_millis(260)),
        calls_and_quarantine,
        async |_| {},
    );
}

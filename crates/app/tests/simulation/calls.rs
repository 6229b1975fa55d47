//! The proxied call under a fault at every step.

use std::time::Duration;

use ostler_app::call_function::Wait;

use super::cloud::Behaviour;
use super::under_every_fault;
use super::witness::CallTold;
use super::world::Life;

/// What a cloud may do to one call.
const UNKIND: [Behaviour; 8] = [
    Behaviour::Unreachable,
    Behaviour::LosesTheAnswer,
    Behaviour::SaysNothing,
    Behaviour::AnswersAfter(Duration::from_secs(40)),
    Behaviour::DepartsAfter(Duration::from_millis(300)),
    Behaviour::Offline,
    Behaviour::Refuses,
    Behaviour::LimitsRate,
];

/// With the key of a call that was made: it tells what became of it, and sends nothing that was sent.
async fn ask_again(life: &Life) {
    let told = life.call_until_known(0, 0, 1, 1).await;
    assert!(
        matches!(&told, CallTold::Command { state, .. } if state.is_settled()),
        "P6: {told:?}"
    );
}

async fn nothing(_life: &Life) {}

#[test]
fn p6_a_call_with_a_key_survives_a_fault_at_every_step() {
    let call = async |life: &Life| {
        life.call_until_known(0, 0, 1, 4).await;
    };
    under_every_fault(Behaviour::Unreachable, call, ask_again);
}

#[test]
fn p10_a_call_with_a_key_survives_every_fault_of_the_cloud() {
    for unkind in UNKIND {
        let call = async |life: &Life| {
            life.call_until_known(0, 0, 1, 2).await;
        };
        under_every_fault(unkind, call, ask_again);
    }
}

#[test]
fn p5_a_call_without_a_key_survives_a_fault_at_every_step() {
    for unkind in [
        Behaviour::LosesTheAnswer,
        Behaviour::DepartsAfter(Duration::from_millis(300)),
    ] {
        let call = async |life: &Life| {
            life.call(0, 0, 1, None, Wait::ForOutcome).await;
        };
        under_every_fault(unkind, call, nothing);
    }
}

#[test]
fn p5_a_call_that_nobody_waits_for_survives_a_fault_at_every_step() {
    let call = async |life: &Life| {
        life.call(0, 0, 1, Some("key-1"), Wait::ForAcceptance).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    under_every_fault(Behaviour::LosesTheAnswer, call, ask_again);
}

/// Two that race with one key, and a third that comes while they are under way.
#[test]
fn p6_racing_calls_with_one_key_survive_a_fault_at_every_step() {
    let race = async |life: &Life| {
        let late = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            life.call_until_known(0, 0, 1, 3).await;
        };
        tokio::join!(
            life.call_until_known(0, 0, 1, 3),
            life.call_until_known(0, 0, 1, 3),
            late
        );
    };
    under_every_fault(Behaviour::LosesTheAnswer, race, ask_again);
}

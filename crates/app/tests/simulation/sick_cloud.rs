//! P11: a sick device cloud does not make Ostler sick.

use std::time::Duration;

use futures_util::future::join_all;
use ostler_app::call_function::Wait;
use ostler_app::history::RangeQuestion;
use ostler_core::command::CommandStatus;
use ostler_core::interval::Interval;
use ostler_store::Page;

use super::cloud::Behaviour;
use super::promises;
use super::site::CUSTOMERS;
use super::witness::CallTold;
use super::world::{Life, World};

const CALLS: u64 = 60;

/// What has to go on while every call hangs.
async fn daily_life(life: &Life) {
    for turn in 0..20 {
        let who = turn % CUSTOMERS;
        let caller = life
            .app
            .authenticate(life.site.customers[who].token.reveal())
            .await
            .unwrap();
        assert!(life.deliver(vec![life.says(0)], 1).await);
        let question = RangeQuestion {
            device_id: life.site.devices[0],
            key: "temperature".parse().unwrap(),
            range: Interval::ALWAYS,
        };
        let points = life.app.points(&caller, &question, Page::first(100)).await.unwrap();
        assert!(!points.points.items.is_empty());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn goes_on_while_the_cloud_is_silent(mut world: World) {
    world.cloud.behaves(|| Behaviour::SaysNothing);
    world.live(async |life| {
        let calls = join_all((0..CALLS).map(async |turn| {
            let who = usize::try_from(turn).unwrap() % CUSTOMERS;
            let told = life.call(who, 0, life.witness.number(), None, Wait::ForOutcome).await;
            let CallTold::Command { state, .. } = told else {
                panic!("P11: {told:?}")
            };
            assert_eq!(state.status(), CommandStatus::Unknown);
        }));
        let began = life.clock.elapsed();
        let others = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            daily_life(life).await;
            life.clock.elapsed() - began
        };
        let ((), took) = tokio::join!(async { drop(calls.await) }, others);
        assert!(took < Duration::from_secs(20), "P11: it waited for the cloud: {took:?}");
        let waited = life.clock.elapsed() - began;
        assert!(
            waited < Duration::from_secs(60),
            "P11: a call without a deadline: {waited:?}"
        );
        promises::check(life).await;
    });
}

#[test]
fn p11_everything_else_goes_on_while_the_cloud_is_silent_on_sqlite() {
    goes_on_while_the_cloud_is_silent(World::new(11));
}

#[test]
fn p11_everything_else_goes_on_while_the_cloud_is_silent_on_postgres() {
    goes_on_while_the_cloud_is_silent(World::on_postgres(11));
}

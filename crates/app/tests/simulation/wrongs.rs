//! That each promise can be seen broken: what a product that kept it badly would leave behind, and
//! that the check says so by the promise's name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ostler_app::call_function::Wait;
use ostler_core::command::{CallOutcome, CommandState};
use ostler_core::grant::GrantSource;
use ostler_core::interval::Interval;
use ostler_core::port::Clock as _;
use ostler_store::Door;

use super::cloud::Behaviour;
use super::promises;
use super::site::FREE;
use super::witness::{CallTold, End};
use super::world::{Life, World};

/// Lives through something wrong and returns what the check says of it.
fn complaint(wrong: impl AsyncFn(&Life)) -> String {
    let mut world = World::new(1);
    let noticed = catch_unwind(AssertUnwindSafe(|| {
        world.live(async |life| {
            wrong(life).await;
            promises::check(life).await;
        });
    }));
    let said = noticed.expect_err("nothing was noticed");
    said.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[track_caller]
fn assert_noticed(promise: &str, wrong: impl AsyncFn(&Life)) {
    let said = complaint(wrong);
    assert!(
        said.starts_with(promise),
        "{promise} was broken, and the check says: {said}"
    );
}

#[test]
fn an_end_that_does_not_wait_is_noticed() {
    assert_noticed("P1", async |life| {
        // Answered while a call by it was still on its way.
        let grant_id = life.site.customers[0].grants[0];
        let acknowledged = life.witness.next();
        life.call(0, 0, 1, None, Wait::ForOutcome).await;
        life.witness.ends.lock().unwrap().push(End {
            grant_id,
            acknowledged,
            in_flight: Vec::new(),
        });
    });
}

#[test]
fn an_end_that_hides_what_is_under_way_is_noticed() {
    assert_noticed("P1", async |life| {
        life.cloud.behaves(|| Behaviour::AnswersAfter(Duration::from_secs(8)));
        let grant_id = life.site.customers[0].grants[0];
        let end = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert!(life.end(grant_id, 1).await);
            life.witness.ends.lock().unwrap()[0].in_flight.clear();
        };
        tokio::join!(life.call(0, 0, 1, None, Wait::ForOutcome), end);
    });
}

#[test]
fn an_acknowledged_event_that_is_not_there_is_noticed() {
    assert_noticed("P3", async |life| {
        let said = life.says(0);
        life.witness.delivered.lock().unwrap().push(said);
    });
}

#[test]
fn time_called_complete_in_which_an_event_is_missing_is_noticed() {
    assert_noticed("P10", async |life| {
        let said = life.says(0);
        let claimed = Interval::new(said.published_at, said.published_at + Duration::from_secs(1));
        let now = life.clock.now();
        life.store
            .extend_complete(life.site.product_id, Door::Stream, claimed, now)
            .await
            .unwrap();
        life.witness.streamed.lock().unwrap().push(said);
    });
}

#[test]
fn a_call_that_the_ledger_does_not_know_is_noticed() {
    assert_noticed("P5", async |life| {
        life.call(0, 0, 1, None, Wait::ForOutcome).await;
        life.cloud.arrivals.lock().unwrap()[0].argument = "2".to_owned();
    });
}

#[test]
fn a_command_that_stays_without_an_outcome_is_noticed() {
    assert_noticed("P5", async |life| {
        life.cloud.behaves(|| Behaviour::SaysNothing);
        life.call(0, 0, 1, None, Wait::ForAcceptance).await;
    });
}

#[test]
fn a_call_that_is_repeated_is_noticed() {
    assert_noticed("P6", async |life| {
        // As a product would that took the second for another call than the first.
        life.call(0, 0, 1, Some("one"), Wait::ForOutcome).await;
        life.call(0, 0, 1, Some("two"), Wait::ForOutcome).await;
    });
}

#[test]
fn an_answer_that_is_not_proven_is_noticed() {
    for (behaviour, claimed) in [
        (Behaviour::Answers, CallOutcome::DeviceOffline),
        (Behaviour::Offline, CallOutcome::Returned(1)),
        (Behaviour::LosesTheAnswer, CallOutcome::Returned(1)),
    ] {
        assert_noticed("P10", async |life| {
            life.cloud.behaves(move || behaviour);
            life.call(0, 0, 1, None, Wait::ForOutcome).await;
            let mut calls = life.witness.calls.lock().unwrap();
            let CallTold::Command { state, .. } = &mut calls[0].told else {
                panic!("it was called")
            };
            *state = CommandState::from_outcome(claimed, life.clock.now());
        });
    }
}

#[test]
fn a_ledger_that_says_what_is_not_proven_is_noticed() {
    assert_noticed("P10", async |life| {
        life.cloud.behaves(|| Behaviour::Offline);
        life.call(0, 0, 1, None, Wait::ForOutcome).await;
        life.cloud.arrivals.lock().unwrap()[0].returned = Some((9, CallOutcome::Unknown));
    });
}

#[test]
fn what_leaves_after_its_grants_time_is_noticed() {
    assert_noticed("P7", async |life| {
        let ends_at = life.clock.now() + Duration::from_millis(500);
        let grant_id = life.grant(0, FREE, GrantSource::Share, Some(ends_at)).await.unwrap();
        life.call(0, FREE, 1, None, Wait::ForOutcome).await;
        let mut arrivals = life.cloud.arrivals.lock().unwrap();
        assert_eq!(arrivals[0].right.grant_id(), Some(grant_id));
        arrivals[0].departed_at = ends_at;
    });
}

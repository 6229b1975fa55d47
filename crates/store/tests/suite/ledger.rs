//! The ledger: one command per key, one outcome per command, batches that share a commit.

use std::time::Duration;

use ostler_core::command::{CommandState, CommandStatus, RefusedBy};
use ostler_core::secret::SecretDigest;
use ostler_store::{
    By, CommandFilter, Idempotency, IntentRecorded, KEY_LIFETIME, KeyScope, NewCommand, OutcomeRecorded, Page, Refusal,
    Settlement,
};

use super::world::{NOW, World, later, on_both};

fn keyed(command: NewCommand, key: &str) -> NewCommand {
    let body_digest = SecretDigest::of(&command.argument);
    NewCommand {
        idempotency: Some(Idempotency {
            key: key.to_owned(),
            body_digest,
        }),
        ..command
    }
}

fn settled(command_id: ostler_core::id::CommandId, state: CommandState) -> Settlement {
    Settlement {
        command_id,
        state,
        sent_at: Some(later(1)),
        at: later(2),
    }
}

async fn state(world: &World, id: ostler_core::id::CommandId) -> CommandState {
    world.store.command(id).await.unwrap().unwrap().state
}

on_both! {
    async fn an_intent_is_readable_as_it_was_recorded(world) {
        let (ada, device_id, _) = world.held_device().await;
        let by = By { client_id: world.client_id(), customer_id: Some(ada), staff_id: None };
        let new = keyed(NewCommand { by, reason: Some("x".into()), ..world.command(device_id) }, "k1");
        assert_eq!(world.store.record_intent(new.clone()).await.unwrap(), IntentRecorded::Recorded);
        let read = world.store.command(new.id).await.unwrap().unwrap();
        assert_eq!(read.state, CommandState::Accepted);
        assert_eq!((read.customer_id, read.argument.as_deref(), &*read.rule), (Some(ada), Some("20"), "staff"));
        assert_eq!(read.body_digest, Some(SecretDigest::of("20")));
        assert_eq!((read.created_at, read.settled_at), (NOW, None));
    }

    async fn p6_one_key_is_one_command_also_for_many_at_once(world) {
        let (_, device_id, _) = world.held_device().await;
        let commands: Vec<_> = (0..40).map(|_| keyed(world.command(device_id), "k1")).collect();
        let recorded = futures_util::future::join_all(commands.iter().map(|command| world.store.record_intent(command.clone()))).await;
        let winners: Vec<_> = commands.iter().zip(&recorded)
            .filter(|(_, recorded)| *recorded.as_ref().unwrap() == IntentRecorded::Recorded).collect();
        assert_eq!(winners.len(), 1);
        let first = winners[0].0.id;
        for recorded in recorded {
            match recorded.unwrap() {
                IntentRecorded::Recorded => {}
                IntentRecorded::KeyTaken(existing) => assert_eq!(existing.id, first),
                IntentRecorded::CoolingDown { .. } => panic!("no cool-down was asked for"),
            }
        }
    }

    async fn a_key_is_scoped_to_customer_device_and_function(world) {
        let (ada, device_id, _) = world.held_device().await;
        let product_id = world.product("thermostat").await;
        let other = world.device(product_id, 2).await;
        let by = By { client_id: world.client_id(), customer_id: Some(ada), staff_id: None };
        let distinct = [
            world.command(device_id),
            NewCommand { by, ..world.command(device_id) },
            world.command(other),
            NewCommand { function: "reset".parse().unwrap(), ..world.command(device_id) },
        ];
        for command in distinct {
            assert_eq!(world.store.record_intent(keyed(command, "k1")).await.unwrap(), IntentRecorded::Recorded);
        }
    }

    async fn a_key_is_forgotten_after_a_day(world) {
        let (_, device_id, _) = world.held_device().await;
        let first = keyed(world.command(device_id), "k1");
        world.store.record_intent(first.clone()).await.unwrap();
        let next_day = NOW + KEY_LIFETIME;
        let scope = KeyScope {
            client_id: first.by.client_id, customer_id: None, device_id, function: &first.function, key: "k1",
        };
        let find = |now| world.store.find_by_idempotency_key(scope, now);
        assert_eq!(find(next_day - Duration::from_millis(1)).await.unwrap().unwrap().id, first.id);
        assert!(find(next_day).await.unwrap().is_none());
        // The job that forgets has not run: the insert itself gives way.
        let second = NewCommand { created_at: next_day, ..keyed(world.command(device_id), "k1") };
        assert_eq!(world.store.record_intent(second.clone()).await.unwrap(), IntentRecorded::Recorded);
        assert_eq!(find(next_day).await.unwrap().unwrap().id, second.id);
        assert_eq!(world.store.forget_idempotency_keys(next_day + KEY_LIFETIME).await.unwrap(), 1);
    }

    async fn an_outcome_is_written_once_and_only_an_answer_settles_unknown(world) {
        let (_, device_id, _) = world.held_device().await;
        let command = world.command(device_id);
        world.store.record_intent(command.clone()).await.unwrap();
        let unknown = CommandState::Unknown { at: later(2) };
        let answered = CommandState::Answered { return_value: Some(7), at: later(3) };
        let offline = CommandState::Offline { at: later(4) };
        let record = |state| world.store.record_outcome(settled(command.id, state));
        assert_eq!(record(unknown).await.unwrap(), OutcomeRecorded::Recorded);
        assert_eq!(record(offline).await.unwrap(), OutcomeRecorded::SettledBefore);
        assert_eq!(record(answered).await.unwrap(), OutcomeRecorded::Recorded);
        assert_eq!(record(unknown).await.unwrap(), OutcomeRecorded::SettledBefore);
        assert_eq!(state(&world, command.id).await, answered);
        assert_eq!(world.store.command(command.id).await.unwrap().unwrap().sent_at, Some(later(1)));
    }

    async fn two_outcomes_at_once_leave_one(world) {
        let (_, device_id, _) = world.held_device().await;
        let command = world.command(device_id);
        world.store.record_intent(command.clone()).await.unwrap();
        let states = [CommandState::Offline { at: later(2) }, CommandState::Answered { return_value: Some(1), at: later(2) }];
        let recorded = futures_util::future::join_all(states.map(|state| world.store.record_outcome(settled(command.id, state)))).await;
        let recorded: Vec<_> = recorded.into_iter().map(Result::unwrap).collect();
        assert_eq!(recorded.iter().filter(|each| **each == OutcomeRecorded::Recorded).count(), 1);
        assert!(states.contains(&state(&world, command.id).await));
    }

    async fn of_two_calls_within_the_cool_down_one_is_refused(world) {
        let (ada, device_id, _) = world.held_device().await;
        let cooling = |at| NewCommand { cool_down: Duration::from_millis(100), created_at: later(at), ..world.command(device_id) };
        let at_once = [cooling(0), cooling(0)];
        let recorded = futures_util::future::join_all(at_once.iter().map(|command| world.store.record_intent(command.clone()))).await;
        let recorded: Vec<_> = recorded.into_iter().map(Result::unwrap).collect();
        assert!(recorded.contains(&IntentRecorded::Recorded));
        let lost = recorded.iter().position(|each| *each == IntentRecorded::CoolingDown { until: later(100) }).unwrap();
        let refused = world.store.command(at_once[lost].id).await.unwrap().unwrap();
        assert_eq!((refused.state, &*refused.rule), (CommandState::Refused { by: RefusedBy::Policy, at: NOW }, "cooling-down"));
        assert_eq!(world.store.record_intent(cooling(99)).await.unwrap(), IntentRecorded::CoolingDown { until: later(100) });
        assert_eq!(world.store.record_intent(cooling(100)).await.unwrap(), IntentRecorded::Recorded);
        assert_eq!(world.facts(ada, device_id).await.last_called_at, Some(later(100)));
    }

    async fn a_refusal_is_recorded_also_for_a_device_that_does_not_exist(world) {
        let unknown = ostler_core::id::DeviceId::draw(NOW, &*world.entropy);
        let command = NewCommand { right: None, ..world.command(unknown) };
        assert!(world.store.record_refusal(Refusal { command: command.clone(), rule: "not-found" }));
        let world = world.reopened().await;
        let read = world.store.command(command.id).await.unwrap().unwrap();
        assert_eq!((read.state.status(), &*read.rule), (CommandStatus::Refused, "not-found"));
    }

    async fn commands_are_listed_newest_first(world) {
        let (_, device_id, _) = world.held_device().await;
        let commands: Vec<_> = (0..5).map(|_| world.command(device_id)).collect();
        for command in &commands {
            world.store.record_intent(command.clone()).await.unwrap();
        }
        let filter = CommandFilter { device_id: Some(device_id), status: Some(CommandStatus::Accepted), ..CommandFilter::default() };
        let first = world.store.commands(filter, Page::first(3)).await.unwrap();
        let last = first.items.last().unwrap().id;
        let second = world.store.commands(filter, Page::after(last, 3)).await.unwrap();
        let listed: Vec<_> = first.items.iter().chain(&second.items).map(|command| command.id).collect();
        let mut expected: Vec<_> = commands.iter().map(|command| command.id).collect();
        expected.sort_by(|left, right| right.cmp(left));
        assert_eq!((listed, first.more, second.more), (expected, true, false));
    }

    async fn a_command_without_outcome_is_overdue_from_its_deadline_on(world) {
        let (_, device_id, _) = world.held_device().await;
        let command = world.command(device_id);
        world.store.record_intent(command.clone()).await.unwrap();
        assert!(world.store.overdue_commands(later(59_999), 10).await.unwrap().is_empty());
        assert_eq!(world.store.overdue_commands(later(60_000), 10).await.unwrap(), [command.id]);
        world.store.record_outcome(settled(command.id, CommandState::Unknown { at: later(60_000) })).await.unwrap();
        assert!(world.store.overdue_commands(later(60_000), 10).await.unwrap().is_empty());
    }

    async fn a_thousand_intents_share_few_commits(world) {
        let (_, device_id, _) = world.held_device().await;
        let commands: Vec<_> = (0..1000).map(|_| world.command(device_id)).collect();
        let recorded = futures_util::future::join_all(commands.iter().map(|command| world.store.record_intent(command.clone()))).await;
        assert!(recorded.into_iter().all(|recorded| recorded.unwrap() == IntentRecorded::Recorded));
    }
}

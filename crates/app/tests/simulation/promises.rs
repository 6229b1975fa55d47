//! The promises of design.md §2, read off what the clients were told, what arrived at the cloud and
//! what the database says once the process has started anew.

use std::collections::{HashMap, HashSet};

use ostler_core::caller::ProductReach;
use ostler_core::command::{CallOutcome, CommandState, RefusedBy};
use ostler_core::grant::GrantSource;
use ostler_core::id::{CommandId, DeviceId, GrantId};
use ostler_core::interval::Interval;
use ostler_core::port::Clock as _;
use ostler_store::{Command, CommandFilter, GrantFilter, GrantRecord, Page};

use super::cloud::Arrival;
use super::site::NEWCOMER;
use super::witness::CallTold;
use super::world::Life;
use crate::world::{cloud_id, machine};

pub async fn check(life: &Life) {
    life.faults.disarm();
    let commands = commands(life).await;
    let arrivals = life.cloud.arrivals.lock().unwrap().clone();
    p5_every_act_is_accounted_for(&commands, &arrivals);
    p6_no_call_is_made_twice(&commands, &arrivals);
    p10_states_say_what_is_proven(&commands, &arrivals);
    p10_answers_stand(life, &commands);
    let grants = grants(life).await;
    p1_nothing_leaves_by_an_ended_grant(life, &commands, &arrivals);
    p7_only_what_was_granted_leaves(&grants, &arrivals);
    p2_one_owner(life, &grants);
    p3_acknowledged_events_are_there_once(life).await;
    s5_one_registration(life).await;
    life.store.verify_audit().await.unwrap().unwrap();
    assert!(life.store.model_agrees().await.unwrap());
}

fn p5_every_act_is_accounted_for(commands: &[Command], arrivals: &[Arrival]) {
    for arrival in arrivals {
        let known = commands.iter().any(|command| {
            command.grant_id == arrival.right.grant_id() && command.argument.as_deref() == Some(&arrival.argument)
        });
        assert!(known, "P5: it left, and the ledger knows nothing: {arrival:?}");
    }
    for command in commands {
        assert!(command.state.is_settled(), "P5: {command:?}");
    }
}

fn p6_no_call_is_made_twice(commands: &[Command], arrivals: &[Arrival]) {
    let mut arrived = HashSet::new();
    for arrival in arrivals {
        assert!(arrived.insert(&arrival.argument), "P6: sent twice: {arrival:?}");
    }
    let mut intended = HashSet::new();
    for command in commands {
        let by_policy = matches!(
            command.state,
            CommandState::Refused {
                by: RefusedBy::Policy,
                ..
            }
        );
        assert!(
            by_policy || intended.insert(&command.argument),
            "P6: meant twice: {command:?}"
        );
    }
}

fn p10_states_say_what_is_proven(commands: &[Command], arrivals: &[Arrival]) {
    for command in commands {
        let arrival = arrivals
            .iter()
            .find(|arrival| command.argument.as_deref() == Some(&arrival.argument));
        let proven = match (command.state, arrival) {
            (
                CommandState::Answered {
                    return_value: Some(value),
                    ..
                },
                Some(arrival),
            ) => arrival.acted && matches!(arrival.returned, Some((_, CallOutcome::Returned(told))) if told == value),
            (CommandState::Offline { .. }, Some(arrival)) => {
                matches!(arrival.returned, Some((_, CallOutcome::DeviceOffline)))
            }
            (
                CommandState::Refused {
                    by: RefusedBy::Cloud(_) | RefusedBy::RateLimit,
                    ..
                },
                Some(arrival),
            ) => !arrival.acted,
            // A refusal by no right: who asked again later may have been allowed.
            (
                CommandState::Refused {
                    by: RefusedBy::Policy, ..
                },
                _,
            ) if command.grant_id.is_none() => true,
            (
                CommandState::Refused {
                    by: RefusedBy::NotSent(_) | RefusedBy::Policy,
                    ..
                },
                arrival,
            ) => arrival.is_none(),
            // Whether it left died with the process, or with the answer.
            (CommandState::Unknown { .. }, _) => true,
            (
                CommandState::Answered { .. }
                | CommandState::Offline { .. }
                | CommandState::Refused { .. }
                | CommandState::Accepted
                | CommandState::Sent { .. }
                | CommandState::Expired { .. }
                | CommandState::Cancelled { .. },
                _,
            ) => false,
        };
        assert!(proven, "P10: {command:?} of {arrival:?}");
    }
}

/// What a caller was told stands in the ledger, also after a crash.
fn p10_answers_stand(life: &Life, commands: &[Command]) {
    let by_id: HashMap<CommandId, &Command> = commands.iter().map(|command| (command.id, command)).collect();
    for call in &*life.witness.calls.lock().unwrap() {
        let CallTold::Command { id, state } = &call.told else {
            continue;
        };
        let Some(command) = by_id.get(id) else {
            panic!("P3: told, and not in the ledger: {call:?}")
        };
        let stands = match (state, command.state) {
            (CommandState::Accepted | CommandState::Sent { .. }, _) => true,
            (CommandState::Unknown { .. }, CommandState::Answered { .. } | CommandState::Unknown { .. }) => true,
            (told, kept) => *told == kept,
        };
        assert!(stands, "P10: told {call:?}, kept {command:?}");
    }
}

fn p1_nothing_leaves_by_an_ended_grant(life: &Life, commands: &[Command], arrivals: &[Arrival]) {
    for end in &*life.witness.ends.lock().unwrap() {
        let by_it = arrivals
            .iter()
            .filter(|arrival| arrival.right.grant_id() == Some(end.grant_id));
        for arrival in by_it {
            assert!(arrival.departed < end.acknowledged, "P1: {arrival:?} after {end:?}");
            let under_way = arrival.returned.is_none_or(|(returned, _)| end.acknowledged < returned);
            let command = commands
                .iter()
                .find(|command| command.argument.as_deref() == Some(&arrival.argument));
            // Of a process that died before, nobody is left who could list it.
            let same_life = under_way && arrival.returned.is_some();
            let listed = command.is_some_and(|command| end.in_flight.contains(&command.id));
            assert!(
                !same_life || listed,
                "P1: under way and not listed: {arrival:?} in {end:?}"
            );
        }
    }
}

fn p7_only_what_was_granted_leaves(grants: &HashMap<GrantId, GrantRecord>, arrivals: &[Arrival]) {
    for arrival in arrivals {
        let record = arrival.right.grant_id().and_then(|id| grants.get(&id));
        let Some(record) = record else {
            panic!("P7: by no grant: {arrival:?}")
        };
        // An end by somebody's hand counts from its acknowledgement (P1), one by time from itself.
        let ends_at = record.grant.ends_at.filter(|_| record.closed_at.is_none());
        let in_time =
            record.grant.starts_at <= arrival.departed_at && ends_at.is_none_or(|end| arrival.departed_at < end);
        assert!(in_time, "P7: {arrival:?} by {record:?}");
    }
}

fn p2_one_owner(life: &Life, grants: &HashMap<GrantId, GrantRecord>) {
    let now = life.clock.now();
    let owners = grants.values().filter(|record| {
        record.grant.source == GrantSource::Owner && record.closed_at.is_none() && record.grant.is_in_force(now)
    });
    let mut owned: HashSet<DeviceId> = HashSet::new();
    for record in owners {
        assert!(owned.insert(record.grant.device_id), "P2: a second owner: {record:?}");
    }
}

async fn p3_acknowledged_events_are_there_once(life: &Life) {
    let mut stored: HashMap<u64, usize> = HashMap::new();
    for device_id in &life.site.devices {
        for number in numbers_of(life, *device_id).await {
            *stored.entry(number).or_default() += 1;
        }
    }
    for (number, times) in &stored {
        assert_eq!(*times, 1, "P3: event {number} is stored {times} times");
    }
    for said in &*life.witness.delivered.lock().unwrap() {
        assert!(stored.contains_key(&said.number), "P3: acknowledged and lost: {said:?}");
    }
    let complete = life
        .store
        .complete_intervals(life.site.product_id, Interval::ALWAYS)
        .await
        .unwrap();
    for said in &*life.witness.streamed.lock().unwrap() {
        let claimed = complete.contains(said.published_at);
        assert!(
            !claimed || stored.contains_key(&said.number),
            "P10: called complete, and missing: {said:?} in {complete:?}"
        );
    }
}

/// Of the events that this device said.
pub async fn numbers_of(life: &Life, device_id: DeviceId) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut page = Page::first(500);
    loop {
        let listed = life
            .app
            .events(&machine(ProductReach::All), device_id, Interval::ALWAYS, page)
            .await
            .unwrap();
        numbers.extend(listed.items.iter().map(|event| {
            let data: serde_json::Value = serde_json::from_str(event.data.as_deref().unwrap()).unwrap();
            data["n"].as_u64().unwrap()
        }));
        match listed.items.last() {
            Some(last) if listed.more => page = Page::after(last.cursor(), 500),
            Some(_) | None => return numbers,
        }
    }
}

/// S5: acknowledged at most once as the first, and always as the same.
async fn s5_one_registration(life: &Life) {
    let registered = life.witness.registered.lock().unwrap().clone();
    assert!(
        registered.iter().filter(|(first, _)| *first).count() <= 1,
        "S5: {registered:?}"
    );
    let Some((_, device_id)) = registered.first() else {
        return;
    };
    assert!(registered.iter().all(|(_, id)| id == device_id), "S5: {registered:?}");
    let known = life.store.device_by_cloud_id(&cloud_id(NEWCOMER)).await.unwrap();
    assert_eq!(known, Some(*device_id), "S5: acknowledged and lost");
}

async fn commands(life: &Life) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut page = Page::first(500);
    loop {
        let listed = life.store.commands(CommandFilter::default(), page).await.unwrap();
        commands.extend(listed.items);
        match commands.last() {
            Some(last) if listed.more => page = Page::after(last.id, 500),
            Some(_) | None => return commands,
        }
    }
}

async fn grants(life: &Life) -> HashMap<GrantId, GrantRecord> {
    let mut grants = HashMap::new();
    let mut page = Page::first(500);
    loop {
        let listed = life.store.grants(GrantFilter::default(), page).await.unwrap();
        let last = listed.items.last().map(|record| record.grant.id);
        grants.extend(listed.items.into_iter().map(|record| (record.grant.id, record)));
        match last {
            Some(last) if listed.more => page = Page::after(last, 500),
            Some(_) | None => return grants,
        }
    }
}

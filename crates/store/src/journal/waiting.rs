//! What is durable and not filed, in memory, and which part of it is filed next.
//!
//! The ledger is filed as a whole: its rows go to the young end of their tables, where they share
//! pages anyway. Events are filed device by device: what one device said lies together in every
//! index, what many devices said at one time lies on as many pages as there are devices.

use std::collections::BTreeSet;
use std::sync::Arc;

use ostler_core::id::{CommandId, DeviceId};

use super::{Filing, Jot};
use crate::id_map::IdMap;
use crate::ledger::{CommandRow, OutcomeRow};
use crate::telemetry::EventRow;

/// Filed at once under load: enough that pages are shared, few enough that a commit which files them
/// keeps nobody waiting for long.
const COMMANDS_AT_MOST: usize = 1024;
/// The more events wait, the more of each device lie together when they are filed: of 64 devices 256 of
/// each, in half the pages of 64. The longer takes a start after a crash, too: half a second.
const EVENTS_AT_MOST: usize = 16_384;
const EVENT_BYTES_AT_MOST: usize = 8 * 1_048_576;
/// Of one device's events so many are filed before anybody who waits for them lets others commit.
const PART: usize = 1024;
/// So many events are filed at once under load.
const SLICE: usize = 256;

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub ledger: usize,
    pub events: usize,
}

impl Counts {
    /// What to file in a moment in which nobody waits. Of events only once many lie together.
    pub fn worth_filing(self) -> Option<Filing<'static>> {
        if self.events >= EVENTS_AT_MOST / 2 {
            Some(Filing::Oldest(0))
        } else {
            (self.ledger >= COMMANDS_AT_MOST / 16).then_some(Filing::Ledger)
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The number of the journal's youngest row.
    last_row: i64,
    ledger: Arc<WaitingLedger>,
    events: IdMap<DeviceId, Vec<WaitingEvent>>,
    /// Which device has waited longest, by the row of its first event.
    order: BTreeSet<(i64, DeviceId)>,
    event_count: usize,
    event_bytes: usize,
}

#[derive(Debug, Clone, Default)]
pub(super) struct WaitingLedger {
    pub commands: Vec<CommandRow>,
    places: IdMap<CommandId, usize>,
    /// Of commands that have been filed.
    pub outcomes: Vec<OutcomeRow>,
}

#[derive(Debug, Clone)]
struct WaitingEvent {
    /// In which row of the journal it stands.
    row: i64,
    event: Arc<EventRow>,
}

/// A part of what waits, to be filed by one transaction.
#[derive(Debug)]
pub(crate) struct Portion {
    pub(super) ledger: Option<Arc<WaitingLedger>>,
    /// Device by device.
    pub(super) events: Vec<Arc<EventRow>>,
    /// How many events of which device.
    devices: Vec<(DeviceId, usize)>,
    /// What stands in older rows of the journal has been filed, then.
    pub(super) clears_before: i64,
}

impl Waiting {
    pub fn counts(&self) -> Counts {
        Counts {
            ledger: self.ledger.rows(),
            events: self.event_count,
        }
    }

    pub fn next_row(&self) -> i64 {
        self.last_row + 1
    }

    /// What has to be filed first, if there is no room for it.
    pub fn filing_that_makes_room_for(&self, jot: &Jot) -> Option<Filing<'static>> {
        let bytes: usize = jot.events.iter().map(|event| event.bytes()).sum();
        let events_fit =
            self.event_count + jot.events.len() <= EVENTS_AT_MOST && self.event_bytes + bytes <= EVENT_BYTES_AT_MOST;
        let ledger_fits = self.ledger.rows() + jot.commands.len() + jot.outcomes.len() <= COMMANDS_AT_MOST;
        match (events_fit, ledger_fits) {
            (true, true) => None,
            (true, false) => Some(Filing::Ledger),
            (false, _) => Some(Filing::Oldest(jot.events.len())),
        }
    }

    pub fn add(&mut self, jot: Jot) {
        self.last_row += 1;
        let Jot {
            commands,
            outcomes,
            events,
        } = jot;
        if !(commands.is_empty() && outcomes.is_empty()) {
            Arc::make_mut(&mut self.ledger).add(commands, outcomes);
        }
        for event in events {
            self.event_count += 1;
            self.event_bytes += event.bytes();
            let device_id = event.device_id();
            let of_device = self.events.entry(device_id).or_default();
            if of_device.is_empty() {
                self.order.insert((self.last_row, device_id));
            }
            let row = self.last_row;
            of_device.push(WaitingEvent { row, event });
        }
    }

    /// Whether nothing of that waits.
    pub fn has_filed(&self, filing: Filing<'_>) -> bool {
        let ledger = self.ledger.rows() == 0;
        match filing {
            Filing::Ledger => ledger,
            Filing::Devices(devices) => ledger && self.count_of(devices) == 0,
            // Of the ledger something may wait all the time.
            Filing::MostOf(devices) => self.count_of(devices) <= PART,
            Filing::Oldest(_) | Filing::Everything => ledger && self.event_count == 0,
        }
    }

    /// What of that waits.
    pub fn portion(&self, filing: Filing<'_>) -> Portion {
        let devices = match filing {
            Filing::Ledger => Vec::new(),
            Filing::Devices(devices) => self.waiting_of(devices, usize::MAX),
            Filing::MostOf(devices) => self.waiting_of(devices, PART),
            Filing::Oldest(at_least) => self.longest_waiting(SLICE.max(at_least)),
            Filing::Everything => self.longest_waiting(self.event_count),
        };
        let events = devices
            .iter()
            .flat_map(|(device, count)| &self.events[device][..*count]);
        Portion {
            ledger: (self.ledger.rows() > 0).then(|| Arc::clone(&self.ledger)),
            events: events.map(|waiting| Arc::clone(&waiting.event)).collect(),
            clears_before: self.oldest_row_without(&devices),
            devices,
        }
    }

    fn count_of(&self, devices: &[DeviceId]) -> usize {
        let distinct: BTreeSet<&DeviceId> = devices.iter().collect();
        let of_each = distinct.into_iter().filter_map(|device| self.events.get(device));
        of_each.map(Vec::len).sum()
    }

    fn waiting_of(&self, devices: &[DeviceId], at_most: usize) -> Vec<(DeviceId, usize)> {
        let distinct: BTreeSet<DeviceId> = devices.iter().copied().collect();
        let mut room = at_most;
        let waits = |device| {
            let count = self.events.get(&device)?.len().min(room);
            room -= count;
            (count > 0).then_some((device, count))
        };
        distinct.into_iter().filter_map(waits).collect()
    }

    fn longest_waiting(&self, mut wanted: usize) -> Vec<(DeviceId, usize)> {
        let mut devices = Vec::new();
        for (_, device) in &self.order {
            if wanted == 0 {
                break;
            }
            let count = self.events[device].len().min(wanted);
            wanted -= count;
            devices.push((*device, count));
        }
        devices
    }

    /// The oldest row that still holds something once the ledger and so many events of these devices
    /// are gone.
    fn oldest_row_without(&self, devices: &[(DeviceId, usize)]) -> i64 {
        let gone: IdMap<DeviceId, usize> = devices.iter().copied().collect();
        let mut oldest = self.last_row + 1;
        for (row, device) in &self.order {
            match gone.get(device) {
                Some(count) => {
                    let next = self.events[device].get(*count);
                    oldest = next.map_or(oldest, |waiting| waiting.row.min(oldest));
                }
                // The devices stand in the order of their first rows: nothing older follows.
                None => return oldest.min(*row),
            }
        }
        oldest
    }

    /// The portion has been filed.
    pub fn take(&mut self, portion: &Portion) {
        self.ledger = Arc::new(self.ledger.emptied());
        for (device, count) in &portion.devices {
            let Some(of_device) = self.events.get_mut(device) else {
                continue;
            };
            self.order.remove(&(of_device[0].row, *device));
            for filed in of_device.drain(..*count) {
                self.event_count -= 1;
                self.event_bytes -= filed.event.bytes();
            }
            match of_device.first() {
                Some(next) => drop(self.order.insert((next.row, *device))),
                None => drop(self.events.remove(device)),
            }
        }
    }
}

impl WaitingLedger {
    pub fn rows(&self) -> usize {
        self.commands.len() + self.outcomes.len()
    }

    /// With room for as many commands again.
    fn emptied(&self) -> Self {
        Self {
            commands: Vec::with_capacity(self.commands.len()),
            ..Self::default()
        }
    }

    fn add(&mut self, commands: Vec<CommandRow>, outcomes: Vec<OutcomeRow>) {
        for command in commands {
            self.places.insert(command.id(), self.commands.len());
            self.commands.push(command);
        }
        for outcome in outcomes {
            match self.places.get(&outcome.command_id()) {
                Some(place) => self.commands[*place].settle(outcome),
                None => self.outcomes.push(outcome),
            }
        }
    }
}

impl Portion {
    /// All that the journal holds, when only the journal can say. A part of a row may have been filed,
    /// and is filed once more, which changes nothing. So no outcome is made part of its command here:
    /// where the command has been filed, only the outcome is news.
    pub(super) fn of_journal(jots: Vec<Jot>) -> Self {
        let mut ledger = WaitingLedger::default();
        let mut events = Vec::new();
        for jot in jots {
            ledger.commands.extend(jot.commands);
            ledger.outcomes.extend(jot.outcomes);
            events.extend(jot.events);
        }
        events.sort_by_key(|event| event.device_id());
        Self {
            ledger: (ledger.rows() > 0).then(|| Arc::new(ledger)),
            events,
            devices: Vec::new(),
            clears_before: i64::MAX,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    pub fn rows(&self) -> usize {
        self.events.len() + self.ledger.as_ref().map_or(0, |ledger| ledger.rows())
    }
}

#[cfg(test)]
mod tests {
    use ostler_core::event::CloudEvent;
    use ostler_core::id::EventId;
    use ostler_core::mapping::TimeSource;
    use ostler_core::time::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::{Door, NewEvent};

    fn device(number: u8) -> DeviceId {
        format!("dev_{number:026}").parse().unwrap()
    }

    /// The `number`th event of all.
    fn event(number: usize, of: u8) -> Arc<EventRow> {
        let at = Timestamp::from_millis(number as i64);
        let identity = CloudEvent {
            source: None,
            name: "t".to_owned(),
            data: None,
            published_at: at,
            vendor_event_id: None,
        }
        .identity();
        let event_id: EventId = format!("evt_{number:026}").parse().unwrap();
        Arc::new(EventRow::from(NewEvent {
            id: event_id,
            device_id: device(of),
            identity,
            name: "t".to_owned(),
            data: Some("x".repeat(number % 7)),
            vendor_event_id: None,
            door: Door::Hook,
            published_at: at,
            received_at: at,
            time: at,
            time_source: TimeSource::Cloud,
            points: Vec::new(),
            heard: None,
        }))
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(Vec<u8>),
        File(Vec<u8>),
        FileMostOf(Vec<u8>),
        FileOldest,
        FileEverything,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let devices = || proptest::collection::vec(0..6_u8, 0..90);
        let step = prop_oneof![
            6 => devices().prop_map(Step::Add),
            2 => proptest::collection::vec(0..6_u8, 0..3).prop_map(Step::File),
            2 => proptest::collection::vec(0..6_u8, 0..3).prop_map(Step::FileMostOf),
            2 => Just(Step::FileOldest),
            1 => Just(Step::FileEverything),
        ];
        proptest::collection::vec(step, 1..30)
    }

    proptest! {
        /// Each event is filed once, those of a device in their order, and the journal keeps each row for
        /// as long as something in it waits.
        #[test]
        fn property_nothing_is_filed_twice_or_cleared_too_early(steps in steps()) {
            let mut waiting = Waiting::default();
            // What waits: its row, its device, its event.
            let mut model: Vec<(i64, u8, Arc<EventRow>)> = Vec::new();
            let (mut number, mut row) = (0, 0);
            for step in steps {
                let named: Vec<DeviceId>;
                let filing = match &step {
                    Step::Add(devices) => {
                        row += 1;
                        let first = model.len();
                        for of in devices {
                            number += 1;
                            model.push((row, *of, event(number, *of)));
                        }
                        let events = model[first..].iter().map(|(_, _, event)| Arc::clone(event)).collect();
                        waiting.add(Jot { events, ..Jot::default() });
                        continue;
                    }
                    Step::File(devices) => {
                        named = devices.iter().copied().map(device).collect();
                        Filing::Devices(&named)
                    }
                    Step::FileMostOf(devices) => {
                        named = devices.iter().copied().map(device).collect();
                        Filing::MostOf(&named)
                    }
                    Step::FileOldest => Filing::Oldest(0),
                    Step::FileEverything => Filing::Everything,
                };
                let portion = waiting.portion(filing);
                let is_filed = |event: &Arc<EventRow>| portion.events.iter().any(|filed| Arc::ptr_eq(filed, event));
                let due = |of: u8| match &step {
                    Step::File(devices) | Step::FileMostOf(devices) => devices.contains(&of),
                    Step::Add(_) | Step::FileOldest | Step::FileEverything => true,
                };
                let waits = model.iter().filter(|(_, of, _)| due(*of)).count();
                let expected = match &step {
                    Step::FileOldest => waits.min(SLICE),
                    Step::FileMostOf(_) => waits.min(PART),
                    Step::Add(_) | Step::File(_) | Step::FileEverything => waits,
                };
                prop_assert_eq!(portion.events.len(), expected);
                for of in 0..6 {
                    let mut of_device = model.iter().filter(|(_, each, _)| *each == of);
                    let filed = of_device.by_ref().take_while(|(_, _, event)| is_filed(event)).count();
                    prop_assert!(of_device.all(|(_, _, event)| !is_filed(event)), "of one device the oldest go first");
                    let in_portion = portion.events.iter().filter(|event| event.device_id() == device(of)).count();
                    prop_assert_eq!(filed, in_portion);
                }
                model.retain(|(_, _, event)| !is_filed(event));
                let oldest = model.first().map_or(row + 1, |(row, _, _)| *row);
                prop_assert_eq!(portion.clears_before, oldest);
                waiting.take(&portion);
                prop_assert_eq!(waiting.counts(), Counts { ledger: 0, events: model.len() });
                let left = waits - expected;
                let is_done = match filing {
                    Filing::Oldest(_) => model.is_empty(),
                    Filing::MostOf(_) => left <= PART,
                    Filing::Ledger | Filing::Devices(_) | Filing::Everything => true,
                };
                prop_assert_eq!(waiting.has_filed(filing), is_done);
                prop_assert_eq!(waiting.event_bytes, model.iter().map(|(_, _, event)| event.bytes()).sum::<usize>());
            }
        }
    }

    #[test]
    fn what_is_filed_to_make_room_is_what_lacks_it() {
        let mut waiting = Waiting::default();
        let jot = |count: usize| Jot {
            events: (0..count).map(|number| event(number, (number % 5) as u8)).collect(),
            ..Jot::default()
        };
        assert_eq!(waiting.filing_that_makes_room_for(&jot(10)), None);
        waiting.add(jot(EVENTS_AT_MOST - 10));
        assert_eq!(waiting.filing_that_makes_room_for(&jot(10)), None);
        assert_eq!(waiting.filing_that_makes_room_for(&jot(11)), Some(Filing::Oldest(11)));
        assert!(waiting.counts().worth_filing().is_some());
        let portion = waiting.portion(Filing::Oldest(11));
        waiting.take(&portion);
        assert_eq!(waiting.filing_that_makes_room_for(&jot(11)), None);
    }
}

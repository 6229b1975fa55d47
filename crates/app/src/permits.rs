//! The permits that are out, so that whoever ends a right can wait for them (P1).
//!
//! A slot is opened before facts are read and closed when the act is over. Draining waits for
//! every slot that was opened before it: until its permit departed or was given back, or is past
//! `send_by`, at most 250 ms. It asks nobody which right a permit rests on: waiting a moment for
//! all is cheaper than being wrong about one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ostler_core::id::{CommandId, CustomerId, GrantId, TokenFamilyId};
use ostler_core::permit::{PERMIT_LIFETIME, Ticket, TicketState};
use ostler_core::port::Clock;

/// How often a drain looks again. Permits usually depart within a millisecond or two.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Rights whose permit lapsed before it could leave are judged again, but not for ever.
pub(crate) const JUDGED_AT_MOST: usize = 4;

/// The pause before rights are judged again. The calendar counts whole milliseconds, and a right gives
/// no permit in its last one that could still leave; after the pause that right is seen to have ended.
pub(crate) async fn before_judging_again() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub struct Permits {
    out: Mutex<Out>,
    reach: Reach,
}

/// Who else may hold permits that rest on the same database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// SQLite: this process alone has it open.
    ThisProcess,
    /// PostgreSQL: other instances may, whose permits are not seen here. They lapse all the same.
    OtherInstances,
}

#[derive(Default)]
struct Out {
    next: u64,
    slots: BTreeMap<u64, Occupied>,
}

struct Occupied {
    lapses_at: Instant,
    judged: Option<Judged>,
}

/// What a slot holds once policy has said yes.
#[derive(Clone)]
pub struct Judged {
    pub ticket: Arc<Ticket>,
    pub basis: Basis,
    /// `None` for a read, which leaves no trace in the ledger.
    pub command_id: Option<CommandId>,
}

/// On what a permit rests; what ends when one of these ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    pub grant_id: Option<GrantId>,
    pub customer_id: Option<CustomerId>,
    pub family_id: TokenFamilyId,
}

/// The right that has just been ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Grant(GrantId),
    TokenFamily(TokenFamilyId),
    Customer(CustomerId),
}

impl Ended {
    fn concerns(self, basis: &Basis) -> bool {
        match self {
            Self::Grant(grant_id) => basis.grant_id == Some(grant_id),
            Self::TokenFamily(family_id) => basis.family_id == family_id,
            Self::Customer(customer_id) => basis.customer_id == Some(customer_id),
        }
    }
}

/// A place among the permits that are out. Closed on drop.
pub struct Slot {
    permits: Arc<Permits>,
    number: u64,
    opened_at: Instant,
}

impl Permits {
    pub fn new(reach: Reach) -> Self {
        Self {
            out: Mutex::default(),
            reach,
        }
    }

    /// To be called before facts are read.
    pub fn open(self: &Arc<Self>, clock: &dyn Clock) -> Slot {
        let opened_at = clock.instant();
        let mut out = self.lock();
        let number = out.next;
        out.next += 1;
        out.slots.insert(
            number,
            Occupied {
                lapses_at: opened_at + PERMIT_LIFETIME,
                judged: None,
            },
        );
        Slot {
            permits: Arc::clone(self),
            number,
            opened_at,
        }
    }

    /// Waits until no permit that was judged before can still depart. To be called after the
    /// commit that ended the right; then answers with the commands that had already left.
    pub async fn drain(&self, ended: Ended, clock: &dyn Clock) -> Vec<CommandId> {
        let limit = self.settle(clock).await;
        self.lock().departed(limit, ended)
    }

    /// Waits likewise, for whoever has no commands to tell. Returns the number past those it waited for.
    pub async fn settle(&self, clock: &dyn Clock) -> u64 {
        let limit = self.lock().next;
        if self.reach == Reach::OtherInstances {
            tokio::time::sleep(PERMIT_LIFETIME).await;
        }
        while self.lock().any_may_depart(limit, clock.instant()) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        limit
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        // Nothing panics while it holds this lock; a poisoned map is still a whole one.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Out {
    fn any_may_depart(&self, limit: u64, now: Instant) -> bool {
        self.slots.range(..limit).any(|(_, occupied)| occupied.may_depart(now))
    }

    fn departed(&self, limit: u64, ended: Ended) -> Vec<CommandId> {
        let mut commands: Vec<_> = self
            .slots
            .range(..limit)
            .filter_map(|(_, occupied)| occupied.judged.as_ref())
            .filter(|judged| ended.concerns(&judged.basis))
            .filter(|judged| judged.ticket.state() == TicketState::Departed)
            .filter_map(|judged| judged.command_id)
            .collect();
        commands.sort_unstable();
        commands
    }
}

impl Occupied {
    /// Past `send_by` the adapter refuses, whatever the ticket says.
    fn may_depart(&self, now: Instant) -> bool {
        let held = match &self.judged {
            None => true,
            Some(judged) => judged.ticket.state() == TicketState::Held,
        };
        held && now < self.lapses_at
    }
}

impl Slot {
    /// The moment before facts are read, for [`ostler_core::policy::Facts::read_after`].
    pub fn opened_at(&self) -> Instant {
        self.opened_at
    }

    pub fn judged(&self, judged: Judged) {
        if let Some(occupied) = self.permits.lock().slots.get_mut(&self.number) {
            occupied.judged = Some(judged);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.permits.lock().slots.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::port::Entropy;
    use ostler_core::time::Timestamp;

    /// Monotonic time as tokio's paused clock tells it.
    struct Paused(Instant, tokio::time::Instant);

    impl Paused {
        #[expect(clippy::disallowed_methods, reason = "the test's own edge")]
        fn new() -> Self {
            Self(Instant::now(), tokio::time::Instant::now())
        }
    }

    impl Clock for Paused {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }
        fn instant(&self) -> Instant {
            self.0 + self.1.elapsed()
        }
    }

    struct Numbers(std::sync::atomic::AtomicU8);
    impl Entropy for Numbers {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn judged(entropy: &Numbers) -> Judged {
        let at = Timestamp::from_millis(0);
        Judged {
            ticket: Arc::default(),
            basis: Basis {
                grant_id: Some(GrantId::draw(at, entropy)),
                customer_id: Some(CustomerId::draw(at, entropy)),
                family_id: TokenFamilyId::draw(at, entropy),
            },
            command_id: Some(CommandId::draw(at, entropy)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_what_may_still_depart_and_no_longer() {
        let (clock, permits) = (Paused::new(), Arc::new(Permits::new(Reach::ThisProcess)));
        let ended = Ended::Grant(GrantId::draw(Timestamp::from_millis(0), &Numbers(9.into())));
        let _undecided = permits.open(&clock);
        let start = clock.instant();
        assert_eq!(permits.drain(ended, &clock).await, []);
        let waited = clock.instant() - start;
        assert!(waited >= PERMIT_LIFETIME && waited < PERMIT_LIFETIME * 2, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_had_left_is_listed_for_the_right_that_ended() {
        let (clock, permits, numbers) = (
            Paused::new(),
            Arc::new(Permits::new(Reach::ThisProcess)),
            Numbers(1.into()),
        );
        let (mine, other) = (judged(&numbers), judged(&numbers));
        let slots = [permits.open(&clock), permits.open(&clock)];
        slots[0].judged(mine.clone());
        slots[1].judged(other);
        assert!(mine.ticket.depart());
        let by_grant = Ended::Grant(mine.basis.grant_id.unwrap());
        assert_eq!(permits.drain(by_grant, &clock).await, [mine.command_id.unwrap()]);
        let by_customer = Ended::Customer(mine.basis.customer_id.unwrap());
        assert_eq!(permits.drain(by_customer, &clock).await, [mine.command_id.unwrap()]);
        drop(slots);
        assert_eq!(permits.drain(by_customer, &clock).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn permits_of_other_instances_are_given_time_to_lapse() {
        let (clock, permits) = (Paused::new(), Permits::new(Reach::OtherInstances));
        let start = clock.instant();
        permits.settle(&clock).await;
        assert!(clock.instant() - start >= PERMIT_LIFETIME);
    }
}

//! The program's edge: the only place of this crate that reads a clock, draws random numbers or
//! sees the environment. Everything else is handed what it needs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ostler_core::port::{Clock, Entropy};
use ostler_core::time::Timestamp;
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroize as _;

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

/// From this length on, bytes may be a secret: a token, a key.
const SECRET_LEN: usize = 32;

impl Entropy for OsEntropy {
    /// A secret comes straight from the operating system. Ids and salts, of which each request draws
    /// several, are cut from a block that the operating system filled: it is the same source, and a
    /// system call each would cost more than the id.
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() < SECRET_LEN {
            BLOCK.with_borrow_mut(|block| block.take(bytes));
        } else {
            from_system(bytes);
        }
    }
}

fn from_system(bytes: &mut [u8]) {
    SysRng
        .try_fill_bytes(bytes)
        .expect("an operating system without random numbers cannot run a server that mints tokens");
}

const BLOCK_LEN: usize = 1024;

thread_local! {
    static BLOCK: RefCell<Block> = const { RefCell::new(Block { bytes: [0; BLOCK_LEN], used: BLOCK_LEN }) };
}

/// Random bytes of one thread, each handed out once and wiped then. This process never forks, which
/// would hand them out twice.
struct Block {
    bytes: [u8; BLOCK_LEN],
    used: usize,
}

impl Block {
    fn take(&mut self, bytes: &mut [u8]) {
        if BLOCK_LEN - self.used < bytes.len() {
            from_system(&mut self.bytes);
            self.used = 0;
        }
        let taken = &mut self.bytes[self.used..][..bytes.len()];
        bytes.copy_from_slice(taken);
        taken.zeroize();
        self.used += bytes.len();
    }
}

/// The variables this program answers to: `OSTLER_…`, and those by which systemd speaks to it.
/// What is not UTF-8 cannot be one of ours.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge where the environment comes in"
)]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("OSTLER_") || name == "NOTIFY_SOCKET" || name == "WATCHDOG_USEC")
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use ostler_core::port::random_bytes;

    #[test]
    fn the_edge_yields_this_century_and_changing_bytes() {
        assert!(SystemClock.now() > Timestamp::from_millis(1_700_000_000_000));
        assert_ne!(random_bytes::<16>(&OsEntropy), random_bytes::<16>(&OsEntropy));
    }

    #[test]
    fn small_draws_never_repeat_over_many_blocks_and_leave_nothing_behind() {
        let drawn: BTreeSet<_> = (0..1000).map(|_| random_bytes::<13>(&OsEntropy)).collect();
        assert_eq!(drawn.len(), 1000);
        BLOCK.with_borrow(|block| assert!(block.bytes[..block.used].iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn what_may_be_a_secret_does_not_come_from_the_block() {
        random_bytes::<1>(&OsEntropy);
        let used = BLOCK.with_borrow(|block| block.used);
        random_bytes::<SECRET_LEN>(&OsEntropy);
        assert_eq!(BLOCK.with_borrow(|block| block.used), used);
    }
}

//! Chance from a seed (SplitMix64), so that a seed repeats its decisions.

use std::time::Duration;

use ostler_core::port::Entropy;
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }

    /// Another source that does not depend on what this one is asked later.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

/// Bytes that differ at each call, and between seeds.
pub struct SeededEntropy {
    seed: u64,
    count: AtomicU64,
}

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            count: AtomicU64::new(0),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        for (index, chunk) in bytes.chunks_mut(32).enumerate() {
            let block = Sha256::digest([self.seed, count, index as u64].map(u64::to_be_bytes).concat());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

//! Chance that can be computed again: every value is a function of a seed and a place in time, not
//! of how many values were drawn before. So a device lives the same life in every run and after a
//! restart.

/// SplitMix64's finaliser over seed and position: well spread, cheap, not secret.
pub(crate) fn mix(seed: u64, position: u64) -> u64 {
    let mut z = seed.wrapping_add(position.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in `[0, 1)`.
pub(crate) fn unit(seed: u64, position: u64) -> f64 {
    // 53 bits are exactly what an f64 holds.
    (mix(seed, position) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Uniform in `[low, high)`.
pub(crate) fn between(seed: u64, position: u64, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(seed, position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spread_evenly_and_repeat() {
        let mean = (0..10_000).map(|n| unit(7, n)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_eq!(mix(7, 42), mix(7, 42));
        assert_ne!(mix(7, 42), mix(8, 42));
    }
}

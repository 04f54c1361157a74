//! The one source of chance: for lifetimes, pauses, and names that nobody else uses. The same seed gives the same numbers.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    sync::atomic::{AtomicU64, Ordering},
};

/// `SplitMix64`: <https://prng.di.unimi.it/splitmix64.c>
#[derive(Debug)]
pub struct Chance(AtomicU64);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A source with a seed of its own in each process and for each call.
    pub fn of_the_system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "its keys are the standard library's source of chance")]
        let keys = RandomState::new();
        Self::seeded(keys.hash_one(0))
    }

    pub fn number(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut number = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// The next number, as one from 0 to 1, without 1.
    pub(in crate::pg) fn fraction(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what an `f64` holds")]
        let fraction = (self.number() >> 11) as f64 / (1u64 << 53) as f64;
        fraction
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let [one, other] = [7, 7].map(Chance::seeded);
        let numbers = |chance: &Chance| (0..100).map(|_| chance.number()).collect::<Vec<_>>();
        assert_eq!(numbers(&one), numbers(&other));
        assert_ne!(numbers(&one), numbers(&Chance::seeded(8)));
    }

    #[test]
    fn a_fraction_is_anywhere_between_0_and_1() {
        let chance = Chance::of_the_system();
        let fractions: Vec<f64> = (0..10_000).map(|_| chance.fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        assert!(fractions.iter().any(|fraction| *fraction < 0.1) && fractions.iter().any(|fraction| *fraction > 0.9));
    }
}

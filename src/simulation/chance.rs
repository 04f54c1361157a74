//! What a plan is drawn with: a seed gives the same numbers on every machine.

use crate::pg;

pub(super) struct Chance(pg::Chance);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(pg::Chance::seeded(seed))
    }

    /// A number less than `limit`, which is not 0.
    pub(super) fn below(&self, limit: usize) -> usize {
        usize::try_from(self.0.number() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(super) fn happens(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one_of<T: Clone>(&self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

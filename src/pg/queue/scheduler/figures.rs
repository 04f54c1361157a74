//! What has happened so far, counted.

use std::time::Duration;

/// The upper bounds of all buckets but the last, in milliseconds: those that OpenTelemetry's conventions give to durations of
/// database clients.
pub const BUCKETS_MS: [u32; 9] = [1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000];

/// How often something took how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    pub sum: Duration,
    pub buckets: [u64; BUCKETS_MS.len() + 1],
}

impl Times {
    pub(super) fn add(&mut self, time: Duration) {
        let bucket = BUCKETS_MS.iter().position(|bound| time <= Duration::from_millis((*bound).into()));
        self.buckets[bucket.unwrap_or(BUCKETS_MS.len())] += 1;
        self.sum += time;
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections.
    pub opened: u64,
    /// Connections that ended while they were still of use.
    pub lost: u64,
    /// Calls that were queued once more.
    pub retried: u64,
    /// Statements that the server was told to cancel.
    pub cancelled: u64,
    /// Calls that were rejected with `OUTCOME_UNKNOWN`, with `QUERY_TIMEOUT`, with `CONNECT_TIMEOUT`.
    pub unknown: u64,
    pub query_timeouts: u64,
    pub connect_timeouts: u64,
    /// How long the oldest call of each statement has waited for a connection.
    pub waits: Times,
    /// How long each statement has used one.
    pub uses: Times,
}

/// Why a call was rejected, as far as that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pg::queue) enum Rejection {
    /// `OUTCOME_UNKNOWN`.
    Unknown,
    QueryTimeout,
    ConnectTimeout,
}

impl Figures {
    pub(super) fn reject(&mut self, rejection: Rejection) {
        *match rejection {
            Rejection::Unknown => &mut self.unknown,
            Rejection::QueryTimeout => &mut self.query_timeouts,
            Rejection::ConnectTimeout => &mut self.connect_timeouts,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut times = Times::default();
        for micros in [0, 1_000, 1_001, 10_000_000, 10_000_001] {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!(times.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(times.sum, Duration::from_micros(20_002_002));
    }
}

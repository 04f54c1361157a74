//! Each policy in its own words.

mod batches;

mod shares;

mod near;

mod fresh;

mod again;

mod contention;

mod opening;

mod failing;

mod closing;

mod lending;

mod ending;

mod waking;

mod figures;

mod steps;

//! A simulated PostgreSQL on a clock that moves only when nothing can run: histories of calls and faults, each the same
//! every time that its seed is run.

#[cfg(test)]
mod interleavings;

#[cfg(test)]
mod histories;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod threads;

#[cfg(test)]
mod panicking;

mod regression;

mod shrink;

mod check;

mod promises;

mod run;

mod watch;

mod generate;

mod emphasis;

mod kinds;

mod draw;

mod network;

mod session;

mod outlet;

mod exchange;

mod query;

mod transaction;

mod event;

mod world;

mod state;

mod block;

mod call;

mod record;

mod plan;

mod recognise;

mod statement;

mod scram;

mod database;

mod answer;

mod request;

mod chance;

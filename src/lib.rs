//! Lucia's PostgreSQL adapter as a Node native addon. The floors, from the top: what JavaScript sees, what Lucia
//! means, what PostgreSQL speaks. A module imports from a lower floor, or from a later module of its own.

#[cfg_attr(
    test,
    expect(clippy::allow_attributes, reason = "`expect(dead_code)` does not see into a module"),
    allow(dead_code, reason = "it is Node that calls in")
)]
mod js;

#[cfg(test)]
mod simulation;

mod lucia;

mod pg;

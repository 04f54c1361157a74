//! Histories from seeds, many of them: `npm run simulate`.

use std::{collections::BTreeMap, env, fmt::Write, str::FromStr};

use super::{
    check::violations,
    generate,
    plan::Plan,
    regression,
    run::run,
    shrink::{kind, shrink},
};

/// Histories of a usual test run.
const USUAL: u64 = 4_000;

pub(super) fn variable<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

/// The smallest plan that violates the same, and what happens when it is run.
fn explain(plan: Plan, violation: &str) -> String {
    let plan =
        shrink(plan, |plan| violations(plan, &run(plan, false)).iter().any(|other| kind(other) == kind(violation)));
    let record = run(&plan, true);
    let settings = Plan { calls: Vec::new(), faults: Vec::new(), events: Vec::new(), ..plan.clone() };
    let mut text = format!("{settings:?}\n");
    for fault in &plan.faults {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{fault:?}");
    }
    for line in record.trace.iter().flatten().chain(&violations(&plan, &record)) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

#[test]
fn every_history_keeps_what_is_promised() {
    let from = variable("SIMULATION_FROM").unwrap_or(0);
    let seeds = variable("SIMULATION_SEEDS").unwrap_or(USUAL);
    // Of each kind of violation, how many seeds show it, and the first.
    let mut found: BTreeMap<String, (usize, u64, String)> = BTreeMap::new();
    for seed in from..from + seeds {
        let plan = generate::plan(seed);
        let record = run(&plan, false);
        if let Some(first) = violations(&plan, &record).into_iter().next() {
            found.entry(kind(&first)).or_insert((0, seed, first)).0 += 1;
        }
    }
    for (count, seed, violation) in found.values() {
        println!("{count} of {seeds} histories, the first of seed {seed}: {violation}");
    }
    if let Some((_, seed, violation)) = found.values().min_by_key(|(_, seed, _)| seed) {
        panic!("seed {seed}: {violation}\n{}", explain(generate::plan(*seed), violation));
    }
}

#[test]
fn a_seed_is_one_history_to_the_last_event() {
    for seed in 0..50 {
        let plan = generate::plan(seed);
        let [one, other] = [(), ()].map(|()| run(&plan, true).trace.unwrap());
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn what_was_found_stays_mended() {
    for (name, plan) in regression::plans() {
        let found = violations(&plan, &run(&plan, false));
        assert!(found.is_empty(), "{name}: {found:?}\n{}", run(&plan, true).trace.unwrap().join("\n"));
    }
}

#[test]
fn a_plan_is_shrunk_to_what_it_takes() {
    let seed = (0..1_000).find(|seed| {
        let plan = generate::plan(*seed);
        plan.calls.len() > 20 && plan.faults.len() > 2
    });
    let plan = generate::plan(seed.unwrap());
    let (call, connection) = (plan.calls[7].number, plan.faults[1].connection);
    let small = shrink(plan, |plan| {
        plan.calls.iter().any(|planned| planned.number == call)
            && plan.faults.iter().any(|fault| fault.connection == connection)
    });
    assert_eq!((small.calls.len(), small.faults.len(), small.events.len()), (1, 1, 0));
}

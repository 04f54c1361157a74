//! Makes a plan that violates a promise as small as it can be, by leaving things out.

use super::plan::Plan;

/// Plans that are tried.
const ATTEMPTS: usize = 400;

/// What kind of violation a text tells of, whichever call it is about.
pub(super) fn kind(violation: &str) -> String {
    let text = violation.split_once(": is ").map_or(violation, |(_, text)| text);
    text.chars().filter(|letter| !letter.is_ascii_digit()).take(40).collect()
}

/// The smallest plan that `is_violated` is still true of.
pub(super) fn shrink(mut plan: Plan, is_violated: impl Fn(&Plan) -> bool) -> Plan {
    let mut attempts = 0;
    let mut keeps = |smaller: Plan, plan: &mut Plan| {
        attempts += 1;
        let is_violated = attempts <= ATTEMPTS && is_violated(&smaller);
        if is_violated {
            *plan = smaller;
        }
        is_violated
    };
    loop {
        let mut is_smaller = false;
        for list in [List::Calls, List::Faults, List::Events] {
            let mut piece = list.length(&plan).div_ceil(2);
            while piece > 0 {
                let mut at = 0;
                while at < list.length(&plan) {
                    let mut smaller = plan.clone();
                    list.remove(&mut smaller, at, piece);
                    if keeps(smaller, &mut plan) {
                        is_smaller = true;
                    } else {
                        at += piece;
                    }
                }
                piece /= 2;
            }
        }
        let plainer: [fn(&mut Plan); 8] = [
            |plan| plan.has_rule = false,
            |plan| plan.target = None,
            |plan| plan.end = None,
            |plan| plan.has_password = false,
            |plan| plan.query_timeout = None,
            |plan| plan.idle_timeout = None,
            |plan| plan.max_lifetime = None,
            |plan| plan.has_pooler = false,
        ];
        for make_plainer in plainer {
            let mut smaller = plan.clone();
            make_plainer(&mut smaller);
            if format!("{smaller:?}") != format!("{plan:?}") {
                is_smaller |= keeps(smaller, &mut plan);
            }
        }
        if !is_smaller {
            return plan;
        }
    }
}

#[derive(Clone, Copy)]
enum List {
    Calls,
    Faults,
    Events,
}

impl List {
    fn length(self, plan: &Plan) -> usize {
        match self {
            Self::Calls => plan.calls.len(),
            Self::Faults => plan.faults.len(),
            Self::Events => plan.events.len(),
        }
    }

    fn remove(self, plan: &mut Plan, at: usize, count: usize) {
        let range = at..(at + count).min(self.length(plan));
        match self {
            Self::Calls => drop(plan.calls.drain(range)),
            Self::Faults => drop(plan.faults.drain(range)),
            Self::Events => drop(plan.events.drain(range)),
        }
    }
}

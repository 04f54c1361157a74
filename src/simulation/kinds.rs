//! Every kind of trouble and of happening that a plan may draw, and how often.

use std::time::Duration;

use super::{
    answer::Author,
    chance::Chance,
    database::{TABLES, Table},
    draw::{LASTS, MOMENT, SECOND, WAITS, cut},
    plan::{Happening, Plan, Trouble},
};

pub(super) struct Kind<T> {
    pub(super) name: &'static str,
    /// Of the sum of all that are possible.
    weight: usize,
    is_possible: fn(&Plan) -> bool,
    draw: fn(&Chance, &Plan) -> T,
}

const fn kind<T>(name: &'static str, weight: usize, draw: fn(&Chance, &Plan) -> T) -> Kind<T> {
    Kind { name, weight, is_possible: |_| true, draw }
}

pub(super) const TROUBLES: [Kind<Trouble>; 10] = [
    kind("Wait", 3, |chance, _| Trouble::Wait(chance.one_of(&WAITS))),
    kind("Reset", 3, |chance, _| Trouble::Reset(cut(chance))),
    kind("Silence", 1, |chance, _| Trouble::Silence(cut(chance))),
    kind("Error", 2, |chance, plan| {
        let is_pooled = plan.has_pooler && chance.happens(25);
        let refusals = &["40001", "40P01", "40001", "40P01", "0A000", "26000", "XX000", "55P03"];
        Trouble::Error(if is_pooled { "42P05" } else { chance.one_of(refusals) })
    }),
    kind("Fatal", 2, |chance, _| Trouble::Fatal(chance.one_of(&["57P01", "57P02", "57P05", "25P04", "XX000"]))),
    Kind {
        is_possible: |plan| plan.has_pooler,
        ..kind("Pooler", 3, |chance, _| Trouble::Pooler(chance.one_of(&[Author::Supavisor, Author::PgBouncer])))
    },
    kind("Notice", 1, |_, _| Trouble::Notice),
    kind("Split", 2, |chance, _| Trouble::Split(cut(chance), chance.one_of(&WAITS))),
    kind("Merge", 1, |chance, _| Trouble::Merge(chance.one_of(&WAITS))),
    kind("CutRequest", 2, |chance, _| Trouble::CutRequest(cut(chance))),
];

/// What makes a host of no use for a while.
pub(super) const OF_HOSTS: [Kind<Happening>; 7] = [
    kind("Crash", 1, |chance, plan| Happening::Crash { host: host(chance, plan), lasts: lasts(chance) }),
    kind("Shutdown", 1, |chance, plan| Happening::Shutdown { host: host(chance, plan), lasts: lasts(chance) }),
    kind("Recover", 1, |chance, plan| Happening::Recover { host: host(chance, plan), lasts: lasts(chance) }),
    kind("Refuse", 1, |chance, plan| Happening::Refuse { host: host(chance, plan), lasts: lasts(chance) }),
    kind("Hang", 1, |chance, plan| Happening::Hang { host: host(chance, plan), lasts: lasts(chance) }),
    kind("Slow", 1, |chance, plan| {
        let by = chance.one_of(&[100 * MOMENT, SECOND]);
        Happening::Slow { host: host(chance, plan), lasts: lasts(chance), by }
    }),
    kind("Full", 1, |chance, plan| {
        let sessions = chance.below(3);
        Happening::Full { host: host(chance, plan), lasts: lasts(chance), sessions }
    }),
];

pub(super) const OTHERS: [Kind<Happening>; 9] = [
    Kind { is_possible: |plan| plan.hosts > 1, ..kind("Switch", 2, |_, _| Happening::Switch) },
    kind("Lock", 2, |chance, _| {
        let table = chance.one_of(&TABLES);
        let prefix = ["u", "k", "s"][table as usize];
        Happening::Lock { table, id: format!("{prefix}{}", chance.below(4)), lasts: lasts(chance).min(4 * SECOND) }
    }),
    kind("AddColumn", 1, |chance, _| Happening::AddColumn(chance.one_of(&TABLES))),
    kind("Retype", 1, |_, _| Happening::Retype(Table::User)),
    kind("CutSilently", 1, |chance, plan| Happening::CutSilently { connection: chance.below(plan.max + 1) }),
    kind("Terminate", 2, |chance, plan| Happening::Terminate { connection: chance.below(plan.max + 1) }),
    kind("LoseCancels", 1, |chance, _| Happening::LoseCancels { lasts: lasts(chance) }),
    kind("DelayCancels", 1, |chance, _| {
        let (by, is_unnoticed) = (lasts(chance).min(2 * SECOND), chance.happens(50));
        Happening::DelayCancels { lasts: 40 * SECOND, by, is_unnoticed }
    }),
    kind("Jump", 1, |chance, _| Happening::Jump { by: chance.one_of(&[SECOND, 20 * SECOND, 600 * SECOND]) }),
];

fn host(chance: &Chance, plan: &Plan) -> usize {
    chance.below(plan.hosts)
}

fn lasts(chance: &Chance) -> Duration {
    chance.one_of(&LASTS)
}

/// One of the kinds that are possible in the plan, as often as its weight says.
pub(super) fn draw<'a, T: 'a>(kinds: impl IntoIterator<Item = &'a Kind<T>>, chance: &Chance, plan: &Plan) -> T {
    let kinds: Vec<_> = kinds.into_iter().filter(|kind| (kind.is_possible)(plan)).collect();
    let mut left = chance.below(kinds.iter().map(|kind| kind.weight).sum());
    let drawn = kinds.iter().find(|kind| {
        let is_drawn = left < kind.weight;
        left = left.saturating_sub(kind.weight);
        is_drawn
    });
    (drawn.unwrap().draw)(chance, plan)
}

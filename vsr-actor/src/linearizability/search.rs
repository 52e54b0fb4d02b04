//! The search of Wing and Gong with Lowe's memory, in a form whose memory does not grow with the length of the history: all calls that
//! returned before some point are placed, so only the calls that are open at that point are remembered one by one.

use super::{Call, CallOutcome, Model, Violation};
use std::collections::HashMap;

/// A call, and its position among those of the user.
pub(super) type Numbered<'a, O, R> = (usize, &'a Call<O, R>);

/// Where a search is: every call whose return is before `returns[at]` is placed, and `placed` says which of the open calls are.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Configuration<S> {
    at: usize,
    placed: Set,
    state: S,
}

/// A set of slots: a call has one from its invocation to its return, a call that never returned has one among those for ever.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Set(Box<[u64]>);

impl Set {
    fn new(slots: usize) -> Self {
        Self(vec![0; slots.div_ceil(64)].into())
    }

    fn contains(&self, slot: usize) -> bool {
        self.0[slot / 64] & 1 << (slot % 64) != 0
    }

    fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    fn remove(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    fn is_subset_of(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(own, others)| own & !others == 0)
    }
}

/// A history, prepared for the search.
struct Prepared {
    /// Calls in the order of their returns.
    returns: Vec<usize>,
    /// For each return: the calls that are open when it happens and return themselves, in the order of their returns.
    open: Vec<Vec<u32>>,
    /// Calls that never returned, in the order of their invocations, and for each return how many of them were made before it.
    unknown: Vec<usize>,
    unknown_before: Vec<usize>,
    slot: Vec<usize>,
    slots: usize,
}

fn prepare<O, R>(calls: &[Numbered<'_, O, R>]) -> Prepared {
    let returned_at = |call: usize| match &calls[call].1.outcome {
        CallOutcome::Returned { at, .. } => Some(*at),
        CallOutcome::Unknown => None,
    };
    let invoked = |call: usize| calls[call].1.invoked;
    let (mut returns, mut unknown): (Vec<usize>, Vec<usize>) =
        (0..calls.len()).partition(|call| returned_at(*call).is_some());
    returns.sort_by_key(|call| returned_at(*call));
    unknown.sort_by_key(|call| invoked(*call));
    let mut by_invocation = returns.clone();
    by_invocation.sort_by_key(|call| invoked(*call));

    let mut rank = vec![usize::MAX; calls.len()];
    for (index, call) in returns.iter().enumerate() {
        rank[*call] = index;
    }
    let (mut slot, mut free, mut slots) = (vec![0; calls.len()], Vec::new(), 0);
    let (mut open, mut unknown_before) = (Vec::new(), Vec::new());
    let mut now: Vec<u32> = Vec::new();
    let mut coming = by_invocation.into_iter().peekable();
    for call in &returns {
        let at = returned_at(*call).unwrap_or(u64::MAX);
        // What is invoked at the very time of a return counts as open then: equal times do not tell an order.
        while let Some(next) = coming.next_if(|next| invoked(*next) <= at) {
            slot[next] = free.pop().unwrap_or_else(|| {
                slots += 1;
                slots - 1
            });
            let place = now.partition_point(|other| rank[*other as usize] < rank[next]);
            now.insert(place, next as u32);
        }
        open.push(now.clone());
        unknown_before.push(unknown.partition_point(|call| invoked(*call) <= at));
        debug_assert_eq!(now.first().map(|first| *first as usize), Some(*call));
        now.remove(0);
        free.push(slot[*call]);
    }
    Prepared { returns, open, unknown, unknown_before, slot, slots }
}

/// What was reached already, and which unknown calls were used for it. Who reached the same with fewer can do all that others can.
struct Seen<S> {
    used: HashMap<Configuration<S>, Vec<Set>>,
    count: usize,
}

impl<S: Clone + Eq + std::hash::Hash> Seen<S> {
    /// False, if the same was reached before with the same unknown calls, or fewer.
    fn insert(&mut self, configuration: &Configuration<S>, used: &Set) -> bool {
        if let Some(others) = self.used.get_mut(configuration) {
            if others.iter().any(|other| other.is_subset_of(used)) {
                return false;
            }
            others.push(used.clone());
        } else {
            self.used.insert(configuration.clone(), vec![used.clone()]);
        }
        self.count += 1;
        true
    }
}

/// One step of the path: a configuration, the unknown calls used so far, and the next candidate to try.
struct Step<S> {
    here: Configuration<S>,
    used: Set,
    candidate: usize,
}

/// Depth-first: calls that return first are placed first. Unknown ones are tried when no other fits, the latest first: most take effect
/// soon or never.
pub(super) fn search<M: Model>(
    calls: &[Numbered<'_, M::Op, M::Reply>],
    configurations_max: usize,
) -> Result<(), Violation> {
    let history = prepare(calls);
    if history.returns.is_empty() {
        return Ok(());
    }
    let first = Configuration { at: 0, placed: Set::new(history.slots), state: M::initial() };
    let mut seen = Seen { used: HashMap::new(), count: 0 };
    let mut path = vec![Step { here: first, used: Set::new(history.unknown.len()), candidate: 0 }];
    let mut furthest = 0;
    while let Some(Step { here, used, candidate }) = path.last_mut() {
        let open = &history.open[here.at];
        let made = history.unknown_before[here.at];
        let tried = *candidate;
        *candidate += 1;
        let mut next = None;
        let mut next_used = None;
        if let Some(call) = open.get(tried).map(|call| *call as usize) {
            if !here.placed.contains(history.slot[call]) {
                let (state, reply) = M::step(&here.state, &calls[call].1.op);
                let told = &calls[call].1.outcome;
                if matches!(told, CallOutcome::Returned { reply: told, .. } if *told == reply) {
                    let mut placed = here.placed.clone();
                    placed.insert(history.slot[call]);
                    next = Some(Configuration { at: here.at, placed, state });
                }
            }
        } else if let Some(index) = (made + open.len()).checked_sub(tried + 1) {
            if !used.contains(index) {
                let (state, _) = M::step(&here.state, &calls[history.unknown[index]].1.op);
                // One that changes nothing might as well never have taken effect.
                if state != here.state {
                    let mut more = used.clone();
                    more.insert(index);
                    next_used = Some(more);
                    next = Some(Configuration { at: here.at, placed: here.placed.clone(), state });
                }
            }
        } else {
            path.pop();
            continue;
        }
        let Some(mut next) = next else { continue };
        let is_placed =
            |next: &Configuration<M::State>, call: &usize| next.placed.contains(history.slot[*call]);
        while let Some(call) = history.returns.get(next.at).filter(|call| is_placed(&next, call)) {
            next.placed.remove(history.slot[*call]);
            next.at += 1;
        }
        if next.at == history.returns.len() {
            return Ok(());
        }
        furthest = furthest.max(next.at);
        if seen.count >= configurations_max {
            let call = calls[history.returns[furthest]].0;
            return Err(Violation::Undecided { configurations: seen.count, call });
        }
        let used = next_used.unwrap_or_else(|| used.clone());
        if seen.insert(&next, &used) {
            path.push(Step { here: next, used, candidate: 0 });
        }
    }
    Err(Violation::NotLinearizable { call: calls[history.returns[furthest]].0, explained: furthest })
}

//! The search of Wing and Gong with Lowe's memory, in a form whose memory does not grow with the length of the history: all calls that
//! returned before some point are placed, so only the calls that are open at that point are remembered one by one.

use super::{Call, CallOutcome, Model, Violation};
use std::collections::HashSet;

/// Where a search is: every call whose return is before `returns[at]` is placed, and `placed` says which of the open calls are.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Configuration<S> {
    at: usize,
    placed: Set,
    state: S,
}

/// A set of slots: a call has one from its invocation to its return.
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

fn prepare<O, R>(calls: &[(usize, &Call<O, R>)]) -> Prepared {
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
    for call in &unknown {
        slot[*call] = slots;
        slots += 1;
    }
    Prepared { returns, open, unknown, unknown_before, slot, slots }
}

/// Depth-first: calls that return first are placed first, unknown ones when nothing else helps.
pub(super) fn search<M: Model>(
    calls: &[(usize, &Call<M::Op, M::Reply>)],
    configurations_max: usize,
) -> Result<(), Violation> {
    let history = prepare(calls);
    let first = Configuration { at: 0, placed: Set::new(history.slots), state: M::initial() };
    let Some(_) = history.returns.first() else { return Ok(()) };
    let mut seen = HashSet::from([first.clone()]);
    let mut path = vec![(first, 0)];
    let mut furthest = 0;
    while let Some((here, candidate)) = path.last_mut() {
        let open = &history.open[here.at];
        let call = match open.get(*candidate) {
            Some(call) => *call as usize,
            None => match history.unknown[..history.unknown_before[here.at]].get(*candidate - open.len()) {
                Some(call) => *call,
                None => {
                    path.pop();
                    continue;
                }
            },
        };
        *candidate += 1;
        if here.placed.contains(history.slot[call]) {
            continue;
        }
        let (state, reply) = M::step(&here.state, &calls[call].1.op);
        if let CallOutcome::Returned { reply: told, .. } = &calls[call].1.outcome
            && *told != reply
        {
            continue;
        }
        let mut next = Configuration { at: here.at, placed: here.placed.clone(), state };
        next.placed.insert(history.slot[call]);
        while let Some(call) =
            history.returns.get(next.at).filter(|call| next.placed.contains(history.slot[**call]))
        {
            next.placed.remove(history.slot[*call]);
            next.at += 1;
        }
        if next.at == history.returns.len() {
            return Ok(());
        }
        furthest = furthest.max(next.at);
        if seen.len() >= configurations_max {
            let call = calls[history.returns[furthest]].0;
            return Err(Violation::Undecided { configurations: seen.len(), call });
        }
        if seen.insert(next.clone()) {
            path.push((next, 0));
        }
    }
    Err(Violation::NotLinearizable { call: calls[history.returns[furthest]].0, explained: furthest })
}

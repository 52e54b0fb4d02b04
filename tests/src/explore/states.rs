//! The states that were visited: each packed into 20 bytes, found by hash, with the state it was first reached from.

use super::REPLICAS;

/// A state of the whole group, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Each replica with its storage.
    pub(super) locals: [u32; REPLICAS],
    /// What is under way to each.
    pub(super) inboxes: [u32; REPLICAS],
    /// The longest log that anybody ever committed.
    pub(super) committed: u32,
    /// How many operations clients have asked for.
    pub(super) invoked: u32,
}

const LOCAL_BITS: u32 = 23;
const INBOX_BITS: u32 = 25;
const COMMITTED_BITS: u32 = 13;
const INVOKED_BITS: u32 = 3;

type Packed = [u32; 5];

impl State {
    /// Nothing, if a number is too large.
    fn pack(&self) -> Option<Packed> {
        let mut bits = [0u64; 3];
        let mut fits = true;
        let mut field = |word: &mut u64, value: u32, width: u32| {
            fits &= value >> width == 0;
            *word = *word << width | u64::from(value);
        };
        for (word, (local, inbox)) in bits.iter_mut().zip(self.locals.into_iter().zip(self.inboxes)) {
            field(word, local, LOCAL_BITS);
            field(word, inbox, INBOX_BITS);
        }
        let mut rest = 0;
        field(&mut rest, self.committed, COMMITTED_BITS);
        field(&mut rest, self.invoked, INVOKED_BITS);
        let high = |index: usize| (bits[index] >> 32) as u32;
        let packed = [
            bits[0] as u32,
            bits[1] as u32,
            bits[2] as u32,
            high(0) << 16 | high(1),
            high(2) << 16 | rest as u32,
        ];
        fits.then_some(packed)
    }

    /// Whether they differ in nothing but what is under way.
    fn is_like(&self, other: &Self) -> bool {
        (self.locals, self.committed, self.invoked) == (other.locals, other.committed, other.invoked)
    }

    fn unpack(packed: Packed) -> Self {
        let [low0, low1, low2, highs, last] = packed;
        let words = [(highs >> 16, low0), (highs & 0xffff, low1), (last >> 16, low2)];
        let words = words.map(|(high, low)| u64::from(high) << 32 | u64::from(low));
        Self {
            locals: words.map(|word| (word >> INBOX_BITS) as u32),
            inboxes: words.map(|word| word as u32 & ((1 << INBOX_BITS) - 1)),
            committed: (last & 0xffff) >> INVOKED_BITS,
            invoked: last & ((1 << INVOKED_BITS) - 1),
        }
    }
}

/// What came of adding a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is new.
    Yes,
    /// All that can happen in it can happen in a state that is there.
    Covered,
    /// A number in it is too large.
    TooLarge,
}

/// All states, in the order in which they were reached.
#[derive(Debug)]
pub(super) struct States {
    states: Vec<Packed>,
    parents: Vec<u32>,
    /// For each state the one before it that differs in nothing but what is under way.
    alike: Vec<u32>,
    /// The latest of those that are alike, plus one; open addressing.
    table: Vec<u32>,
    used: usize,
}

/// In `alike`: a later state covers this one, and it is in no list.
const COVERED: u32 = u32::MAX;

impl States {
    pub(super) fn new() -> Self {
        Self { states: Vec::new(), parents: Vec::new(), alike: Vec::new(), table: vec![0; 1 << 12], used: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn get(&self, index: usize) -> State {
        State::unpack(self.states[index])
    }

    /// Whether a later state can do all that this one can.
    pub(super) fn is_covered(&self, index: usize) -> bool {
        self.alike[index] == COVERED
    }

    /// The states from the first to this one.
    pub(super) fn path(&self, index: usize) -> Vec<State> {
        let mut path = vec![self.get(index)];
        let mut at = index;
        while at > 0 {
            at = self.parents[at] as usize;
            path.push(self.get(at));
        }
        path.reverse();
        path
    }

    /// Adds a state, unless one that is there covers it: equal replicas, and all its messages are under way there, too. What happens
    /// in the one can happen in the other, for messages need not be delivered. `includes` compares two sets of messages.
    pub(super) fn add(
        &mut self,
        state: &State,
        parent: usize,
        includes: impl Fn(usize, u32, u32) -> bool,
    ) -> Added {
        let Some(packed) = state.pack() else { return Added::TooLarge };
        if self.used >= self.table.len() / 4 * 3 {
            self.grow();
        }
        let slot = self.slot_of(state);
        self.used += usize::from(self.table[slot] == 0);
        let covers = |one: &State, other: &State| {
            (0..REPLICAS).all(|replica| {
                let (large, small) = (one.inboxes[replica], other.inboxes[replica]);
                large == small || includes(replica, large, small)
            })
        };
        let (mut at, mut after) = (self.table[slot], None);
        while at != 0 {
            let index = at as usize - 1;
            let (known, before) = (self.get(index), self.alike[index]);
            if covers(&known, state) {
                return Added::Covered;
            }
            if covers(state, &known) {
                self.alike[index] = COVERED;
                match after {
                    None => self.table[slot] = before,
                    Some(after) => self.alike[after] = before,
                }
            } else {
                after = Some(index);
            }
            at = before;
        }
        self.states.push(packed);
        self.parents.push(parent as u32);
        self.alike.push(self.table[slot]);
        self.table[slot] = self.states.len() as u32;
        Added::Yes
    }

    /// Where the states that are like this one are, or would be.
    fn slot_of(&self, state: &State) -> usize {
        let mut hash = 0u64;
        for number in state.locals.into_iter().chain([state.committed, state.invoked]) {
            hash = (hash ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            hash ^= hash >> 29;
        }
        let mut slot = hash as usize & (self.table.len() - 1);
        while self.table[slot] != 0 && !self.get(self.table[slot] as usize - 1).is_like(state) {
            slot = (slot + 1) & (self.table.len() - 1);
        }
        slot
    }

    fn grow(&mut self) {
        let slots = self.table.len() * 2;
        let heads = std::mem::replace(&mut self.table, vec![0; slots]);
        for head in heads.into_iter().filter(|head| *head != 0) {
            let slot = self.slot_of(&self.get(head as usize - 1));
            self.table[slot] = head;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(n: u32) -> State {
        let (local, inbox) = ((1 << LOCAL_BITS) - 1, (1 << INBOX_BITS) - 1);
        State {
            locals: [n, local - n, n * 7],
            inboxes: [inbox - n, n, n * 3],
            committed: n % 8192,
            invoked: n % 8,
        }
    }

    #[test]
    fn a_packed_state_is_the_same_state() {
        for n in 0..10_000 {
            assert_eq!(state(n).pack().map(State::unpack), Some(state(n)));
        }
        assert_eq!(State { invoked: 8, ..state(1) }.pack(), None);
        assert_eq!(State { committed: 8192, ..state(1) }.pack(), None);
        assert_eq!(State { locals: [0, 1 << LOCAL_BITS, 0], ..state(1) }.pack(), None);
    }

    /// Sets of messages as bits.
    fn includes(_: usize, large: u32, small: u32) -> bool {
        large & small == small
    }

    #[test]
    fn a_state_is_new_once() {
        let mut states = States::new();
        for n in 0..10_000 {
            assert_eq!(states.add(&state(n), (n as usize).saturating_sub(1), includes), Added::Yes);
        }
        for n in 0..10_000 {
            assert_eq!(states.add(&state(n), 0, includes), Added::Covered);
            assert_eq!(states.get(n as usize), state(n));
        }
        assert_eq!(states.path(3), [state(0), state(1), state(2), state(3)]);
    }

    #[test]
    fn a_state_with_more_under_way_covers_one_with_less() {
        let with = |inboxes| State { inboxes, ..state(1) };
        let mut states = States::new();
        assert_eq!(states.add(&with([0b011, 0, 0]), 0, includes), Added::Yes);
        assert_eq!(states.add(&with([0b001, 0, 0]), 0, includes), Added::Covered);
        assert_eq!(states.add(&with([0b101, 0, 0]), 0, includes), Added::Yes, "neither has the other's");
        assert_eq!(states.add(&with([0b011, 1, 0]), 0, includes), Added::Yes);
        assert_eq!([0, 1, 2].map(|index| states.is_covered(index)), [true, false, false]);
        assert_eq!(states.add(&with([0b111, 1, 0]), 0, includes), Added::Yes);
        assert_eq!([0, 1, 2, 3].map(|index| states.is_covered(index)), [true, true, true, false]);
        assert_eq!(states.add(&with([0b101, 1, 0]), 0, includes), Added::Covered);
        assert_eq!(
            states.add(&State { invoked: 2, ..with([0, 0, 0]) }, 0, includes),
            Added::Yes,
            "another state"
        );
    }
}

//! Keys that end by themselves. Deadlines are points in the log's time, whatever the client said: a time to live is added to the
//! timestamp of the operation that sets it.

use super::{Expiry, ExpiryCondition, Moment, Reply, Store, TimeUnit, When, value_or_nil};

/// How many keys one tick takes out: with more the next tick follows at once, and others get their turn in between.
const REMOVED_PER_TICK: usize = 1000;

impl Store {
    /// When the next tick is wanted. What is over already and was too much for the last tick is wanted right after the present, and
    /// not at its deadline: the time must differ from that of the tick that has just been.
    pub(super) fn due(&self) -> Option<u64> {
        let next = self.keys.moment().timestamp.saturating_add(1);
        self.keys.first_deadline().map(|at| Moment::timestamp_of(at).max(next))
    }

    pub(super) fn tick(&mut self, moment: Moment) {
        self.keys.advance(moment);
        self.keys.remove_expired(REMOVED_PER_TICK);
    }

    /// The deadline that is meant, of a key that has this one.
    pub(super) fn deadline(&self, expiry: Expiry, present: Option<u64>) -> Option<u64> {
        match expiry {
            Expiry::Clear => None,
            Expiry::Keep => present,
            Expiry::At(when) => Some(self.point(when)),
        }
    }

    /// A time before 1970 is long over, and so is 1970.
    fn point(&self, when: When) -> u64 {
        let now = i64::try_from(self.keys.moment().milliseconds()).unwrap_or(i64::MAX);
        let at = match when {
            When::In(milliseconds) => now.saturating_add(milliseconds),
            When::At(milliseconds) => milliseconds,
        };
        u64::try_from(at).unwrap_or(0)
    }

    pub(super) fn get_expire(&mut self, key: &[u8], expiry: Expiry) -> Reply {
        let Some(entry) = self.keys.get(key) else { return Reply::Nil };
        let (value, present) = (entry.value.clone(), entry.expires);
        let wanted = self.deadline(expiry, present);
        // Without a change it is a read, also for those who watch the key. A deadline that is set again is a change.
        if wanted != present || matches!(expiry, Expiry::At(_)) {
            self.keys.change(key, |entry| entry.expires = wanted);
        }
        value_or_nil(Some(value))
    }

    pub(super) fn expire(&mut self, key: &[u8], when: When, condition: ExpiryCondition) -> Reply {
        let Some(entry) = self.keys.get(key) else { return Reply::Int(0) };
        let at = self.point(when);
        let wanted = match (condition, entry.expires) {
            (ExpiryCondition::Always, _)
            | (ExpiryCondition::Missing, None)
            | (ExpiryCondition::Present, Some(_))
            // A key without a deadline lives longer than any.
            | (ExpiryCondition::Sooner, None) => true,
            (ExpiryCondition::Later, Some(present)) => at > present,
            (ExpiryCondition::Sooner | ExpiryCondition::PresentAndSooner, Some(present)) => at < present,
            (ExpiryCondition::Missing, Some(_))
            | (ExpiryCondition::Present | ExpiryCondition::Later | ExpiryCondition::PresentAndSooner, None) => {
                false
            }
        };
        if wanted {
            self.keys.change(key, |entry| entry.expires = Some(at));
        }
        Reply::Int(wanted.into())
    }

    pub(super) fn persist(&mut self, key: &[u8]) -> Reply {
        let endless = self.keys.get(key).is_none_or(|entry| entry.expires.is_none());
        if !endless {
            self.keys.change(key, |entry| entry.expires = None);
        }
        Reply::Int((!endless).into())
    }

    pub(super) fn time_to_live(&self, key: &[u8], unit: TimeUnit) -> Reply {
        let now = self.keys.moment().milliseconds();
        self.time_of(key, unit, |at| at.saturating_sub(now))
    }

    pub(super) fn expiry_time(&self, key: &[u8], unit: TimeUnit) -> Reply {
        self.time_of(key, unit, |at| at)
    }

    /// As Redis answers: -2 for no key, -1 for no deadline, and seconds are rounded.
    fn time_of(&self, key: &[u8], unit: TimeUnit, milliseconds: impl FnOnce(u64) -> u64) -> Reply {
        Reply::Int(match self.keys.get(key).map(|entry| entry.expires) {
            None => -2,
            Some(None) => -1,
            Some(Some(at)) => {
                let time = match unit {
                    TimeUnit::Milliseconds => milliseconds(at),
                    TimeUnit::Seconds => milliseconds(at).saturating_add(500) / 1000,
                };
                i64::try_from(time).unwrap_or(i64::MAX)
            }
        })
    }
}

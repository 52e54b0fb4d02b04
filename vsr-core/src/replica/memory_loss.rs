//! Proof that too many replicas are without a log at one time (rule F11).
//!
//! A replica that recovers counts no answer of another from which it has heard, since its own round began, that it recovers as
//! well; and one that was recovering all the time cannot have answered a later round. So whoever still waits for answers, and has
//! heard of so many fellows that the rest is too few, has to wait for one of them to recover first. If all members of a set have
//! heard of that many others in the set, and all were waiting at one moment, none of them can be the first: none ever recovers.
//!
//! The moment is the beginning of a round. Only who waits for answers says that it recovers; whoever says so in the round before and
//! in the round after from the same boot has recovered at no time in between.

use crate::quorum::ReplicaSet;
use alloc::{vec, vec::Vec};

/// Others that recover as well, as far as this replica knows.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Fellows {
    /// In which boot each was last heard recovering.
    boots: Vec<Option<u64>>,
    heard_in_round: ReplicaSet,
    /// Their answers to the question of the last round.
    before: Vec<Option<Report>>,
    /// Their answers to the question of this round.
    now: Vec<Option<Report>>,
    /// Who can never recover, once that is proven, and for how many more rounds this replica stays.
    verdict: Option<(Vec<usize>, u32)>,
}

/// What a replica says that recovers itself.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Report {
    pub(crate) boot: u64,
    /// Whom it has heard recovering, and in which boot.
    pub(crate) heard: Vec<(usize, u64)>,
}

/// Who knows the worst stays so long, for the others need its answers to prove it, too.
const ROUNDS_FOR_THE_OTHERS: u32 = 2;

impl Fellows {
    pub(crate) fn new(replicas: usize) -> Self {
        Self {
            boots: vec![None; replicas],
            heard_in_round: ReplicaSet::default(),
            before: vec![None; replicas],
            now: vec![None; replicas],
            verdict: None,
        }
    }

    /// Another replica was heard recovering.
    pub(crate) fn note(&mut self, fellow: usize, boot: u64) {
        self.boots[fellow] = Some(boot);
        self.heard_in_round.insert(fellow);
    }

    /// Another replica answered this round's question that it recovers itself.
    pub(crate) fn report(&mut self, fellow: usize, report: Report) {
        self.note(fellow, report.boot);
        // The first answer of a round counts: what it has heard, it had heard before the next round begins.
        self.now[fellow].get_or_insert(report);
    }

    pub(crate) fn heard_in_round(&self, fellow: usize) -> bool {
        self.heard_in_round.contains(fellow)
    }

    /// Whom it has heard of, and in which boot.
    pub(crate) fn heard(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.boots.iter().enumerate().filter_map(|(fellow, boot)| Some((fellow, (*boot)?)))
    }

    /// All answers to the last question are in. Some: who can never recover, and it is time to stop.
    pub(crate) fn next_round(&mut self) -> Option<Vec<usize>> {
        self.heard_in_round = ReplicaSet::default();
        let replicas = self.now.len();
        self.before = core::mem::replace(&mut self.now, vec![None; replicas]);
        let (lost, rounds) = self.verdict.as_mut()?;
        if *rounds == 0 {
            return Some(core::mem::take(lost));
        }
        *rounds -= 1;
        None
    }

    /// Looks for a set of replicas, `me` among them, none of which can recover with `needs` answers of others. Some: one was found
    /// for the first time.
    pub(crate) fn judge(&mut self, me: usize, needs: usize, one_round: bool) -> Option<usize> {
        if self.verdict.is_some() {
            return None;
        }
        let replicas = self.now.len();
        let before = if one_round { &self.now } else { &self.before };
        let report = |fellow: usize| {
            let (before, now) = (before[fellow].as_ref()?, self.now[fellow].as_ref()?);
            (before.boot == now.boot).then_some(before)
        };
        let has_heard = |of: usize, fellow: usize| {
            of == me
                || fellow == me
                || one_round
                || report(of)
                    .zip(report(fellow))
                    .is_some_and(|(of, fellow_report)| of.heard.contains(&(fellow, fellow_report.boot)))
        };
        let mut lost: Vec<usize> = (0..replicas).filter(|of| *of == me || report(*of).is_some()).collect();
        loop {
            let all = lost.clone();
            lost.retain(|of| {
                let heard = all.iter().filter(|fellow| *fellow != of && has_heard(*of, **fellow)).count();
                heard + needs >= replicas
            });
            if lost.len() == all.len() {
                break;
            }
        }
        let count = lost.len();
        (count > 0).then(|| {
            self.verdict = Some((lost, ROUNDS_FOR_THE_OTHERS));
            count
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports of replicas 1 to 3 of five, each from the boot with its own number, that have heard of some others.
    fn round(fellows: &mut Fellows, reports: &[(usize, &[usize])]) {
        for (fellow, heard) in reports {
            let heard = heard.iter().map(|it| (*it, *it as u64)).collect();
            fellows.report(*fellow, Report { boot: *fellow as u64, heard });
        }
    }

    const ALL: &[(usize, &[usize])] = &[(1, &[0, 2]), (2, &[0, 1])];

    #[test]
    fn three_of_five_that_know_of_each_other_in_two_rounds_are_lost() {
        let mut fellows = Fellows::new(5);
        round(&mut fellows, ALL);
        assert_eq!(fellows.judge(0, 3, false), None, "one round is not one moment");
        assert_eq!(fellows.next_round(), None);
        round(&mut fellows, ALL);
        assert_eq!(fellows.judge(0, 3, false), Some(3));
        assert_eq!(fellows.judge(0, 3, false), None, "it is told once");
        assert_eq!(fellows.next_round(), None, "the others need its answers");
        assert_eq!(fellows.next_round(), None, "the others need its answers");
        assert_eq!(fellows.next_round(), Some(vec![0, 1, 2]));
    }

    #[test]
    fn two_of_five_may_recover() {
        let mut fellows = Fellows::new(5);
        for _ in 0..3 {
            round(&mut fellows, &[(1, &[0])]);
            assert_eq!(fellows.judge(0, 3, false), None);
            assert_eq!(fellows.next_round(), None);
        }
    }

    #[test]
    fn another_boot_is_another_loss() {
        let mut fellows = Fellows::new(3);
        fellows.report(1, Report { boot: 7, heard: vec![(0, 0)] });
        assert_eq!(fellows.next_round(), None);
        fellows.report(1, Report { boot: 8, heard: vec![(0, 0)] });
        assert_eq!(fellows.judge(0, 2, false), None);
    }

    #[test]
    fn who_may_still_count_an_old_answer_may_recover() {
        let mut fellows = Fellows::new(5);
        // Replica 1 has not heard that 2 is recovering: an answer of 2 from before may be on its way to it.
        let reports: &[(usize, &[usize])] = &[(1, &[0]), (2, &[0, 1])];
        round(&mut fellows, reports);
        fellows.next_round();
        round(&mut fellows, reports);
        assert_eq!(fellows.judge(0, 3, false), None);
    }

    #[test]
    fn a_fourth_does_not_hide_three() {
        let mut fellows = Fellows::new(5);
        let reports: &[(usize, &[usize])] = &[(1, &[0, 2]), (2, &[0, 1]), (3, &[0])];
        round(&mut fellows, reports);
        fellows.next_round();
        round(&mut fellows, reports);
        assert_eq!(fellows.judge(0, 3, false), Some(3));
    }
}

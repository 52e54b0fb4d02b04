//! What cannot be seen from outside. Most of it is about a replica that takes less than the client was told: no group of this crate's
//! own making has one.

use super::{
    queue::after,
    session::{Pumped, Session},
    waiter::{Knock, Taken, Waiter},
};
use crate::{ClientConfig, ReplyTo, RequestError, replies::Waiting};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use vsr_core::{OpNumber, Origin, SessionId};

const WINDOW: usize = 5;
const BYTES_MAX: usize = 10;

type Reply = oneshot::Receiver<Result<u64, RequestError>>;

/// A session that is open, and the mailbox of its home.
struct Fixture {
    session: Arc<Session<u64>>,
    mailbox: mpsc::Receiver<Knock<u64>>,
}

impl Fixture {
    fn new() -> Self {
        let session = Session::new(WINDOW, 1000);
        let (lane, mailbox) = mpsc::channel(16);
        assert!(session.state().set_lane(Some(lane)).is_none());
        Self { session, mailbox }
    }

    fn submit(&self, bytes: usize) -> Reply {
        let (waiting, reply) = Waiting::caller();
        self.session.room.try_acquire().expect("room in the window").forget();
        let to = ReplyTo::Waiter(waiting);
        let taken = self.session.submit(&vec![0; bytes], to, Instant::now(), Duration::from_secs(1), None);
        taken.expect("the session is open");
        reply
    }

    /// Sends what may be sent, and takes it out of the mailbox: the requests' numbers (0 registers) and their waiters.
    fn sent(&mut self) -> Vec<(u64, Waiter<u64>)> {
        let pumped = self.session.state().pump(&self.session, None);
        assert_ne!(pumped, Pumped::Full);
        let number = |origin| match origin {
            Origin::Request { request, .. } => request.0,
            _ => 0,
        };
        let mut sent = Vec::new();
        while let Ok(mut knock) = self.mailbox.try_recv() {
            let mut requests = Vec::new();
            let Some(Taken { claim, more: false }) = knock.take(16, &mut requests) else {
                panic!("all of it")
            };
            let numbers = requests.iter().map(|request| number(request.origin));
            sent.extend(numbers.map(|number| (number, claim.waiter(number))));
        }
        sent
    }

    fn register(&mut self, number: u64) {
        let Some((0, waiter)) = self.sent().pop() else { panic!("a registration comes first") };
        waiter.registered(SessionId { slot: 0, number: OpNumber(number) });
    }
}

fn refuse(waiter: Waiter<u64>) {
    for (to, error) in waiter.too_large(BYTES_MAX) {
        to.send(Err(error));
    }
}

#[test]
fn a_request_that_is_too_large_for_the_home_leaves_and_the_session_goes_on() {
    let mut home = Fixture::new();
    let mut large = home.submit(20);
    home.register(1);
    let (number, waiter) = home.sent().pop().expect("it is sent");
    assert_eq!(number, 1);
    refuse(waiter);
    assert_eq!(large.try_recv(), Ok(Err(RequestError::TooLarge { bytes: 20, bytes_max: BYTES_MAX })));
    assert_eq!(home.session.room.available_permits(), WINDOW);
    let mut small = home.submit(5);
    let (number, waiter) = home.sent().pop().expect("it is sent, in the same session");
    assert_eq!(number, 1, "nobody saw the number before");
    waiter.complete(OpNumber(3)).expect("somebody waits").send(Ok(7));
    assert_eq!(small.try_recv(), Ok(Ok(7)));
}

#[test]
fn a_number_that_cannot_be_skipped_ends_the_session_but_its_request_is_not_sent_again() {
    let mut home = Fixture::new();
    let (mut large, mut after_it) = (home.submit(20), home.submit(5));
    home.register(1);
    let mut sent = home.sent().into_iter();
    let (_, waiter) = sent.next().expect("two are sent");
    refuse(waiter);
    assert_eq!(large.try_recv(), Ok(Err(RequestError::TooLarge { bytes: 20, bytes_max: BYTES_MAX })));
    assert_eq!(after_it.try_recv(), Ok(Err(RequestError::SessionEvicted)), "it may be proposed");
    assert_eq!(home.session.room.available_permits(), WINDOW);
    assert!(home.sent().is_empty(), "nobody needs a session");
    let mut next = home.submit(5);
    home.register(2);
    let (number, waiter) = home.sent().pop().expect("it is sent");
    assert_eq!(number, 1);
    waiter.complete(OpNumber(3)).expect("somebody waits").send(Ok(7));
    assert_eq!(next.try_recv(), Ok(Ok(7)));
}

#[test]
fn what_another_replica_may_have_taken_is_unknown() {
    let mut home = Fixture::new();
    let mut large = home.submit(20);
    home.register(1);
    let elsewhere = home.sent();
    home.session.state().resend();
    let (_, waiter) = home.sent().pop().expect("a second copy");
    refuse(waiter);
    assert_eq!(large.try_recv(), Ok(Err(RequestError::SessionEvicted)));
    assert_eq!(home.session.room.available_permits(), WINDOW);
    drop(elsewhere);
    assert!(home.sent().is_empty());
}

#[test]
fn a_time_too_far_to_be_counted_is_late_enough() {
    let now = Instant::now();
    assert!(after(now, Duration::MAX) > now + Duration::from_secs(86_400 * 365));
    let mut config = ClientConfig::default();
    (config.retry_min, config.retry_max) = (Duration::MAX, Duration::MAX);
    let mut backoff = config.backoff();
    backoff.grow();
    assert!(backoff.wait() >= Duration::MAX / 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_knows_the_highest_op_of_its_replies() {
    let mut fixture = Fixture::new();
    let (first, second) = (fixture.submit(1), fixture.submit(1));
    fixture.register(1);
    let mut waiters = fixture.sent().into_iter().map(|(_, waiter)| waiter);
    assert_eq!(fixture.session.seen(), OpNumber(0));
    // The second from the session table of a replica that has applied more.
    let (one, two) = (waiters.next().expect("sent"), waiters.next().expect("sent"));
    two.complete(OpNumber(9)).expect("somebody waits").send(Ok(2));
    one.complete(OpNumber(4)).expect("somebody waits").send(Ok(1));
    assert_eq!((first.await, second.await), (Ok(Ok(1)), Ok(Ok(2))));
    assert_eq!(fixture.session.seen(), OpNumber(9));
}

#[test]
fn a_session_knocks_once_and_gives_out_what_there_is_room_for() {
    let mut home = Fixture::new();
    let _replies = [home.submit(1), home.submit(1), home.submit(1)];
    home.register(1);
    for _ in 0..2 {
        let pumped = home.session.state().pump(&home.session, None);
        assert_eq!(pumped, Pumped::All);
    }
    let mut knock = home.mailbox.try_recv().expect("it knocks");
    assert!(home.mailbox.try_recv().is_err(), "once");
    let mut requests = Vec::new();
    assert!(knock.take(2, &mut requests).is_some_and(|taken| taken.more));
    let _late = home.submit(1);
    assert!(home.mailbox.try_recv().is_err(), "somebody is there already");
    assert!(knock.take(2, &mut requests).is_some_and(|taken| !taken.more));
    assert_eq!(requests.len(), 4);
    assert!(knock.take(2, &mut requests).is_none(), "that was all");
    drop(knock);
    let _another = home.submit(1);
    assert!(home.mailbox.try_recv().is_ok(), "so it knocks again");
}

#[test]
fn a_knock_that_nobody_heard_is_repeated_and_one_at_an_old_door_means_nothing() {
    let mut home = Fixture::new();
    let _reply = home.submit(1);
    drop(home.mailbox.try_recv().expect("it knocks"));
    assert_eq!(home.session.state().pump(&home.session, None), Pumped::All);
    let mut old = home.mailbox.try_recv().expect("it knocks again");
    let (lane, mut moved) = mpsc::channel(16);
    drop(home.session.state().set_lane(Some(lane)));
    let mut requests = Vec::new();
    assert!(old.take(16, &mut requests).is_some_and(|taken| !taken.more) && requests.is_empty());
    assert_eq!(home.session.state().pump(&home.session, None), Pumped::All);
    let mut knock = moved.try_recv().expect("it knocks at the new door");
    assert!(knock.take(16, &mut requests).is_some() && requests.len() == 1);
}

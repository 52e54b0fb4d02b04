//! The primary: one loop over its sockets. A turn of it reads all clients that wrote, and what they wrote is one batch.

use super::{Log, Map, push_entry};
use mio::{
    Events, Interest, Poll, Token, Waker,
    net::{TcpListener, TcpStream},
};
use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

const LISTENER: Token = Token(0);
const FLUSHED: Token = Token(1);
const FIRST_BACKUP: usize = 2;
const FIRST_CLIENT: usize = 16;
const READ_BYTES: usize = 64 << 10;

/// A socket, what was read of it and not understood yet, and what could not be written yet.
struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// A batch under way: its length and entries, and who waits for it, once for each write.
struct Batch {
    number: u64,
    bytes: Arc<Vec<u8>>,
    waiting: Vec<usize>,
}

struct Primary {
    backups: Vec<Connection>,
    /// The last batch each backup has flushed.
    stored: Vec<u64>,
    clients: Vec<Connection>,
    entries: Vec<u8>,
    waiting: Vec<usize>,
    under_way: VecDeque<Batch>,
    batches: u64,
    map: Map,
    flusher: Flusher,
}

/// The log has a thread of its own, which writes and flushes all that has gathered; but a write that comes alone is flushed by the loop
/// itself, since waking a thread costs more than it gains then.
struct Flusher {
    /// What a thread and a loop write by turns, never at once: the loop writes when the thread has nothing.
    log: Arc<Mutex<Log>>,
    flushed: Arc<AtomicU64>,
    batches: mpsc::Sender<(u64, Arc<Vec<u8>>)>,
}

pub(super) fn run(listen: SocketAddr, backups: &[SocketAddr], log: Log) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(listen)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let waker = Waker::new(poll.registry(), FLUSHED)?;
    let mut primary = Primary {
        stored: vec![0; backups.len()],
        backups: Vec::new(),
        clients: Vec::new(),
        entries: Vec::new(),
        waiting: Vec::new(),
        under_way: VecDeque::new(),
        batches: 0,
        map: Map::default(),
        flusher: Flusher::start(log, waker),
    };
    for (number, backup) in backups.iter().enumerate() {
        let stream = connect(*backup)?;
        primary.backups.push(Connection::new(stream, &poll, FIRST_BACKUP + number)?);
    }
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => primary.accept(&listener, &poll)?,
                FLUSHED => {}
                Token(number) if number < FIRST_CLIENT => {
                    primary.backup(number - FIRST_BACKUP, &mut buffer)?
                }
                Token(number) => primary.client(number - FIRST_CLIENT, &mut buffer)?,
            }
        }
        primary.end_turn()?;
    }
}

/// A backup may still be at work on its file of zeros.
fn connect(backup: SocketAddr) -> io::Result<std::net::TcpStream> {
    let begun = Instant::now();
    loop {
        match std::net::TcpStream::connect(backup) {
            Err(_) if begun.elapsed() < Duration::from_secs(20) => thread::sleep(Duration::from_millis(20)),
            connected => return connected,
        }
    }
}

impl Primary {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let number = FIRST_CLIENT + self.clients.len();
                    self.clients.push(Connection::new(stream.into(), poll, number)?);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn backup(&mut self, number: usize, buffer: &mut [u8]) -> io::Result<()> {
        let backup = &mut self.backups[number];
        if !backup.receive(buffer)? {
            return Err(io::Error::other("a backup is gone"));
        }
        while let Some((stored, rest)) = backup.input.split_first_chunk::<8>() {
            self.stored[number] = u64::from_le_bytes(*stored);
            backup.input = rest.to_vec();
        }
        backup.send()
    }

    fn client(&mut self, number: usize, buffer: &mut [u8]) -> io::Result<()> {
        let client = &mut self.clients[number];
        // A client that left has nobody to answer to; its place stays empty.
        let _ = client.receive(buffer);
        let mut taken = 0;
        while let Some((length, key, value)) = set(&client.input[taken..]) {
            push_entry(&mut self.entries, key, value);
            self.waiting.push(number);
            taken += length;
        }
        client.input.drain(..taken);
        let _ = client.send();
        Ok(())
    }

    fn end_turn(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.begin_batch()?;
        }
        self.answer();
        Ok(())
    }

    /// First to the backups, then to the own log.
    fn begin_batch(&mut self) -> io::Result<()> {
        self.batches += 1;
        let mut bytes = Vec::with_capacity(4 + self.entries.len());
        bytes.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        bytes.append(&mut self.entries);
        for backup in &mut self.backups {
            backup.output.extend_from_slice(&bytes);
            backup.send()?;
        }
        let batch = Batch {
            number: self.batches,
            bytes: Arc::new(bytes),
            waiting: std::mem::take(&mut self.waiting),
        };
        if batch.waiting.len() == 1 && self.flusher.has_all_before(&batch) {
            self.flusher.flush_here(&batch)?;
        } else {
            self.flusher.flush_there(&batch)?;
        }
        self.under_way.push_back(batch);
        Ok(())
    }

    /// What two of the three have flushed is applied, and its clients are answered.
    fn answer(&mut self) {
        let mut flushed = self.stored.clone();
        flushed.push(self.flusher.flushed.load(Ordering::Acquire));
        flushed.sort_unstable_by(|a, b| b.cmp(a));
        let done = flushed[flushed.len() / 2];
        let mut answered = Vec::new();
        while self.under_way.front().is_some_and(|batch| batch.number <= done) {
            let batch = self.under_way.pop_front().expect("there is one in front");
            self.map.apply(&batch.bytes[4..]);
            for number in batch.waiting {
                self.clients[number].output.extend_from_slice(b"+OK\r\n");
                answered.push(number);
            }
        }
        for number in answered {
            let _ = self.clients[number].send();
        }
    }
}

impl Flusher {
    fn start(log: Log, waker: Waker) -> Self {
        let log = Arc::new(Mutex::new(log));
        let flushed = Arc::new(AtomicU64::new(0));
        let (batches, arrived) = mpsc::channel::<(u64, Arc<Vec<u8>>)>();
        let (its_log, its_flushed) = (log.clone(), flushed.clone());
        thread::spawn(move || {
            let ended = flush_batches(&arrived, &its_log, &its_flushed, &waker);
            eprintln!("the log: {ended:?}");
            std::process::exit(1);
        });
        Self { log, flushed, batches }
    }

    fn has_all_before(&self, batch: &Batch) -> bool {
        self.flushed.load(Ordering::Acquire) + 1 == batch.number
    }

    fn flush_here(&self, batch: &Batch) -> io::Result<()> {
        let mut log = self.log.lock().map_err(|_| io::Error::other("the log failed"))?;
        log.write(&batch.bytes)?;
        log.flush()?;
        self.flushed.store(batch.number, Ordering::Release);
        Ok(())
    }

    fn flush_there(&self, batch: &Batch) -> io::Result<()> {
        let sent = self.batches.send((batch.number, batch.bytes.clone()));
        sent.map_err(|_| io::Error::other("the log failed"))
    }
}

fn flush_batches(
    arrived: &mpsc::Receiver<(u64, Arc<Vec<u8>>)>,
    log: &Mutex<Log>,
    flushed: &AtomicU64,
    waker: &Waker,
) -> io::Result<()> {
    while let Ok(first) = arrived.recv() {
        let mut log = log.lock().map_err(|_| io::Error::other("the loop failed"))?;
        let mut last = 0;
        for (number, bytes) in std::iter::once(first).chain(arrived.try_iter()) {
            log.write(&bytes)?;
            last = number;
        }
        log.flush()?;
        flushed.store(last, Ordering::Release);
        waker.wake()?;
    }
    Ok(())
}

impl Connection {
    fn new(stream: std::net::TcpStream, poll: &Poll, token: usize) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, input: Vec::new(), output: Vec::new() })
    }

    /// Reads what there is; whether the other side is still there. A read that does not fill the buffer emptied the socket.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    if read < buffer.len() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The first request, if it is all there: its length, key and value. The only command is `SET key value`, and nobody sends another.
fn set(input: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let mut at = line(input, 0)?.1;
    let mut words = [&input[..0]; 3];
    for word in &mut words {
        let (length, begins) = line(input, at)?;
        *word = input.get(begins..begins + length)?;
        at = begins + length + 2;
    }
    (at <= input.len()).then_some((at, words[1], words[2]))
}

/// The number of a line such as `$16`, and where the next line begins.
fn line(input: &[u8], at: usize) -> Option<(usize, usize)> {
    let length = input.get(at..)?.iter().position(|byte| *byte == b'\n')?;
    let digits = input.get(at + 1..at + length - 1)?;
    let number = digits.iter().fold(0, |number, digit| 10 * number + usize::from(digit - b'0'));
    Some((number, at + length + 1))
}

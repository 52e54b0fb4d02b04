//! Load over the Redis protocol: one loop on one thread, no runtime. An answer costs it a read and a write at most, and less where
//! several came at once.

use super::{Figures, KEYS, Keys, Load, Recorder, VALUE_BYTES, Work, key};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

/// A server that answers nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer is a few bytes, or a value.
const READ_BYTES: usize = 16 << 10;
const OK: &[u8; 5] = b"+OK\r\n";
/// How many requests are under way while keys are filled.
const PIPELINE: usize = 512;

struct Connection {
    stream: TcpStream,
    keys: Keys,
    /// When each request under way was sent: answers come in their order.
    asked: VecDeque<Instant>,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Lets all clients ask until the time of the load is over. Blocks.
///
/// Errors end the run: a server that fails under this load is not worth a figure.
pub(crate) fn run(port: u16, load: &Load) -> Result<Figures, String> {
    let wrong = |error: io::Error| format!("the Redis port {port}: {error}");
    let mut poll = Poll::new().map_err(wrong)?;
    let mut events = Events::with_capacity(1024);
    let mut connections = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    for number in 0..load.connection_count() {
        let mut connection = Connection::open(port, number, load.work).map_err(wrong)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut connection.stream, Token(number), interest).map_err(wrong)?;
        connections.push(connection);
    }
    let begun = Instant::now();
    let mut recorder = Recorder::new(load, begun)?;
    for client in 0..load.clients {
        let number = client % connections.len();
        connections[number].ask(load.work, begun);
    }
    for connection in &mut connections {
        connection.send().map_err(wrong)?;
    }
    while connections.iter().any(|it| !it.asked.is_empty()) {
        match poll.poll(&mut events, Some(PATIENCE)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled.map_err(wrong)?,
        }
        if events.is_empty() {
            return Err(format!("no answer of the Redis port {port} for {PATIENCE:?}"));
        }
        for event in &events {
            let connection = &mut connections[event.token().0];
            if event.is_readable() {
                connection.receive(&mut buffer).map_err(wrong)?;
                connection.take_answers(load.work, &mut recorder)?;
            }
            connection.send().map_err(wrong)?;
        }
    }
    Ok(recorder.figures())
}

/// Gives every key a value. Blocks.
pub(crate) fn fill(port: u16) -> Result<(), String> {
    let wrong = |error: io::Error| format!("the Redis port {port}: {error}");
    let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(wrong)?;
    let numbers: Vec<u64> = (0..KEYS).collect();
    for part in numbers.chunks(PIPELINE) {
        let mut output = Vec::new();
        for number in part {
            request(&mut output, &[b"SET", key(*number).as_bytes(), &[b'v'; VALUE_BYTES]]);
        }
        stream.write_all(&output).map_err(wrong)?;
        let mut answers = vec![0; part.len() * OK.len()];
        stream.read_exact(&mut answers).map_err(wrong)?;
        if let Some(other) = answers.chunks(OK.len()).find(|answer| answer != OK) {
            return Err(format!("SET was answered by {}", String::from_utf8_lossy(other)));
        }
    }
    Ok(())
}

impl Connection {
    fn open(port: u16, number: usize, work: Work) -> io::Result<Self> {
        let mut stream = std::net::TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nodelay(true)?;
        if work == Work::StaleGet {
            stream.write_all(b"READONLY\r\n")?;
            let mut answer = [0; OK.len()];
            stream.read_exact(&mut answer)?;
            if answer != *OK {
                return Err(io::Error::other("READONLY was refused"));
            }
        }
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        let (input, output) = (Vec::new(), Vec::new());
        Ok(Self { stream, keys: Keys::new(number), asked: VecDeque::new(), input, output })
    }

    fn ask(&mut self, work: Work, now: Instant) {
        let key = key(self.keys.next());
        match work {
            Work::Put => request(&mut self.output, &[b"SET", key.as_bytes(), &[b'v'; VALUE_BYTES]]),
            Work::Get | Work::StaleGet => request(&mut self.output, &[b"GET", key.as_bytes()]),
        }
        self.asked.push_back(now);
    }

    /// Reads what there is: a read that does not fill the buffer emptied the socket.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    if read < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Each complete answer is followed by the next request of its client.
    fn take_answers(&mut self, work: Work, recorder: &mut Recorder) -> Result<(), String> {
        let now = Instant::now();
        let mut taken = 0;
        while let Some(length) = answer(&self.input[taken..])? {
            taken += length;
            let asked = self.asked.pop_front().ok_or("an answer to nothing")?;
            if recorder.answered(asked, now) {
                self.ask(work, now);
            }
        }
        self.input.drain(..taken);
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Writes a request: its words, each with its length.
pub(crate) fn request(output: &mut Vec<u8>, words: &[&[u8]]) {
    output.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        output.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        output.extend_from_slice(word);
        output.extend_from_slice(b"\r\n");
    }
}

/// The length of the first answer, once all of it is there. A key that is missing has an answer, too; an error ends the run.
pub(crate) fn answer(input: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = String::from_utf8_lossy(&input[..end]);
    let length = match line.split_at_checked(1) {
        Some(("+" | ":", _)) => Some(end + 2),
        Some(("$", "-1")) => Some(end + 2),
        Some(("$", length)) => length.parse::<usize>().ok().map(|length| end + 2 + length + 2),
        _ => None,
    };
    let length = length.ok_or_else(|| format!("the server answered: {line}"))?;
    Ok((input.len() >= length).then_some(length))
}

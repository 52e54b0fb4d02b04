//! Nodes as processes of their own.

use super::course::Course;
use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

/// How a node is started.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// Lines that a node has not read yet; with more it is taken for dead.
const INPUT_LINES_MAX: usize = 1 << 16;
/// So much of what a node logs is kept: the end.
const LOG_LINES: usize = 20;

/// What a node has said; nothing: it has ended.
type Said = (usize, Option<io::Result<String>>);

struct Process {
    child: Child,
    /// Nothing: the node is to end.
    input: Option<SyncSender<String>>,
    threads: Vec<JoinHandle<()>>,
    log: Arc<Mutex<VecDeque<String>>>,
}

/// All nodes of a run. They end with it, whatever ends it.
pub(super) struct Processes {
    nodes: Vec<Process>,
    said: Receiver<Said>,
}

impl Processes {
    /// Starts nodes.
    ///
    /// # Errors
    /// The program does not start.
    pub(super) fn start(program: &Program, nodes: usize) -> io::Result<Self> {
        let (to, said) = channel();
        let mut processes = Self { nodes: Vec::new(), said };
        for node in 0..nodes {
            processes.nodes.push(Process::start(program, node, to.clone())?);
        }
        Ok(processes)
    }

    /// Drives a course to its end, in real time.
    pub(super) fn drive(&mut self, course: &mut Course) {
        let began = Instant::now();
        loop {
            course.advance(began.elapsed());
            for (node, line) in course.take_lines() {
                let input = self.nodes[node].input.as_ref();
                if input.is_some_and(|input| input.try_send(line).is_err()) {
                    course.problem(format!("n{node} does not read its input"));
                    self.nodes[node].input = None;
                }
            }
            let Some(due) = course.next_due() else { return };
            match self.said.recv_timeout(due.saturating_sub(began.elapsed())) {
                Ok((node, Some(Ok(line)))) => course.hear(began.elapsed(), node, &line),
                Ok((node, Some(Err(error)))) => course.problem(format!("n{node} cannot be read: {error}")),
                Ok((node, None)) => course.problem(format!("n{node} has ended")),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The end of what each node has logged.
    pub(super) fn logs(&self) -> Vec<String> {
        let log = |process: &Process| {
            let log = process.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.iter().cloned().collect::<Vec<_>>().join("\n")
        };
        self.nodes.iter().map(log).collect()
    }
}

impl Process {
    fn start(program: &Program, node: usize, to: Sender<Said>) -> io::Result<Self> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let (input, lines) = sync_channel(INPUT_LINES_MAX);
        let mut threads = Vec::new();
        if let Some(stdin) = child.stdin.take() {
            threads.push(thread::spawn(move || write(stdin, &lines)));
        }
        if let Some(stdout) = child.stdout.take() {
            threads.push(thread::spawn(move || {
                for line in BufReader::new(stdout).lines() {
                    // The run may be over.
                    let _ = to.send((node, Some(line)));
                }
                let _ = to.send((node, None));
            }));
        }
        if let Some(stderr) = child.stderr.take() {
            let log = log.clone();
            threads.push(thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push_back(line);
                    let surplus = log.len().saturating_sub(LOG_LINES);
                    log.drain(..surplus);
                }
            }));
        }
        Ok(Self { child, input: Some(input), threads, log })
    }
}

/// Until there are no more lines, or the node reads none.
fn write(mut stdin: ChildStdin, lines: &Receiver<String>) {
    while let Ok(line) = lines.recv() {
        if writeln!(stdin, "{line}").is_err() {
            return;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        // It has ended already, unless something went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

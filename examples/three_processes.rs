//! Three processes, each with a directory: in three terminals, `cargo run -p vsr-examples --example three_processes -- 0`, `-- 1`, `-- 2`.
use std::{env, io::*, process::*, time::Duration};
use vsr_actor::{Builder, ReplicaId, StaticAddresses, Tcp, TcpConfig, prelude::*};

#[derive(Default, Serialize, Deserialize)]
struct Counter(i64);

impl StateMachine for Counter {
    type Operation = i64;
    type Reply = i64;
    fn handle_commit(&mut self, _commit: &Commit, add: i64) -> i64 {
        self.0 += add;
        self.0
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let Some(id) = env::args().nth(1) else { return start_all() };
    let id = ReplicaId(id.parse()?);
    let ids = [0, 1, 2].map(ReplicaId);
    let addresses = ids.map(|id| (id, ([127, 0, 0, 1], 7400 + id.0 as u16).into()));
    let tcp = Tcp::bind(addresses[id.0 as usize].1, TcpConfig::new(id, ids), StaticAddresses::new(addresses))
        .await?;
    let data = env::temp_dir().join(format!("three_processes/{}", id.0));
    let counter = tcp.start(Builder::new(id, ids, Counter::default()).data_dir(data)).await?;
    let patient = counter.client().with_deadline(Duration::MAX); // the others may be started at leisure
    println!("{id} added 1: the total is {}", patient.request(1).await?); // kill it, start it again
    Ok(counter.join().await?)
}

/// Without an argument: all three, until each has said something.
fn start_all() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let run = |id: i32| Command::new(env::current_exe()?).arg(format!("{id}")).stdout(Stdio::piped()).spawn();
    let mut all = (0..3).map(run).collect::<Result<Vec<_>>>()?;
    for output in all.iter_mut().filter_map(|process| process.stdout.take()) {
        println!("{}", BufReader::new(output).lines().next().ok_or("one has ended without a word")??);
    }
    Ok(all.iter_mut().try_for_each(Child::kill)?)
}

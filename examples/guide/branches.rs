//! Chapter 9: three branches of the bank, each a process with a directory and a port of its own. `cargo run -p vsr-examples --example
//! guide_9` starts all three, kills them, and starts them again.
#![expect(dead_code, unreachable_pub, reason = "the bank of the other chapters, as it is there")]
mod bank;

use bank::{Bank, Receipt, deposit};
use std::{env, error::Error, net::SocketAddr, path::Path, process::Stdio};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, stdin};
use tokio::process::{Child, ChildStdout, Command};
use vsr_actor::{Builder, FileLog, ReplicaId, StaticAddresses, Tcp, TcpConfig};

const IDS: [ReplicaId; 3] = [ReplicaId(0), ReplicaId(1), ReplicaId(2)];

fn address(id: ReplicaId) -> SocketAddr {
    ([127, 0, 0, 1], 7501 + id.0 as u16).into()
}

async fn branch(id: ReplicaId, data: &Path) -> Result<(), Box<dyn Error>> {
    let book = StaticAddresses::new(IDS.map(|id| (id, address(id))));
    let tcp = Tcp::bind(address(id), TcpConfig::new(id, IDS), book).await?;
    let log = FileLog::new(data.join(format!("branch-{}", id.0)));
    let replica = tcp.start(Builder::new(id, IDS, Bank::default()).storage(log)).await?;

    let bank = replica.client();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let (name, cents) = line.split_once(' ').ok_or("a line is a name and cents")?;
        match bank.request(deposit(name, cents.parse()?)).await? {
            Receipt::Balance(cents) => println!("{name} has {cents}"),
            Receipt::TooPoor { has } => println!("{name} has only {has}"),
        }
    }
    replica.shutdown().await?;
    tcp.shutdown().await;
    Ok(())
}

/// A branch in a process of its own, and what it prints.
struct Process(Child, Lines<BufReader<ChildStdout>>);

impl Process {
    fn start(id: ReplicaId, data: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(env::current_exe()?);
        command.arg(id.0.to_string()).arg(data).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let printed = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        Ok(Self(child, printed))
    }

    async fn say(&mut self, line: &str) -> Result<String, Box<dyn Error>> {
        let input = self.0.stdin.as_mut().ok_or("no input")?;
        input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.1.next_line().await?.ok_or("it has ended")?)
    }
}

fn all(data: &Path) -> Result<Vec<Process>, Box<dyn Error>> {
    IDS.into_iter().map(|id| Process::start(id, data)).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [id, data] = &arguments[..] {
        return branch(ReplicaId(id.parse()?), Path::new(data)).await;
    }

    let data = env::temp_dir().join(format!("bank-{}", std::process::id()));
    let mut branches = all(&data)?;
    assert_eq!(branches[0].say("Ada 500").await?, "Ada has 500");

    for branch in &mut branches {
        branch.0.kill().await?; // all of them at once, without a word
    }
    let mut branches = all(&data)?;
    assert_eq!(branches[1].say("Ada 20").await?, "Ada has 520");
    println!("chapter 9: Ada has 520");

    for mut branch in branches {
        drop(branch.0.stdin.take()); // the end of its input: it leaves in order
        assert!(branch.0.wait().await?.success());
    }
    Ok(std::fs::remove_dir_all(&data)?)
}

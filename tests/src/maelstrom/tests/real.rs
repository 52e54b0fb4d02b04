//! The nodes of `vsr-kv maelstrom` themselves, in this process and in virtual time.

use super::*;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout_at},
};

const PIPE_BYTES: usize = 1 << 20;

/// As the command starts them.
fn config(seed: u64) -> vsr_actor::Config {
    let mut config = vsr_kv::maelstrom::config();
    config.heartbeat_interval = Duration::from_millis(20);
    config.heartbeat_timeout = Duration::from_millis(100);
    config.client.deadline = Duration::from_millis(600);
    config.seed = Some(seed);
    config
}

async fn drive(seed: u64, settings: Settings) -> Outcome {
    let mut course = Course::new(seed, settings);
    let (to, mut said) = mpsc::unbounded_channel();
    let (mut tasks, mut inputs) = (JoinSet::new(), Vec::new());
    for node in 0..settings.nodes {
        let (input, node_input) = duplex(PIPE_BYTES);
        let (node_output, output) = duplex(PIPE_BYTES);
        inputs.push(input);
        tasks.spawn(async move {
            let ended =
                vsr_kv::maelstrom::run(BufReader::new(node_input), node_output, config(seed), None).await;
            ended.expect("nothing ends a node but the end of its input");
        });
        let to = to.clone();
        tasks.spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Some(line) = lines.next_line().await.expect("lines are UTF-8") {
                to.send((node, line)).expect("the run outlives its nodes");
            }
        });
    }
    let began = Instant::now();
    loop {
        course.advance(began.elapsed());
        for (node, line) in course.take_lines() {
            inputs[node].write_all(format!("{line}\n").as_bytes()).await.expect("the node listens");
        }
        let Some(due) = course.next_due() else { break };
        if let Ok(said) = timeout_at(began + due, said.recv()).await {
            let (node, line) = said.expect("this end is open");
            course.hear(began.elapsed(), node, &line);
        }
    }
    drop(inputs);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no node panics");
    }
    course.into_outcome()
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_cut_off_again_and_again_stay_linearizable_and_serve() {
    for (seed, nodes) in [(1, 3), (2, 3), (3, 5)] {
        let outcome = drive(seed, settings(nodes, true)).await;
        let verdict = judge(&outcome);
        assert_eq!(verdict.violation, None, "{nodes} nodes, seed {seed}");
        assert_eq!(verdict.problems, [""; 0], "{nodes} nodes, seed {seed}");
        assert!(outcome.partitions > 2 && outcome.dropped > 0, "the network was whole");
    }
}

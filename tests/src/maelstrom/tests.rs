//! The runner itself, in virtual time: it accepts nodes that are right, and finds those that are not.

mod real;

use super::*;
use planted::Node;

/// What a node says to a line.
type Speaker = Box<dyn FnMut(&str) -> Vec<String>>;

/// A run with nodes that answer at once.
fn drive(seed: u64, settings: Settings, mut nodes: Vec<Speaker>) -> Outcome {
    let mut course = Course::new(seed, settings);
    let mut now = Duration::ZERO;
    loop {
        course.advance(now);
        for (node, line) in course.take_lines() {
            for said in nodes[node](&line) {
                course.hear(now, node, &said);
            }
        }
        match course.next_due() {
            Some(due) => now = now.max(due),
            None => return course.into_outcome(),
        }
    }
}

fn settings(nodes: usize, partitions: bool) -> Settings {
    let load = Duration::from_secs(3);
    Settings { nodes, clients: 8, load, latency: Duration::from_millis(3), partitions }
}

fn planted(nodes: usize, make: impl Fn() -> Node) -> Vec<Speaker> {
    let node = |_| {
        let mut node = make();
        Box::new(move |line: &str| node.hear(line)) as Speaker
    };
    (0..nodes).map(node).collect()
}

#[test]
fn nodes_that_are_right_are_accepted_with_partitions_and_without() {
    for nodes in [1, 3, 5] {
        for seed in 1..=4 {
            let settings = settings(nodes, seed % 2 == 0);
            let outcome = drive(seed, settings, planted(nodes, || Node::with(false, false)));
            let verdict = judge(&outcome);
            assert_eq!(verdict.violation, None, "{nodes} nodes, seed {seed}");
            assert_eq!(verdict.problems, [""; 0], "{nodes} nodes, seed {seed}");
            assert_eq!(outcome.partitions > 2, settings.partitions && nodes > 1);
            assert_eq!(outcome.dropped > 0, settings.partitions && nodes > 1);
            assert!(verdict.counts.requests > 100, "{:?}", verdict.counts);
        }
    }
}

#[test]
fn broken_nodes_are_found_by_every_seed() {
    for broken in [Broken::StaleReads, Broken::OwnCopy] {
        for seed in 1..=10 {
            let outcome = drive(seed, settings(3, true), planted(3, || Node::new(broken)));
            let verdict = judge(&outcome);
            assert_eq!(verdict.problems, [""; 0], "{broken:?}, seed {seed}");
            let (_, why) = verdict.violation.unwrap_or_else(|| panic!("{broken:?} survives seed {seed}"));
            assert!(why.contains("not linearizable"), "{why}");
        }
    }
}

/// What comes of two nodes that are right, but for what one changes in its lines.
fn with_liar(lie: impl Fn(String) -> Option<String> + 'static) -> Verdict {
    let mut nodes = planted(2, || Node::with(false, false));
    let mut honest = nodes.remove(1);
    nodes.push(Box::new(move |line| honest(line).into_iter().filter_map(&lie).collect()));
    judge(&drive(1, settings(2, false), nodes))
}

#[test]
fn what_no_node_may_say_is_a_problem() {
    assert_eq!(with_liar(Some).problems, [""; 0]);
    type Lie = fn(String) -> Option<String>;
    let lies: [(&str, Lie); 7] = [
        ("no JSON", |line| Some(line.replace("read_ok", "read\u{1}_ok"))),
        ("does not belong into", |line| Some(line.replace("\"read_ok\",", "\"read_ok\",\"key\":1,"))),
        ("somebody else", |line| Some(line.replace("\"src\":\"n1\"", "\"src\":\"n0\""))),
        ("nobody ever wrote", |line| Some(line.replace("\"value\":", "\"value\":null,\"msg_id\":"))),
        ("is answered by", |line| Some(line.replace("\"code\":20", "\"code\":10"))),
        ("did not serve anybody", |line| line.contains("init_ok").then_some(line)),
        ("did not serve anybody", |_| None),
    ];
    for (about, lie) in lies {
        let problems = with_liar(lie).problems;
        assert!(problems.iter().any(|problem| problem.contains(about)), "{about}: {problems:?}");
    }
}

#[test]
fn a_run_in_which_little_was_done_means_nothing() {
    let nothing = Outcome { rows: Vec::new(), problems: Vec::new(), partitions: 0, messages: 0, dropped: 0 };
    let problems = judge(&nothing).problems;
    assert_eq!(problems.len(), 4, "no read, no write, no compare-and-set, too few of all: {problems:?}");
}

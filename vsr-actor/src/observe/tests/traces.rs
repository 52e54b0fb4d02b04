//! One trace from the client to every replica.

use super::{Capture, alone, capture::SpanHeard};
use crate::{Client, Cluster, ReplicaId, TraceContext, observe::Value, prelude::*};

#[derive(Default, Serialize, Deserialize)]
struct Adder(u64);

impl StateMachine for Adder {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        self.0 += add;
        self.0
    }
}

/// A group that is listened to, and a client of one of its backups, whose session is open.
async fn listened(capture: &Capture) -> (Cluster<Adder>, ReplicaId, Client<Adder>) {
    let cluster = Cluster::builder(3, Adder::default).observer(capture.clone()).start().await.expect("valid");
    let primary = cluster.primary().await.expect("there is one");
    let backup = *cluster.ids().iter().find(|id| **id != primary).expect("there are three");
    let client = cluster.client_at(backup).expect("it is there");
    client.read_linearizable(|adder| adder.0).await.expect("the group is healthy");
    (cluster, backup, client)
}

fn trace_of(span: &SpanHeard) -> Value<'static> {
    let field = span.fields.iter().find(|(name, _)| *name == "trace_id");
    field.expect("every such span has one").1.clone()
}

/// Where the trace was seen: the replica of each event of this name.
fn seen(capture: &Capture, name: &str, trace: &Value<'static>) -> Vec<u64> {
    let heard = capture.named(name).into_iter().filter(|heard| heard.field("trace_id") == trace);
    let node = |heard: super::capture::Heard| match heard.field("node_id") {
        Value::U64(node) => *node,
        other => panic!("{other}"),
    };
    let mut nodes: Vec<_> = heard.map(node).collect();
    nodes.sort_unstable();
    nodes
}

#[tokio::test(start_paused = true)]
async fn a_request_at_a_backup_is_one_trace_from_the_client_to_all_commits() {
    let _alone = alone().await;
    let capture = Capture::default();
    let _subscriber = tracing::subscriber::set_default(capture.clone());
    let (cluster, backup, client) = listened(&capture).await;
    let primary = cluster.primary().await.expect("there is one");
    client.request(5).await.expect("the group is healthy");
    let ticket = client.submit(6).await.expect("there is room");
    ticket.await.expect("the group is healthy");
    cluster.await_convergence().await.expect("all are connected");

    let spans = capture.spans();
    let requests: Vec<_> = spans.iter().filter(|span| span.name == "vsr.request").collect();
    assert_eq!(requests.len(), 2);
    assert_ne!(trace_of(requests[0]), trace_of(requests[1]), "each request is a trace of its own");
    for request in requests {
        assert!(request.is_closed(), "it ends with the reply");
        let trace = trace_of(request);
        assert_eq!(seen(&capture, "vsr.trace.request", &trace), [u64::from(backup.0)]);
        assert_eq!(seen(&capture, "vsr.trace.forwarded", &trace), [u64::from(primary.0)]);
        assert_eq!(seen(&capture, "vsr.trace.commit", &trace), [0, 1, 2]);
        let commits = spans.iter().filter(|span| span.name == "vsr.commit" && trace_of(span) == trace);
        assert_eq!(commits.filter(|span| span.is_closed()).count(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_trace_is_kept_and_without_one_nobody_makes_one_up_unheard() {
    let _alone = alone().await;
    let capture = Capture::default();
    // Observers alone are no reason to draw ids: there is no span at the client to share them with.
    let (cluster, _, client) = listened(&capture).await;
    client.request(5).await.expect("the group is healthy");
    let own = TraceContext::new(0xabc, 0xdef, TraceContext::SAMPLED).expect("neither is zero");
    client.with_trace(own).request(6).await.expect("the group is healthy");
    cluster.await_convergence().await.expect("all are connected");
    let trace = Value::from(format!("{:032x}", 0xabc));
    assert_eq!(seen(&capture, "vsr.trace.commit", &trace), [0, 1, 2]);
    let commits = capture.named("vsr.trace.commit");
    assert_eq!(commits.len(), 3, "only that one");
    assert!(commits.iter().all(|heard| heard.field("span_id") == &Value::from(format!("{:016x}", 0xdef))));
}

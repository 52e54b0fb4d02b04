//! What Prometheus scrapes.

use super::{METRICS, MetricKind, alone};
use crate::{
    Cluster, Commit, StateMachine,
    observe::prometheus::{Exporter, PrometheusError, build},
};
use metrics_exporter_prometheus::PrometheusRecorder;
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Adder(u64);

impl StateMachine for Adder {
    type Operation = u64;
    type Reply = u64;

    fn handle_commit(&mut self, _commit: &Commit, add: u64) -> u64 {
        self.0 += add;
        self.0
    }
}

/// At an address that nobody else uses: found free, and tried again if somebody was quicker.
fn exporter() -> (SocketAddr, PrometheusRecorder, Exporter) {
    loop {
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = any.expect("the machine has a free port");
        if let Ok((recorder, exporter)) = build(address) {
            return (address, recorder, exporter);
        }
    }
}

fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    text
}

#[tokio::test(start_paused = true)]
async fn a_scrape_shows_the_metrics_of_the_table() {
    let _alone = alone().await;
    let (address, recorder, exporter) = exporter();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let cluster = Cluster::in_process(3, Adder::default).await.expect("the configuration is valid");
    cluster.client().request(5).await.expect("the group is healthy");
    cluster.await_convergence().await.expect("all are connected");
    let text = scrape(address);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    for metric in
        METRICS.iter().filter(|metric| metric.label.is_none() && metric.kind != MetricKind::Histogram)
    {
        assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.meaning)), "{}", metric.name);
        assert!(text.contains(&format!("# TYPE {} {}", metric.name, metric.kind.name())), "{}", metric.name);
        for replica in 0..3 {
            let series = format!("{}{{group=\"0\",replica=\"{replica}\"}}", metric.name);
            assert!(text.contains(&series), "{series}");
        }
    }
    assert!(text.contains("vsr_is_primary{group=\"0\",replica=\"0\"} 1\n"), "{text}");
    assert!(text.contains("vsr_status{group=\"0\",replica=\"2\",status=\"normal\"} 1\n"), "{text}");
    let request = "vsr_request_duration_seconds_bucket{group=\"0\",replica=\"0\",le=\"+Inf\"} 1\n";
    assert!(text.contains(request), "{text}");
    let shown = text.split_once("\r\n\r\n").expect("a head and a body").1.lines().count();
    assert_eq!(exporter.render().lines().count(), shown, "the same without a socket");
    let taken = build(address).expect_err("it is taken");
    assert!(matches!(taken, PrometheusError::Listen { .. }), "{taken}");
}

//! What supervisors tell, which is not in the table, and the page's list of it.

use super::{Capture, alone};
use crate::{
    Cluster, Config, Handle, ReplicaError, ReplicaId, Restart, Supervisor, SupervisorConfig, prelude::*,
};
use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

#[derive(Default, Serialize, Deserialize)]
struct Nothing;

impl StateMachine for Nothing {
    type Operation = ();
    type Reply = ();

    fn handle_commit(&mut self, _commit: &Commit, (): ()) {}
}

async fn broken() -> Result<Handle<Nothing>, ReplicaError> {
    Err(ReplicaError::Aborted)
}

/// The rows of the page's list: event, level, fields.
fn listed() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/telemetry.md");
    let page = fs::read_to_string(path).expect("the page is there");
    let rows = page.lines().filter(|line| line.starts_with("| `vsr.supervisor."));
    let row = |row: &str| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        format!("{} {} {}", cells[1], cells[2], cells[4])
    };
    rows.map(row).collect()
}

#[tokio::test(start_paused = true)]
async fn the_page_lists_what_supervisors_tell() {
    let _alone = alone().await;
    let capture = Capture::default();
    let _listening = tracing::subscriber::set_default(capture.clone());
    let config = SupervisorConfig {
        restarts_max: 1,
        shutdown_timeout: Duration::from_secs(1),
        ..SupervisorConfig::default()
    };
    let supervisor = || Supervisor::builder().config(config).start().expect("valid");

    let given_up = supervisor();
    given_up.start("once", Restart::Temporary, broken).await.expect("it goes on");
    given_up.start("broken", Restart::Permanent, broken).await.expect("it goes on");
    given_up.join().await.expect_err("it never starts");

    // A primary that nobody can take over from takes its time.
    let slow = Config { heartbeat_timeout: Duration::from_secs(20), ..Config::default() };
    let cluster = Cluster::builder(3, || Nothing).config(slow).start().await.expect("valid");
    for id in [ReplicaId(1), ReplicaId(2)] {
        cluster.crash(id).await.expect("it runs");
    }
    let primary = cluster.handle(ReplicaId(0)).expect("it runs");
    let aborts = supervisor();
    let start = Arc::new(primary);
    let start = move || std::future::ready(Ok::<_, ReplicaError>(Handle::clone(&start)));
    let child = aborts.start("primary", Restart::Permanent, start).await.expect("it goes on");
    child.await_running().await.expect("it runs");
    aborts.shutdown().await.expect_err("it takes too long");

    let heard = capture.traced().into_iter().filter(|heard| heard.target == "vsr::supervisor");
    let row = |heard: super::capture::Heard| {
        let fields = heard.fields.iter().map(|(name, _)| *name).filter(|name| *name != "message");
        let fields: Vec<_> = fields.map(|name| format!("`{name}`")).collect();
        format!("`{}` {} {}", heard.name, heard.level, fields.join(", "))
    };
    assert_eq!(heard.map(row).collect::<BTreeSet<_>>(), listed());
}

//! Which pictures there are: a few of each bench, made of what its results hold.

use super::{
    panel::Panel,
    rows::{Row, Rows, Shape},
    scale::Scale,
    series::{axis, lines, rounds, rows, system},
    style,
};
use crate::report::Table;
use vsr_benches::results::{Measured, Results};

/// A file to be drawn: panels side by side, rows below each other.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) name: &'static str,
    pub(super) title: String,
    pub(super) note: String,
    pub(super) columns: usize,
    pub(super) panels: Vec<Panel>,
    pub(super) rows: Vec<Rows>,
}

const PER_SECOND: &str = "operations_per_second";
const CLIENTS: &str = "clients";

/// All pictures of one file of results.
pub(super) fn pictures(results: &Results) -> Vec<Picture> {
    let all = &results.measured;
    match all.first().map(|it| it.bench.as_str()) {
        Some("memory") => memory(all),
        Some("durable") => durable(Table::new(all, system).without_throttled().0.measured()),
        Some("reads") => reads(all),
        Some("resp") => resp(all),
        Some("growth") => growth(all),
        Some("endurance") => endurance(all),
        Some("view-change") => view_change(all),
        Some("catch-up") => catch_up(all),
        Some("failover") => failover(all),
        _ => Vec::new(),
    }
}

fn memory(all: &[Measured]) -> Vec<Picture> {
    let of_workers = all[0].parameters.get("workers").map_or("2", String::as_str);
    let note = format!(
        "Put of a 16-byte key and a 64-byte value; {of_workers} worker threads; median and spread of {}",
        rounds(all)
    );
    let picture = |name, title: &str| Picture {
        name,
        title: title.to_owned(),
        note: note.clone(),
        columns: 1,
        panels: Vec::new(),
        rows: Vec::new(),
    };
    let by_clients = |title: &str, label: &str, figure, scale| Panel {
        title: title.to_owned(),
        x: axis("clients with one operation under way each", Scale::Log),
        y: axis(label, scale),
        series: lines(all, CLIENTS, figure, system),
    };
    let at_256: Vec<Measured> = all.iter().filter(|it| it.with(CLIENTS, 256)).cloned().collect();
    let bars = |title: &str, label: &str, figure| Rows {
        title: title.to_owned(),
        label: label.to_owned(),
        scale: Scale::Linear,
        shape: Shape::Bars,
        rows: rows(&at_256, figure, system),
    };
    let mut pictures = vec![
        Picture {
            panels: vec![by_clients("", "operations a second", PER_SECOND, Scale::Linear)],
            ..picture("memory-throughput", "Three replicas in one process, in memory: throughput")
        },
        Picture {
            columns: 2,
            panels: vec![
                by_clients("Median", "µs (logarithmic)", "p50_us", Scale::Log),
                by_clients("99th percentile", "µs (logarithmic)", "p99_us", Scale::Log),
            ],
            ..picture("memory-latency", "Three replicas in one process, in memory: time to the reply")
        },
    ];
    if !at_256.is_empty() {
        pictures.push(Picture {
            rows: vec![
                bars("Processor time of all replicas and clients", "ns an operation", "cpu_ns_per_operation"),
                bars("Allocations", "an operation", "allocations_per_operation"),
            ],
            ..picture(
                "memory-cost",
                "Three replicas in one process, in memory: cost of an operation, 256 clients",
            )
        });
    }
    pictures
}

fn durable(all: &[Measured]) -> Vec<Picture> {
    let panel = |title: &str, label: &str, figure| Panel {
        title: title.to_owned(),
        x: axis("clients with one write under way each", Scale::Log),
        y: axis(label, Scale::Log),
        series: lines(all, CLIENTS, figure, system),
    };
    vec![Picture {
        name: "durable",
        title: "Three processes on loopback, every write flushed before it is acknowledged".to_owned(),
        note: format!("64-byte values; median and spread of {}", rounds(all)),
        columns: 2,
        panels: vec![
            panel("Throughput", "writes a second (logarithmic)", PER_SECOND),
            panel("Median time to the acknowledgement", "ms (logarithmic)", "p50_ms"),
            panel("99th percentile", "ms (logarithmic)", "p99_ms"),
        ],
        rows: Vec::new(),
    }]
}

fn reads(all: &[Measured]) -> Vec<Picture> {
    let name =
        |it: &Measured| format!("{}, {}", system(it), it.parameters.get("reads").map_or("?", String::as_str));
    let panel = |title: &str, label: &str, figure| Panel {
        title: title.to_owned(),
        x: axis("clients with one read under way each", Scale::Log),
        y: axis(label, Scale::Log),
        series: lines(all, CLIENTS, figure, name),
    };
    vec![Picture {
        name: "reads",
        title: "Reads of three processes, through the leader".to_owned(),
        note: format!("64-byte values; median and spread of {}", rounds(all)),
        columns: 2,
        panels: vec![
            panel("Throughput", "reads a second (logarithmic)", PER_SECOND),
            panel("99th percentile", "ms (logarithmic)", "p99_ms"),
        ],
        rows: Vec::new(),
    }]
}

fn resp(all: &[Measured]) -> Vec<Picture> {
    let panel = |pipeline: usize, title: &str| Panel {
        title: title.to_owned(),
        x: axis("connections", Scale::Log),
        y: axis("SET a second (logarithmic)", Scale::Log),
        series: {
            let of_it: Vec<Measured> = all
                .iter()
                .filter(|it| it.with("command", "SET") && it.with("pipeline", pipeline))
                .cloned()
                .collect();
            lines(&of_it, "connections", PER_SECOND, system)
        },
    };
    let panels = [panel(1, "One request under way (-P 1)"), panel(16, "Sixteen under way (-P 16)")];
    vec![Picture {
        name: "resp",
        title: "redis-benchmark, one after the other at vsr-kv and at Redis".to_owned(),
        note: format!("SET of 64-byte values; median and spread of {}", rounds(all)),
        columns: 2,
        panels: panels.into_iter().filter(|panel| !panel.series.is_empty()).collect(),
        rows: Vec::new(),
    }]
}

fn growth(all: &[Measured]) -> Vec<Picture> {
    let of_workers = |it: &Measured| match it.parameters.get("workers").map(String::as_str) {
        Some("1") => "1 worker".to_owned(),
        count => format!("{} workers", count.unwrap_or("?")),
    };
    let panel = |kind: &str, title: &str, label: &str, x| {
        let measured: Vec<Measured> = all.iter().filter(|it| it.with("axis", kind)).cloned().collect();
        let name = |it: &Measured| match it.system.as_str() {
            "vsr" => of_workers(it),
            other => format!("{other}, {}", of_workers(it)),
        };
        let series = lines(&measured, "value", PER_SECOND, name);
        let y = axis("operations a second", Scale::Linear);
        (!measured.is_empty()).then(|| Panel { title: title.to_owned(), x: axis(label, x), y, series })
    };
    let panels = [
        panel("keys", "Number of keys", "keys", Scale::Log),
        panel("size", "Size of an operation", "bytes of a value", Scale::Bytes),
        panel("replicas", "Replicas", "replicas of the group", Scale::Linear),
        panel("groups", "Groups in one process, the clients spread over them", "groups of three", Scale::Log),
        panel("log", "Length of the log", "operations kept behind a snapshot", Scale::Log),
    ];
    vec![Picture {
        name: "growth",
        title: "As work grows: one process, in memory".to_owned(),
        note: format!(
            "256 clients; median and spread of {}, each point in a process of its own",
            rounds(all)
        ),
        columns: 2,
        panels: panels.into_iter().flatten().collect(),
        rows: Vec::new(),
    }]
}

fn endurance(all: &[Measured]) -> Vec<Picture> {
    let panel = |title: &str, label: &str, figure| Panel {
        title: title.to_owned(),
        x: axis("millions of operations done", Scale::Linear),
        y: axis(label, Scale::Linear),
        series: lines(all, "millions", figure, system),
    };
    vec![Picture {
        name: "endurance",
        title: "A long run: three replicas in one process, in memory, 256 clients".to_owned(),
        note: "Put of a 16-byte key and a 64-byte value over 16 384 keys".to_owned(),
        columns: 2,
        panels: vec![
            panel("Throughput of each part", "operations a second", PER_SECOND),
            panel("Resident memory of the process", "MiB", "resident_mib"),
        ],
        rows: Vec::new(),
    }]
}

fn view_change(all: &[Measured]) -> Vec<Picture> {
    vec![Picture {
        name: "view-change",
        title: "View change with 10 000 uncommitted operations, detection excluded".to_owned(),
        note:
            "From the quorum of votes to the first commit of the new view; each dot is one crash of a primary"
                .to_owned(),
        columns: 1,
        panels: Vec::new(),
        rows: vec![Rows {
            title: String::new(),
            label: "ms".to_owned(),
            scale: Scale::Linear,
            shape: Shape::Dots,
            rows: rows(all, "view_change_ms", system),
        }],
    }]
}

fn catch_up(all: &[Measured]) -> Vec<Picture> {
    let row = |name: &str, figure: &str| Row {
        name: name.to_owned(),
        colour: style::OURS,
        values: all.iter().map(|it| it.figure(figure)).filter(|it| it.is_finite()).collect(),
    };
    let table = |title: &str, label: &str, shape, rows: Vec<Row>| Rows {
        title: title.to_owned(),
        label: label.to_owned(),
        scale: Scale::Linear,
        shape,
        rows: rows.into_iter().filter(|row| !row.values.is_empty()).collect(),
    };
    let all_rows = [
        table(
            "A snapshot of the state",
            "MB a second",
            Shape::Bars,
            vec![
                row("taken: written and flushed", "taking_mb_per_second"),
                row("sent, and kept on disk", "sending_mb_per_second"),
                row("installed: read", "installing_mb_per_second"),
            ],
        ),
        table(
            "99th percentile of writes at the primary meanwhile",
            "ms",
            Shape::Dots,
            vec![row("nobody catches up", "p99_ms_without"), row("a replica catches up", "p99_ms_with")],
        ),
        table(
            "In memory, millions of operations behind: throughput of the others",
            "operations a second",
            Shape::Bars,
            vec![
                row("before", "ops_per_second_before"),
                row("while it catches up", "ops_per_second_meanwhile"),
                row("afterwards, with it", "ops_per_second_afterwards"),
            ],
        ),
    ];
    vec![Picture {
        name: "catch-up",
        title: "A replica that was away catches up".to_owned(),
        note: format!("Median and spread of {}", rounds(all)),
        columns: 1,
        panels: Vec::new(),
        rows: all_rows.into_iter().filter(|table| !table.rows.is_empty()).collect(),
    }]
}

fn failover(all: &[Measured]) -> Vec<Picture> {
    let name = |it: &Measured| match it.parameters.get("preset") {
        Some(preset) => format!("{}, {preset}", system(it)),
        None => system(it),
    };
    vec![Picture {
        name: "failover",
        title: "Kill -9 of the primary under load: time to the first acknowledged write".to_owned(),
        note: "Each dot is one kill; the stroke and the number are the median".to_owned(),
        columns: 1,
        panels: Vec::new(),
        rows: vec![Rows {
            title: String::new(),
            label: "ms (logarithmic)".to_owned(),
            scale: Scale::Log,
            shape: Shape::Dots,
            rows: rows(all, "gap_ms", name),
        }],
    }]
}

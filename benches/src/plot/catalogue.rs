//! Which pictures there are: a few of each bench, made of what its results hold.

use super::{
    panel::{Axis, Panel, Point, Series},
    rows::{Row, Rows, Shape},
    scale::Scale,
    style,
};
use vsr_benches::results::{Measured, Results, median, spread};

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
        Some("durable") => durable(all),
        Some("growth") => growth(all),
        Some("endurance") => endurance(all),
        Some("view-change") => view_change(all),
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

fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.to_owned(), scale }
}

/// As a reader is to see it.
fn system(it: &Measured) -> String {
    match it.system.as_str() {
        "vsr" => "this project".to_owned(),
        "one-task" => "one task, not replicated".to_owned(),
        "floor" => "floor: no protocol".to_owned(),
        other => other.to_owned(),
    }
}

fn rounds(all: &[Measured]) -> String {
    match all.iter().map(|it| it.round).max().unwrap_or(0) {
        1 => "1 round".to_owned(),
        count => format!("{count} rounds"),
    }
}

/// The names, in the order of their first appearance.
fn names(all: &[Measured], name: impl Fn(&Measured) -> String) -> Vec<String> {
    let mut names = Vec::new();
    for it in all.iter().map(name) {
        if !names.contains(&it) {
            names.push(it);
        }
    }
    names
}

/// A line for each name: the figure over the parameter.
fn lines(
    all: &[Measured],
    parameter: &str,
    figure: &str,
    name: impl Fn(&Measured) -> String + Copy,
) -> Vec<Series> {
    let names = names(all, name);
    let looks = style::looks(&names);
    let line = |(of, look): (String, style::Look)| {
        let of_this = || all.iter().filter(|it| name(it) == of && it.figure(figure).is_finite());
        let x = |it: &Measured| it.parameters.get(parameter)?.parse::<f64>().ok();
        let mut at: Vec<f64> = of_this().filter_map(x).collect();
        at.sort_by(f64::total_cmp);
        at.dedup();
        let point = |at: f64| {
            let values: Vec<f64> =
                of_this().filter(|it| x(it) == Some(at)).map(|it| it.figure(figure)).collect();
            let (low, high) = spread(&values);
            Point { x: at, low, middle: median(values), high }
        };
        let points: Vec<Point> = at.into_iter().map(point).collect();
        Series { name: of, look, points }
    };
    names.into_iter().zip(looks).map(line).filter(|series| !series.points.is_empty()).collect()
}

/// A row for each name: all rounds of the figure.
fn rows(all: &[Measured], figure: &str, name: impl Fn(&Measured) -> String + Copy) -> Vec<Row> {
    let names = names(all, name);
    let looks = style::looks(&names);
    let row = |(of, look): (String, style::Look)| {
        let values = all.iter().filter(|it| name(it) == of).map(|it| it.figure(figure));
        let values = values.filter(|it| it.is_finite()).collect();
        Row { name: of, colour: look.colour, values }
    };
    names.into_iter().zip(looks).map(row).filter(|row| !row.values.is_empty()).collect()
}

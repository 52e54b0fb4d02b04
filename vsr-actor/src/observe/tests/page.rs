//! The page of telemetry: its head is written by hand, its tables by this test.

use crate::observe::{Definition, EVENTS, METRICS, Metric, TRANSPORT_EVENTS, TRANSPORT_METRICS};
use std::{fmt::Write as _, fs, path::Path};

const BEGIN: &str = "<!-- the tables: written by UPDATE_EXPECT=1 cargo test -p vsr-actor observe -->\n";

fn tables() -> String {
    let mut text = String::from("## Events\n");
    events(EVENTS, &mut text);
    text += "\n## Metrics\n\nAll have the labels `group` and `replica`.\n";
    metrics(METRICS, &mut text);
    text += "\n## Events of the TCP transport\n\nAll have the fields `cluster` and `node_id`.\n";
    events(TRANSPORT_EVENTS, &mut text);
    text += "\n## Metrics of the TCP transport\n\nAll have the labels `cluster` and `replica`.\n";
    metrics(TRANSPORT_METRICS, &mut text);
    text
}

fn events(table: &[Definition], text: &mut String) {
    let mut target = "";
    for definition in table {
        if definition.target != target {
            target = definition.target;
            let _ = write!(
                text,
                "\n### `{target}`\n\n| event | level | what happened | fields | metrics | in the original |\n|---|---|---|---|---|---|\n"
            );
        }
        let fields = definition.fields.iter().map(|field| format!("`{}`: {}", field.name, field.what));
        let metrics = definition.metrics.iter().map(|name| format!("`{name}`"));
        let original = definition.original.map_or(String::new(), |name| format!("`{name}`"));
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {original} |",
            definition.name,
            definition.level,
            definition.meaning,
            fields.collect::<Vec<_>>().join(", "),
            metrics.collect::<Vec<_>>().join(", "),
        );
    }
}

fn metrics(table: &[Metric], text: &mut String) {
    *text += "\n| metric | kind | label | what it says |\n|---|---|---|---|\n";
    for metric in table {
        let label = metric.label.map_or(String::new(), |label| format!("`{label}`"));
        let _ =
            writeln!(text, "| `{}` | {} | {label} | {} |", metric.name, metric.kind.name(), metric.meaning);
    }
}

#[test]
fn the_page_of_telemetry_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/telemetry.md");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let (head, _) = text.split_once(BEGIN).expect("the page has a place for its tables");
    let wanted = format!("{head}{BEGIN}\n{}", tables());
    if text != wanted && std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, wanted).expect("the page can be written");
        return;
    }
    let differs = text.lines().zip(wanted.lines()).find(|(old, new)| old != new);
    assert!(text == wanted, "docs/telemetry.md: UPDATE_EXPECT=1 writes it anew; {differs:?}");
}

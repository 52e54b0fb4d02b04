//! The table of `docs/redis.md` is the table of commands.

use super::{Command, Run, TABLE, tests::parse};
use crate::server::Step;
use crate::store::Operation;
use std::{env, fs, path::PathBuf};

const BEGIN: &str =
    "<!-- The rows are written by a test: UPDATE_EXPECT=1 cargo test -p vsr-kv --lib page -->\n";
const END: &str = "<!-- End of the rows. -->\n";

/// What the shortest request of a command becomes.
fn sample(row: &Command) -> Operation {
    parse(&format!("{}{}", row.name, " 1".repeat(row.arity.unsigned_abs() as usize - 1))).expect(row.name)
}

fn answered_by(row: &Command) -> &'static str {
    match row.run {
        Run::Store(_) if sample(row).is_read() => "a read",
        Run::Store(_) => "the log",
        Run::Transaction(Step::Exec) => "the log",
        Run::Transaction(Step::Watch) => "a read",
        Run::Transaction(_) => "the connection",
        Run::Local(_) => "the connection",
        Run::Control(_) => "the group",
    }
}

fn rows() -> String {
    let mut text = String::from("| command | what it does | answered by |\n|---|---|---|\n");
    for row in TABLE {
        let name = row.name.to_uppercase();
        text += &format!("| `{name}` | {} | {} |\n", row.summary, answered_by(row));
    }
    text
}

#[test]
fn the_page_has_every_command_as_the_table_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/redis.md");
    let page = fs::read_to_string(&path).expect("docs/redis.md");
    let (before, rest) = page.split_once(BEGIN).expect("a mark before the rows");
    let (_, after) = rest.split_once(END).expect("a mark behind the rows");
    let wanted = format!("{before}{BEGIN}\n{}\n{END}{after}", rows());
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &wanted).expect("docs/redis.md can be written");
    } else {
        assert!(page == wanted, "docs/redis.md is not what the table says: see the mark before its rows");
    }
}

#[test]
fn flags_say_what_commands_do() {
    for row in TABLE.iter().filter(|row| matches!(row.run, Run::Store(_))) {
        let operation = sample(row);
        // How long a key has to live changes nothing, though it takes the time of the log.
        let reads = operation.is_read() || matches!(operation, Operation::TimeToLive { .. });
        assert_eq!(row.flags.contains(&"readonly"), reads, "{}", row.name);
        assert_eq!(row.flags.contains(&"write"), !reads, "{}", row.name);
    }
}

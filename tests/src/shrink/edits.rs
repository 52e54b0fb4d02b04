//! Ways of saying the same more simply. Each is a guess: it is taken only if the property still breaks.

type Rewrite = fn(&[String]) -> Vec<String>;

/// Rewrites of the whole text, from the precise to the usual commands.
pub(super) const GLOBAL: &[Rewrite] = &[
    |lines| without(lines, "clock"),
    |lines| without(lines, "read"),
    |lines| without(lines, "acked"),
    |lines| without(lines, "pass"),
    timers_fire,
    turns_by_themselves,
    writes_are_told,
    storage_by_itself,
    oldest_messages,
    |lines| without_option(&without(lines, "snapshot"), "manual-snapshots"),
    |lines| without_option(&without(lines, "staged"), "manual-stages"),
    |lines| without_option(lines, "view-durable"),
    |lines| rename(lines, "timer", "fire"),
    formed_at_once,
];

/// Simpler texts that differ in one line; each must be shorter or closer to the usual commands, so that the search ends.
pub(super) fn simpler(lines: &[String], position: usize) -> Vec<Vec<String>> {
    let line = &lines[position];
    let words: Vec<&str> = line.split(' ').collect();
    let mut all = Vec::new();
    let mut put = |new: Vec<&str>| {
        let mut candidate = lines.to_vec();
        candidate[position] = new.join(" ");
        all.push(candidate);
    };
    match words[..] {
        // Options and limits.
        ["cluster", ..] => {
            for option in 2..words.len() {
                let mut fewer = words.clone();
                fewer.remove(option);
                put(fewer);
            }
        }
        // The oldest is meant where nothing else is said; fewer words are better than more.
        ["deliver" | "duplicate", .., last] => {
            if last.starts_with('#') {
                put(words[..words.len() - 1].to_vec());
            }
            if words[0] == "duplicate" {
                put([&["deliver"], &words[1..]].concat());
            }
            if words.len() > 3 && !last.starts_with('#') {
                put(words[..3].to_vec());
                put(words[..words.len() - 1].to_vec());
            }
        }
        // Who speaks to the first primary needs nobody to pass it on.
        ["register" | "request" | "resend", at, ..] if at != "R0" => {
            put([&[words[0], "R0"], &words[2..]].concat());
        }
        ["crash", at, ref fate @ ..] if fate.first().is_some_and(|fate| *fate != "after") => {
            put(vec!["crash", at]);
        }
        ["timer", at] => put(vec!["fire", at]),
        ["fire", at] => {
            put(vec!["timeout", at]);
            put(vec!["heartbeat", at]);
        }
        ["write", at] => put(vec!["persist", at]),
        ["told", at] => put(vec!["persist", at]),
        _ => {}
    }
    if let ["register", _, name] = words[..] {
        all.extend(clients(lines).filter(|other| *other < name).map(|other| as_one(lines, name, other)));
    }
    all
}

/// The names of those who register.
fn clients(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().filter_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        ["register", _, name] => Some(name),
        _ => None,
    })
}

/// One client does what two did.
fn as_one(lines: &[String], name: &str, other: &str) -> Vec<String> {
    let renamed = |line: &String| {
        let words: Vec<&str> = line.split(' ').map(|word| if word == name { other } else { word }).collect();
        words.join(" ")
    };
    lines.iter().map(renamed).collect()
}

fn verb(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

fn without(lines: &[String], unwanted: &str) -> Vec<String> {
    lines.iter().filter(|line| verb(line) != unwanted).cloned().collect()
}

fn rename(lines: &[String], from: &str, to: &str) -> Vec<String> {
    let renamed = |line: &String| match line.split_once(' ') {
        Some((verb, rest)) if verb == from => format!("{to} {rest}"),
        _ => line.clone(),
    };
    lines.iter().map(renamed).collect()
}

fn without_option(lines: &[String], unwanted: &str) -> Vec<String> {
    let mut lines = lines.to_vec();
    if let Some(cluster) = lines.first_mut() {
        let kept: Vec<&str> = cluster.split(' ').filter(|word| *word != unwanted).collect();
        *cluster = kept.join(" ");
    }
    lines
}

/// Clocks move when a timer is due, and never else.
fn timers_fire(lines: &[String]) -> Vec<String> {
    rename(&without(lines, "pass"), "timer", "fire")
}

/// Every input is a turn.
fn turns_by_themselves(lines: &[String]) -> Vec<String> {
    without(&without_option(lines, "manual-turns"), "turn")
}

/// A replica hears of a write when it is done.
fn writes_are_told(lines: &[String]) -> Vec<String> {
    rename(&without(lines, "write"), "told", "persist")
}

/// Storages answer at once.
fn storage_by_itself(lines: &[String]) -> Vec<String> {
    let lines = without(&without(&without(lines, "write"), "told"), "persist");
    without_option(&lines, "manual-storage")
}

/// Of messages that look alike the oldest is delivered.
fn oldest_messages(lines: &[String]) -> Vec<String> {
    let unnumbered = |line: &String| {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.starts_with('#')).collect();
        words.join(" ")
    };
    lines.iter().map(unnumbered).collect()
}

/// The group exists from the beginning; what would form it finds nothing to act on.
fn formed_at_once(lines: &[String]) -> Vec<String> {
    without_option(lines, "unformed")
}

//! Long random conversations, against a store that is as simple as it can be.

use super::*;
use std::collections::BTreeMap;
use vsr_actor::Snapshot;
use vsr_test::Prng;

const KEYS: u64 = 6;

/// Values with their ends, and for each key how often it was changed, by whatever: nothing is ever forgotten.
#[derive(Clone, Default)]
struct Naive {
    keys: BTreeMap<String, (String, Option<u64>)>,
    changes: BTreeMap<String, u64>,
    now: u64,
}

impl Naive {
    /// Time passes: what has ended is gone, and that is a change.
    fn pass(&mut self, now: u64) {
        self.now = now;
        let ended: Vec<String> = self
            .keys
            .iter()
            .filter(|(_, (_, end))| end.is_some_and(|end| end <= now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in ended {
            self.remove(&key);
        }
    }

    fn note(&mut self, key: &str) {
        *self.changes.entry(key.into()).or_default() += 1;
    }

    fn remove(&mut self, key: &str) -> bool {
        let there = self.keys.remove(key).is_some();
        if there {
            self.note(key);
        }
        there
    }

    fn put(&mut self, key: &str, value: &str, end: Option<u64>) {
        self.keys.insert(key.into(), (value.into(), end));
        self.note(key);
        self.pass(self.now);
    }

    fn ask(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let key = words.get(1).copied().unwrap_or_default();
        let old = self.keys.get(key).cloned();
        let value = old.as_ref().map(|(value, _)| value.clone());
        let bulk = |value: Option<String>| value.map_or("nil".to_owned(), |value| format!("'{value}'"));
        let number = |word: &str| word.parse::<i64>().expect("a number");
        let after = |now: u64, word: &str| (now as i64 + number(word)).max(0) as u64;
        match words.as_slice() {
            ["GET", _] => bulk(value),
            ["SET", _, new] => {
                self.put(key, new, None);
                "OK".into()
            }
            ["SET", _, new, "KEEPTTL"] => {
                self.put(key, new, old.and_then(|(_, end)| end));
                "OK".into()
            }
            ["SET", _, new, "PX", time] => {
                self.put(key, new, Some(after(self.now, time)));
                "OK".into()
            }
            ["SET", _, new, "NX", "GET"] => {
                if old.is_none() {
                    self.put(key, new, None);
                }
                bulk(value)
            }
            ["GETEX", _, "PX", time] => {
                if let Some(value) = &value {
                    self.put(key, value, Some(after(self.now, time)));
                }
                bulk(value)
            }
            ["INCR", _] => match value.as_deref().unwrap_or("0").parse::<i64>() {
                Ok(number) => {
                    self.put(key, &(number + 1).to_string(), old.and_then(|(_, end)| end));
                    (number + 1).to_string()
                }
                Err(_) => NOT_AN_INTEGER.into(),
            },
            ["APPEND", _, more] => {
                let new = value.unwrap_or_default() + more;
                self.put(key, &new, old.and_then(|(_, end)| end));
                new.len().to_string()
            }
            ["DEL", _] => u64::from(self.remove(key)).to_string(),
            ["FLUSHDB"] => {
                self.keys.clear();
                // One number for all keys that ever were, also for those that had long been gone.
                (0..KEYS).for_each(|number| self.note(&format!("k{number}")));
                "OK".into()
            }
            ["PERSIST", _] => match old {
                Some((value, Some(_))) => {
                    self.put(key, &value, None);
                    "1".into()
                }
                _ => "0".into(),
            },
            ["PEXPIRE", _, time, condition] => {
                let Some((value, end)) = old else { return "0".into() };
                let at = after(self.now, time);
                let wanted = match *condition {
                    "NX" => end.is_none(),
                    "XX" => end.is_some(),
                    "GT" => end.is_some_and(|end| at > end),
                    _ => end.is_none_or(|end| at < end),
                };
                if wanted {
                    self.put(key, &value, Some(at));
                }
                u64::from(wanted).to_string()
            }
            ["PTTL", _] => match old {
                None => "-2".into(),
                Some((_, None)) => "-1".into(),
                Some((_, Some(end))) => (end - self.now).to_string(),
            },
            ["KEYS", _] => {
                // All start with the same letter, and the pattern is a star or one key.
                let fits = |name: &&String| key == "*" || *name == key;
                self.keys.keys().filter(fits).cloned().collect::<Vec<_>>().join(" ")
            }
            _ => panic!("{line} is not in the model"),
        }
    }
}

fn key(random: &mut Prng) -> String {
    format!("k{}", random.below(KEYS))
}

fn line(random: &mut Prng) -> String {
    let (key, time) = (key(random), random.below(30) as i64 - 4);
    let value = random.below(50);
    match random.below(26) {
        0..=4 => format!("GET {key}"),
        5..=7 => format!("SET {key} {value}"),
        8 => format!("SET {key} {value} KEEPTTL"),
        9..=11 => format!("SET {key} {value} PX {}", time.max(1)),
        12 => format!("SET {key} {value} NX GET"),
        13 => format!("GETEX {key} PX {}", time.max(1)),
        14..=15 => format!("INCR {key}"),
        16 => format!("APPEND {key} x"),
        17..=18 => format!("DEL {key}"),
        19 => format!("PERSIST {key}"),
        20..=21 => format!("PEXPIRE {key} {time} {}", random.pick(&["NX", "XX", "GT", "LT"])),
        22..=23 => format!("PTTL {key}"),
        24 => format!("KEYS {}", if random.below(2) == 0 { "*" } else { &key }),
        _ => {
            if random.below(20) == 0 {
                "FLUSHDB".into()
            } else {
                format!("GET {key}")
            }
        }
    }
}

/// The words of a listing have no order.
fn comparable(line: &str, reply: &str) -> String {
    if !line.starts_with("KEYS") {
        return reply.to_owned();
    }
    let mut keys: Vec<&str> = reply.trim_matches(['[', ']']).split_whitespace().collect();
    keys.sort_unstable();
    keys.join(" ")
}

/// A key that was watched: what it was in the store, and how often it had been changed in the model.
type Watched = (String, Version, u64);

#[test]
fn a_store_behaves_as_the_simplest_one_does() {
    for seed in 0..20 {
        let mut random = Prng::new(seed);
        let (mut bench, mut naive) = (Bench::default(), Naive::default());
        let mut watched: Vec<Watched> = Vec::new();
        let mut now = 1000;
        for step in 0..600 {
            let context = format!("seed {seed}, step {step}");
            now += random.below(4);
            bench.at(now);
            naive.pass(now);
            match random.below(120) {
                0..=6 => bench.tick(),
                7 => {
                    bench.store.check().expect("all in step");
                    bench.store = restored(&bench.store);
                }
                8..=19 => {
                    let key = key(&mut random);
                    // Brings the store's time to that of the model.
                    bench.ask("DBSIZE");
                    let changes = naive.changes.get(&key).copied().unwrap_or(0);
                    watched.push((key.clone(), bench.store.version(key.as_bytes()), changes));
                }
                20..=31 => {
                    let lines: Vec<String> = (0..random.below(5)).map(|_| line(&mut random)).collect();
                    execute(&mut bench, &mut naive, std::mem::take(&mut watched), &lines, &context);
                }
                _ => {
                    let line = line(&mut random);
                    let wanted = naive.ask(&line);
                    assert_eq!(comparable(&line, &bench.ask(&line)), wanted, "{context}: {line}");
                    if operation(&line).is_read() {
                        assert_eq!(
                            comparable(&line, &bench.read(&line)),
                            wanted,
                            "{context}: {line} beside the log"
                        );
                    }
                }
            }
        }
    }
}

fn execute(bench: &mut Bench, naive: &mut Naive, watched: Vec<Watched>, lines: &[String], context: &str) {
    let changed = |(key, _, changes): &Watched| naive.changes.get(key).copied().unwrap_or(0) != *changes;
    let changed = watched.iter().any(changed);
    let operation = Operation::Transaction {
        watched: watched.into_iter().map(|(key, version, _)| (key.into(), version)).collect(),
        commands: lines.iter().map(|line| operation(line)).collect(),
    };
    match bench.apply(&operation) {
        Reply::Aborted => assert!(changed, "{context}: called off for nothing"),
        Reply::Many(replies) => {
            assert!(!changed, "{context}: a change was not noticed");
            for (line, reply) in lines.iter().zip(&replies) {
                assert_eq!(
                    comparable(line, &shown(reply)),
                    naive.ask(line),
                    "{context}: {line} of {lines:?}"
                );
            }
        }
        other => panic!("{other:?}"),
    }
}

fn restored(store: &Store) -> Store {
    let mut bytes = Vec::new();
    store.snapshot().write(&mut bytes).expect("a Vec takes all");
    let mut restored = Store::default();
    restored.restore(&mut bytes.as_slice()).expect("a good snapshot");
    assert_eq!((restored.digest(), restored.due()), (store.digest(), store.due()));
    restored
}

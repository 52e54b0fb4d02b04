//! Everything that a user can call is shown in an example that compiles: the documentation's examples are tests.
//!
//! The sources are searched as text. That finds every item, for `unreachable_pub` sees to it that what says `pub` is public.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What needs no example, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("Commit::of", "entries come from the protocol: it is for those who drive it without this crate"),
    ("ClusterBuilder::without_telemetry", "hidden: it is there to measure what telemetry costs"),
];

/// A module: its sources, and the code of the examples in them.
struct Module {
    files: Vec<String>,
    examples: String,
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("a directory can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

/// The code in the examples of a file's doc comments.
fn examples(source: &str) -> String {
    let mut code = String::new();
    let mut inside = false;
    for line in source.lines().map(str::trim_start) {
        let Some(text) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        if text.trim_start().starts_with("```") {
            // Blocks that say `text` or another language are none of Rust's.
            inside = !inside && text.trim() == "```";
        } else if inside {
            code.push_str(text);
            code.push('\n');
        }
    }
    code
}

/// The modules of the crate, each with all files beneath it.
fn modules() -> Vec<Module> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = BTreeSet::new();
    let all = sources(&root);
    let name = |path: &Path| {
        let within = path.strip_prefix(&root).expect("beneath it");
        let first = within.components().next().expect("a file has a name");
        Path::new(first.as_os_str()).with_extension("").into_os_string()
    };
    names.extend(all.iter().map(|path| name(path)));
    let module = |wanted: &std::ffi::OsString| {
        let files = all.iter().filter(|path| name(path) == *wanted);
        let files: Vec<_> = files.map(|path| fs::read_to_string(path).expect("it was listed")).collect();
        Module { examples: files.iter().map(|file| examples(file)).collect(), files }
    };
    names.iter().map(module).collect()
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The name that stands behind one of these words, at the beginning of a line.
fn name_after<'a>(line: &'a str, words: &[&str]) -> Option<&'a str> {
    let rest = words.iter().find_map(|word| line.strip_prefix(word))?;
    rest.split(|letter| !is_of_a_name(letter)).next()
}

/// The type that an `impl` is of.
fn type_of(line: &str) -> &str {
    let after = line.rsplit(" for ").next().expect("a split has an end");
    let after = after.trim_start_matches("impl");
    let after =
        if after.starts_with('<') { after.split_once("> ").map_or(after, |(_, rest)| rest) } else { after };
    after.trim().split(['<', ' ']).next().expect("a split has a beginning")
}

/// A public function, and what an example that shows it contains: one of these.
struct Function {
    name: String,
    /// Whether the name is its alone; a method's may be that of other methods, too, and counts in its own module only.
    unmistakable: bool,
    ways: Vec<String>,
}

impl Function {
    fn new(owner: &str, in_trait: bool, name: &str, signature: &str) -> Self {
        let (unmistakable, ways) = match owner {
            "" => (false, vec![format!("{name}("), format!("{name}::<")]),
            _ if in_trait || signature.contains("self") => {
                (false, vec![format!(".{name}("), format!("fn {name}("), format!("::{name}(")])
            }
            _ => (true, vec![format!("{owner}::{name}")]),
        };
        Self { name: format!("{owner}::{name}"), unmistakable, ways }
    }
}

/// The public types of a file that have no example of their own, and its public functions.
fn declarations(file: &str) -> (Vec<&str>, Vec<Function>) {
    let (mut types, mut functions) = (Vec::new(), Vec::new());
    let (mut owner, mut in_trait, mut has_example) = ("", false, false);
    let mut lines = file.lines();
    while let Some(line) = lines.next() {
        has_example &= line.starts_with("///") || line.starts_with('#') || line.starts_with("pub ");
        has_example |= line == "/// ```";
        if line.starts_with("impl") {
            (owner, in_trait) = (type_of(line), false);
        }
        if let Some(name) = name_after(line, &["pub struct ", "pub enum ", "pub trait ", "pub type "]) {
            (owner, in_trait) = (name, line.starts_with("pub trait"));
            if !has_example {
                types.push(name);
            }
        }
        let text = line.trim_start();
        let keywords: &[_] =
            if in_trait { &["fn ", "async fn "] } else { &["pub fn ", "pub async fn ", "pub const fn "] };
        if let Some(name) = name_after(text, keywords) {
            let mut signature = text.to_owned();
            while !signature.ends_with(['{', ';', '}']) {
                signature.push_str(lines.next().expect("a signature has an end").trim_start());
            }
            let owner = if line.starts_with(' ') { owner } else { "" };
            functions.push(Function::new(owner, in_trait, name, &signature));
        }
    }
    (types, functions)
}

#[test]
fn everything_public_is_shown_in_an_example() {
    let modules = modules();
    let everywhere: String = modules.iter().map(|module| module.examples.as_str()).collect();
    let words: BTreeSet<&str> = everywhere.split(|letter| !is_of_a_name(letter)).collect();
    let mut missing = BTreeSet::new();
    for module in &modules {
        for (types, functions) in module.files.iter().map(|file| declarations(file)) {
            missing.extend(types.into_iter().filter(|name| !words.contains(name)).map(str::to_owned));
            let unshown = functions.into_iter().filter(|function| {
                let examples = if function.unmistakable { &everywhere } else { &module.examples };
                !function.ways.iter().any(|way| examples.contains(way))
            });
            missing.extend(unshown.map(|function| function.name));
        }
    }
    let excepted: BTreeSet<_> = EXCEPTIONS.iter().map(|(name, _why)| (*name).to_owned()).collect();
    assert_eq!(
        missing, excepted,
        "what is public and in no example: write one in its documentation, or say in EXCEPTIONS why not"
    );
}

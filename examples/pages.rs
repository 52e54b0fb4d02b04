//! What the pages show is what is compiled: the guide's blocks of code, the figures of the README, and where links lead.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files beneath a directory whose names end so, in order.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The targets of a page's links, without their fragments; those to elsewhere left out.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let targets = targets.filter(|target| !target.contains("://"));
    targets.filter_map(|target| target.split('#').next()).filter(|target| !target.is_empty()).collect()
}

/// What stands between ```rust and ```.
fn rust_blocks(page: &str) -> Vec<&str> {
    let blocks = page.split("```rust\n").skip(1);
    blocks.map(|rest| rest.split("```").next().expect("a block has an end")).collect()
}

/// Whether all lines of `block` are in `source`, in this order, others between them: for a file that grows from chapter to chapter.
fn grows_into(block: &str, source: &str) -> bool {
    let mut lines = source.lines();
    block.lines().all(|line| lines.any(|other| other == line))
}

#[test]
fn the_guide_shows_programs_that_are_compiled_and_all_of_them() {
    let programs: BTreeMap<PathBuf, String> = files(&root().join("examples/guide"), ".rs")
        .into_iter()
        .map(|path| (path.canonicalize().expect("it was listed"), read(&path)))
        .collect();
    let mut unshown: BTreeMap<&PathBuf, Vec<&str>> =
        programs.iter().map(|(path, program)| (path, program.lines().collect())).collect();
    let mut pages = String::new();
    for path in files(&root().join("docs/guide"), ".md") {
        let page = read(&path);
        let linked: Vec<_> = links(&page)
            .into_iter()
            .filter_map(|link| path.with_file_name(link).canonicalize().ok())
            .collect();
        for block in rust_blocks(&page) {
            let shown = programs.iter().find(|(source, program)| {
                let grows = source.ends_with("main.rs") && grows_into(block, program);
                linked.contains(source) && (program.contains(block) || grows)
            });
            let Some((source, _)) = shown else {
                panic!("{} shows what is in no program that it links to:\n{block}", path.display());
            };
            let left = unshown.get_mut(source).expect("it is one of them");
            for line in block.lines() {
                left.iter().position(|other| *other == line).map(|index| left.remove(index));
            }
        }
        pages += &page;
    }
    for (path, left) in unshown {
        // A reader's program begins without our headings, and what is named within the text is shown, too.
        let heading = |line: &str| line.starts_with("//!") || line.starts_with("#![expect(");
        let shown = |line: &str| line.is_empty() || heading(line) || pages.contains(&format!("`{line}`"));
        let left: Vec<_> = left.into_iter().map(str::trim).filter(|line| !shown(line)).collect();
        assert!(left.is_empty(), "{} is not shown whole: {left:#?}", path.display());
    }
}

#[test]
fn the_chapter_on_tcp_shows_what_is_compiled() {
    let page = read(root().join("docs/transports.md"));
    let (_, chapter) = page.split_once("\n## TCP\n").expect("there is such a chapter");
    let (chapter, _) = chapter.split_once("\n## ").expect("another follows");
    // The examples in the documentation of the library, which are tests.
    let sources = files(&root().join("vsr-actor/src/transport/tcp"), ".rs");
    let sources: String = sources.iter().map(read).collect();
    let compiled: Vec<_> =
        sources.lines().filter_map(|line| line.trim().strip_prefix("///")).map(str::trim).collect();
    let blocks = rust_blocks(chapter);
    assert!(!blocks.is_empty());
    for block in blocks {
        let block: Vec<_> = block.lines().map(str::trim).collect();
        assert!(compiled.windows(block.len()).any(|lines| lines == block), "in no example: {block:#?}");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut pages = files(&root().join("docs"), ".md");
    pages.push(root().join("README.md"));
    for path in pages {
        for link in links(&read(&path)) {
            assert!(path.with_file_name(link).exists(), "{} links to {link}", path.display());
        }
    }
}

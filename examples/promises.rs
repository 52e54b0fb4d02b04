//! What the documentation promises about the examples.
mod pages;

/// Lines that are neither blank nor a comment.
fn code_lines(source: &str) -> usize {
    source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn the_counter_takes_at_most_25_lines() {
    let lines = code_lines(include_str!("counter.rs"));
    assert!(lines <= 25, "the counter has {lines} lines of code");
}

#[test]
fn a_custom_transport_takes_at_most_30_lines_more() {
    let counter = code_lines(include_str!("counter.rs"));
    let lines = code_lines(include_str!("custom_transport.rs"));
    assert!(lines <= counter + 30, "the custom transport has {lines} lines of code, the counter {counter}");
}

#[test]
fn the_counter_is_the_one_of_the_readers_first_minute() {
    // One dependency line for the library; serde's derives and tokio's macros are the user's own.
    let source = include_str!("counter.rs");
    assert!(source.contains("use vsr_actor::prelude::*;") && !source.contains("vsr_core"));
}

#[test]
fn the_readme_counts_their_lines() {
    let counter = code_lines(include_str!("counter.rs"));
    let more = code_lines(include_str!("custom_transport.rs")) - counter;
    let readme = include_str!("../README.md");
    assert!(readme.contains(&format!("counts its lines ({counter})")), "the counter has {counter} lines");
    assert!(
        readme.contains(&format!("in {more} lines more")),
        "the custom transport takes {more} lines more"
    );
}

#[test]
fn the_account_of_the_guide_takes_ten_lines() {
    let source = include_str!("guide/ten_lines.rs");
    let account = source.split("#[derive").nth(1).and_then(|rest| rest.split("#[tokio::main]").next());
    assert_eq!(account.map(code_lines), Some(10));
}

#[test]
fn the_readme_shows_the_counter_as_it_is() {
    let source = include_str!("counter.rs");
    let code = &source[source.find("use vsr_actor").expect("the first line of code")..];
    assert!(include_str!("../README.md").contains(code), "README.md and examples/counter.rs differ");
}

//! Rules, scenarios, mutants and the two pages that list them fit together.

use std::{collections::BTreeSet, fs, path::Path};
use vsr_test::{
    mutants::{self, MUTANTS},
    rules::{self, RULES},
    scenario,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the tests are in the repository")
}

fn known() -> BTreeSet<&'static str> {
    RULES.iter().map(|rule| rule.id).collect()
}

/// Compares a page, or writes it if `UPDATE_EXPECT` is set.
fn check_page(path: &str, wanted: &str) {
    let path = root().join(path);
    let text = fs::read_to_string(&path).unwrap_or_default();
    if text != wanted && std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, wanted).expect("the page can be written");
        return;
    }
    let differs = text.lines().zip(wanted.lines()).find(|(old, new)| old != new);
    assert!(text == wanted, "{}: UPDATE_EXPECT=1 writes it anew; {differs:?}", path.display());
}

#[test]
fn every_scenario_says_which_rules_it_proves() {
    let known = known();
    let directory = scenario::directory();
    for name in scenario::names(&directory).expect("the scenarios are there") {
        let text = fs::read_to_string(directory.join(&name).with_extension("txt")).expect("it was listed");
        let named = rules::of_scenario(&text);
        assert!(!named.is_empty(), "{name} must begin with a line like `# Rules: C6, decision 4, fault 8.`");
        for rule in named {
            assert!(known.contains(rule), "{name}: {rule} is not in tests/src/rules/catalogue.rs");
        }
    }
}

#[test]
fn every_mutant_breaks_a_rule_that_its_scenario_proves() {
    let (known, directory) = (known(), scenario::directory());
    for mutant in MUTANTS {
        let (switch, killer) = (mutant.switch.name(), mutant.killer.name());
        let text = fs::read_to_string(directory.join(killer).with_extension("txt")).expect("it is there");
        let proven = rules::of_scenario(&text);
        for rule in mutant.rule.split(", ") {
            assert!(known.contains(rule), "{switch}: {rule} is not in tests/src/rules/catalogue.rs");
            assert!(proven.contains(&rule), "{switch} breaks {rule}, which {killer} does not claim to prove");
        }
    }
}

#[test]
fn every_rule_is_proven_or_says_why_not() {
    let scenarios = rules::scenarios().expect("the scenarios are there");
    for rule in RULES {
        let proven = scenarios.contains_key(rule.id) || !rule.also.is_empty();
        assert!(proven || rule.later.is_some(), "nothing proves {}", rule.id);
        for test in rule.also {
            let (path, name) = test.split_once(": ").expect("a test is named `path: name`");
            let text = fs::read_to_string(root().join(path)).unwrap_or_default();
            assert!(text.contains(&format!("fn {name}()")), "{}: there is no {name} in {path}", rule.id);
        }
    }
    assert_eq!(known().len(), RULES.len(), "no rule is listed twice");
}

#[test]
fn the_page_of_rules_is_up_to_date() {
    check_page("docs/rules.md", &rules::page().expect("the scenarios are there"));
}

#[test]
fn the_table_of_mutants_is_up_to_date() {
    const BEGIN: &str =
        "<!-- the table of mutants: written by UPDATE_EXPECT=1 cargo test -p vsr-protocol-tests -->\n";
    const END: &str = "<!-- the end of the table of mutants -->\n";
    let text = fs::read_to_string(root().join("docs/testing.md")).expect("the page is there");
    let (before, rest) = text.split_once(BEGIN).expect("the table has a beginning");
    let (_, after) = rest.split_once(END).expect("the table has an end");
    let rows = MUTANTS.iter().map(|mutant| mutants::row(mutant).expect("the scenario is there").0 + "\n");
    let table = String::from(mutants::HEAD) + "\n" + &rows.collect::<String>();
    check_page("docs/testing.md", &format!("{before}{BEGIN}{table}{END}{after}"));
}

//! Who may know whom. Each rule is a row; each proves itself on violations that are planted into a copy of the sources.

mod packages;
mod reading;
mod sources;

use std::collections::BTreeMap;
use std::path::Path;

use crate::prefab::root;

/// The text of each source file and manifest, by its path from the root.
type Tree = BTreeMap<String, String>;

/// Something that holds for the sources.
struct Rule {
    name: &'static str,
    why: &'static str,
    /// Each place that breaks the rule, its path first.
    broken: fn(&Tree) -> Vec<String>,
    /// Files that this rule, and no other, must object to: their path and what they get as their last lines.
    plants: &'static [(&'static str, &'static str)],
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    sources::RULES.iter().chain(packages::RULES)
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    for folder in ["src", "bootstrap", "tests"] {
        read(&root().join(folder), &mut tree);
    }
    tree.insert("Cargo.toml".to_owned(), std::fs::read_to_string(root().join("Cargo.toml")).unwrap());
    tree
}

fn read(folder: &Path, tree: &mut Tree) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, tree);
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "toml") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            tree.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_sources_keep_every_rule() {
    let tree = tree();
    assert!(tree.len() > 80, "{} files", tree.len());
    let broken: Vec<_> = rules()
        .flat_map(|rule| {
            (rule.broken)(&tree).into_iter().map(|found| format!("{found}\n  {}: {}", rule.name, rule.why))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_violation_is_found_by_its_rule_and_by_no_other() {
    let tree = tree();
    for rule in rules() {
        assert!(!rule.plants.is_empty(), "{} has no plant", rule.name);
        for (path, lines) in rule.plants {
            let mut planted = tree.clone();
            let file = planted.entry((*path).to_owned()).or_default();
            // Before the unit tests, which may name what they like.
            let end = file.find("#[cfg(test)]").unwrap_or(file.len());
            file.insert_str(end, &format!("\n{lines}\n"));
            let found: Vec<_> =
                rules().flat_map(|rule| (rule.broken)(&planted).into_iter().map(|found| (rule.name, found))).collect();
            assert!(
                found.iter().all(|(name, place)| *name == rule.name && place.starts_with(path)) && !found.is_empty(),
                "`{lines}` in {path} for {}: {found:?}",
                rule.name
            );
        }
    }
}

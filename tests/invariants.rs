//! What must hold for every template, as rules that find what breaks them.
//!
//! Neither CloudFormation's schemas nor cfn-lint know most of this: twelve EFA and capacity mistakes in one template gave
//! one finding, about something else. So each rule is held against every combination that a spec can ask for, and each
//! proves itself: mistakes are planted into our own templates, and exactly the right rule must find each.

mod buckets;
mod capacity;
mod combinations;
mod identity;
mod interfaces;
mod launch;
mod nodes;
mod planted;
mod reading;
mod security_group;
mod shape;
mod sizes;
mod specs;

use serde_json::Value as Json;

use specs::Base;

/// Something that holds for every template of ours.
pub struct Rule {
    pub name: &'static str,
    pub why: &'static str,
    /// Each place that breaks the rule: the resource, and what is wrong there.
    pub broken: fn(&Json) -> Vec<String>,
    /// Mistakes that this rule, and no other, must find.
    pub plants: &'static [Plant],
}

/// A mistake that is made in one of our own templates.
pub struct Plant {
    pub into: Base,
    pub mistake: fn(&mut Json),
}

impl Plant {
    const fn into(into: Base, mistake: fn(&mut Json)) -> Self {
        Self { into, mistake }
    }
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    let areas = [
        security_group::RULES,
        interfaces::RULES,
        capacity::RULES,
        launch::RULES,
        nodes::RULES,
        identity::RULES,
        buckets::RULES,
        shape::RULES,
    ];
    areas.into_iter().flatten()
}

/// What all rules find in a template, as `rule: resource: what`.
fn findings(template: &Json) -> Vec<(&'static str, String)> {
    rules().flat_map(|rule| (rule.broken)(template).into_iter().map(|found| (rule.name, found))).collect()
}

/// The rules that find something, sorted.
fn finders(template: &Json) -> Vec<&'static str> {
    let mut names: Vec<_> = findings(template).into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn every_rule_has_a_name_of_its_own_and_a_reason() {
    let mut names: Vec<_> = rules().map(|rule| rule.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 60, "{count} rules");
    for rule in rules() {
        assert!(rule.why.len() > 20 && !rule.plants.is_empty(), "{} needs a reason and a plant", rule.name);
    }
}

#[test]
fn what_a_rule_is_for_is_found_by_it_and_by_no_other() {
    let mut wrong = Vec::new();
    for rule in rules() {
        for (index, plant) in rule.plants.iter().enumerate() {
            let mut template = plant.into.template();
            assert_eq!(findings(&template), [], "{:?} before the mistake", plant.into);
            let before = template.clone();
            (plant.mistake)(&mut template);
            assert_ne!(template, before, "plant {index} of {} changes nothing", rule.name);
            let found = finders(&template);
            if found != [rule.name] {
                wrong.push(format!("plant {index} of {}: found by {found:?}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_finding_names_the_resource() {
    let cluster = Base::Pair.template();
    for rule in rules() {
        for plant in rule.plants.iter().filter(|plant| plant.into == Base::Pair) {
            let mut template = cluster.clone();
            (plant.mistake)(&mut template);
            for found in (rule.broken)(&template) {
                let named = found.split('`').nth(1).unwrap_or_else(|| panic!("{}: {found}", rule.name));
                assert!(found.starts_with(&format!("`{named}`")), "{}: {found}", rule.name);
            }
        }
    }
}

//! The pure parts: permits, the stack policy, the plan against the change set, causes, states.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::account::{Action, Change, Detail, Event, Replacement};
use super::failure::causes;
use super::guard::{Permits, lifted, policy, refused, same_policy};
use super::review::beyond_plan;
use super::stack_state::{Ending, Operation, StackStatus};
use super::status::Boot;

fn change(id: &str, kind: &str, action: Action, replacement: Replacement) -> Change {
    let detail = Detail {
        attribute: "Properties".to_owned(),
        name: "LaunchTemplate".to_owned(),
        recreation: replacement,
        cause: String::new(),
        before: String::new(),
        after: String::new(),
    };
    Change {
        action,
        logical_id: id.to_owned(),
        physical_id: String::new(),
        resource_type: kind.to_owned(),
        replacement,
        details: vec![detail],
    }
}

const NODE: &str = "AWS::EC2::Instance";

fn permits(replace: &[&str], remove: &[&str]) -> Permits {
    let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    Permits { replace: set(replace), remove: set(remove) }
}

#[test]
fn a_guarded_resource_is_replaced_or_removed_only_by_name_and_each_by_its_own_option() {
    let changes = [
        change("Prefill0", NODE, Action::Modify, Replacement::Always),
        change("Decode0", NODE, Action::Modify, Replacement::Conditional),
        change("Decode1", NODE, Action::Remove, Replacement::Never),
        change("Decode2", NODE, Action::Add, Replacement::Never),
        change("Prefill1", NODE, Action::Modify, Replacement::Never),
        change("Launch", "AWS::EC2::LaunchTemplate", Action::Remove, Replacement::Never),
        change("ArtifactBucket", "AWS::S3::Bucket", Action::Remove, Replacement::Never),
    ];
    let found = refused(&changes, &permits(&[], &[]));
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found[0].contains("the replacement of Prefill0") && found[0].contains("forced by LaunchTemplate"));
    assert!(found[1].contains("a possible replacement of Decode0"));
    assert!(found[2].contains("--allow-remove Decode1"));
    // The one option is not the other.
    assert_eq!(refused(&changes, &permits(&["Decode1"], &["Prefill0"])).len(), 4);
    let all = permits(&["Prefill0", "Decode0", "Unused"], &["Decode1", "ArtifactBucket"]);
    assert!(refused(&changes, &all).is_empty());
    let narrowed: Vec<String> = lifted(&changes, &all).into_iter().collect();
    assert_eq!(narrowed, ["ArtifactBucket", "Decode0", "Decode1", "Prefill0"]);
}

#[test]
fn the_stack_policy_denies_all_guarded_types_but_what_is_lifted() {
    let whole: Json = serde_json::from_str(&policy(&BTreeSet::new())).unwrap();
    assert_eq!(whole["Statement"][1]["Effect"], "Deny");
    assert_eq!(whole["Statement"][1]["Resource"], "*");
    assert_eq!(whole["Statement"][1]["Condition"]["StringEquals"]["ResourceType"].as_array().unwrap().len(), 4);
    let lifted = BTreeSet::from(["Prefill0".to_owned()]);
    let narrowed: Json = serde_json::from_str(&policy(&lifted)).unwrap();
    assert_eq!(narrowed["Statement"][1]["NotResource"][0], "LogicalResourceId/Prefill0");
    assert!(narrowed["Statement"][1]["Resource"].is_null());
    assert!(same_policy(&format!(" {}", policy(&lifted)), &policy(&lifted)));
    assert!(!same_policy(&policy(&lifted), &policy(&BTreeSet::new())) && !same_policy("", &policy(&lifted)));
    // CloudFormation takes 16,384 bytes.
    let many = (0..400).map(|number| format!("Decode{number}")).collect();
    assert!(policy(&many).len() < 16_384);
}

#[test]
fn a_change_set_may_do_less_than_was_foreseen_but_never_more() {
    let plan = [
        change("Prefill0", NODE, Action::Modify, Replacement::Conditional),
        change("Decode0", NODE, Action::Add, Replacement::Never),
    ];
    assert!(beyond_plan(&plan, &plan).is_empty());
    let less = [change("Prefill0", NODE, Action::Modify, Replacement::Never), plan[1].clone()];
    assert!(beyond_plan(&plan, &less).is_empty());
    let without = [plan[1].clone()];
    assert!(beyond_plan(&plan, &without).is_empty(), "CloudFormation may find a value to be the same");
    for more in [
        vec![change("Prefill0", NODE, Action::Modify, Replacement::Always), plan[1].clone()],
        vec![plan[0].clone(), plan[1].clone(), change("Eip", "AWS::EC2::EIP", Action::Add, Replacement::Never)],
        vec![change("Prefill0", NODE, Action::Remove, Replacement::Never), plan[1].clone()],
        vec![plan[0].clone(), change("Decode0", "AWS::EC2::Host", Action::Add, Replacement::Never)],
        vec![plan[0].clone()],
    ] {
        assert_eq!(beyond_plan(&plan, &more).len(), 1, "{more:?}");
    }
}

#[test]
fn causes_come_oldest_first_and_each_resource_once() {
    let event = |id: &str, status: &str, reason: &str| Event {
        id: format!("{id}{status}{reason}"),
        logical_id: id.to_owned(),
        physical_id: String::new(),
        resource_type: if id == "stack" { super::account::STACK_TYPE } else { NODE }.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        at: 0,
        token: String::new(),
    };
    // Newest first.
    let events = [
        event("stack", "CREATE_FAILED", "The following resource(s) failed to create: [A, B, C]"),
        event("A", "DELETE_FAILED", "in use"),
        event("C", "CREATE_FAILED", "Resource creation cancelled"),
        event("B", "CREATE_FAILED", "no capacity"),
        event("A", "CREATE_FAILED", "first"),
        event("A", "CREATE_IN_PROGRESS", ""),
    ];
    let (roots, followed) = causes(&events);
    let roots: Vec<(&str, &str)> =
        roots.iter().map(|event| (event.logical_id.as_str(), event.reason.as_str())).collect();
    assert_eq!((roots, followed), (vec![("A", "first"), ("B", "no capacity")], 1));
}

#[test]
fn each_operation_ends_well_in_one_state_and_runs_in_all_that_are_in_progress() {
    for operation in [Operation::Create, Operation::Update, Operation::Delete, Operation::RollBack] {
        let ends = |ending| StackStatus::ALL.iter().filter(|status| operation.ending(**status) == ending).count();
        let well = if operation == Operation::RollBack { 3 } else { 1 };
        assert_eq!(ends(Ending::Succeeded), well, "{operation:?}");
        assert!(ends(Ending::Running) >= 9, "{operation:?}");
        assert_eq!(operation.ending(StackStatus::UpdateCompleteCleanupInProgress), Ending::Running);
    }
    assert_eq!(Operation::Create.ending(StackStatus::RollbackComplete), Ending::Failed);
    assert_eq!(Operation::Update.ending(StackStatus::UpdateRollbackComplete), Ending::Failed);
    assert!("CREATE_MAYBE".parse::<StackStatus>().unwrap_err().contains("CREATE_MAYBE"));
}

#[test]
fn a_boot_report_is_read_from_the_script_and_from_the_program_and_shows_no_control_characters() {
    let script = br#"{"schema_version":1,"node":"Decode0","instance_id":"i-1","stage":"download","exit_code":1,"reason":"HTTP 403","at":"2026-01-31T12:00:00Z"}"#;
    let boot = Boot::read(script).unwrap();
    assert_eq!((boot.stage.as_str(), boot.reason.as_str(), boot.instance_id.as_str()), ("download", "HTTP 403", "i-1"));
    let program = b"{\"schema_version\":1,\"node\":\"Decode0\",\"instance_id\":\"i-1\",\"stage\":\"checks\",\"exit_code\":1,\"reason\":\"a\\u001b[31mb\",\"at_seconds\":1,\"boot_milliseconds\":5}";
    assert_eq!(Boot::read(program).unwrap().reason, "a [31mb");
    assert_eq!(Boot::read(b"<html>"), None);
    assert_eq!(Boot::read(b"{\"stage\":\"ready\"}"), None);
}

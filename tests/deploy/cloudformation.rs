//! CloudFormation's Query protocol over the [`World`].

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::drift_detection;
use super::http::{Reply, escaped};
use super::world::{ACCOUNT, ChangeSet, World};

type Form = BTreeMap<String, String>;

pub fn answer(world: &mut World, form: &Form) -> Reply {
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let action = text("Action").to_owned();
    world.calls.push(format!("cloudformation.{action}"));
    let stack = text("StackName");
    let found = world.find(stack);
    let absent = || Reply::refusal("ValidationError", &format!("Stack with id {stack} does not exist"));
    let done = |inner: &str| {
        Reply::xml(format!("<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"))
    };
    let token = text("ClientRequestToken");
    match action.as_str() {
        "CreateChangeSet" => return create(world, form),
        "DescribeChangeSet" | "ExecuteChangeSet" | "DeleteChangeSet" => return change_set(world, form, &action),
        "DescribeStackDriftDetectionStatus" => {
            return done(&drift_detection::state(world, text("StackDriftDetectionId")));
        }
        _ => {}
    }
    let Some(at) = found else { return absent() };
    match action.as_str() {
        "DescribeStacks" => {
            world.look(at);
            done(&format!("<Stacks>{}</Stacks>", stack_xml(world, at)))
        }
        "DescribeStackEvents" => {
            let member = |of: &super::world::Event| {
                format!(
                    "<member><StackId>{}</StackId><EventId>{}</EventId><StackName>{}</StackName><LogicalResourceId>{}</LogicalResourceId><PhysicalResourceId>{}</PhysicalResourceId><ResourceType>{}</ResourceType><Timestamp>2026-01-31T12:00:00Z</Timestamp><ResourceStatus>{}</ResourceStatus><ResourceStatusReason>{}</ResourceStatusReason><ClientRequestToken>{}</ClientRequestToken></member>",
                    world.stacks[at].id,
                    of.id,
                    world.stacks[at].name,
                    of.logical,
                    of.physical,
                    of.kind,
                    of.status,
                    escaped(&of.reason),
                    of.token
                )
            };
            let members: String = world.stacks[at].events.iter().rev().map(member).collect();
            done(&format!("<StackEvents>{members}</StackEvents>"))
        }
        "ListStackResources" => {
            let member = |(logical, physical, kind, status): (String, String, String, String)| {
                format!(
                    "<member><LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId><ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus><LastUpdatedTimestamp>2026-01-31T12:00:00Z</LastUpdatedTimestamp></member>"
                )
            };
            let members: String = world.resources(at).into_iter().map(member).collect();
            done(&format!("<StackResourceSummaries>{members}</StackResourceSummaries>"))
        }
        "GetTemplate" => done(&format!("<TemplateBody>{}</TemplateBody>", escaped(&world.stacks[at].template))),
        "DescribeEvents" => {
            let (resource, reason) = world.objects.unwrap();
            done(&format!(
                "<OperationEvents><member><EventId>e</EventId><EventType>VALIDATION_ERROR</EventType><LogicalResourceId>{resource}</LogicalResourceId><ValidationName>PROPERTY_VALIDATION</ValidationName><ValidationPath>/Resources/{resource}</ValidationPath><ValidationStatusReason>{reason}</ValidationStatusReason></member></OperationEvents>"
            ))
        }
        "ListChangeSets" => {
            let member = |of: &ChangeSet| format!("<member><ChangeSetName>{}</ChangeSetName></member>", of.name);
            let members: String = world.stacks[at].change_sets.iter().map(member).collect();
            done(&format!("<Summaries>{members}</Summaries>"))
        }
        "DetectStackDrift" => match drift_detection::begin(world, at) {
            Some(id) => done(&id),
            None => Reply::refusal("ValidationError", "Drift detection is already in progress for stack"),
        },
        "DescribeStackResourceDrifts" => done(&drift_detection::found(world, at)),
        "GetStackPolicy" => done(&format!("<StackPolicyBody>{}</StackPolicyBody>", escaped(&world.stacks[at].policy))),
        "SetStackPolicy" => {
            world.stacks[at].policy = text("StackPolicyBody").to_owned();
            done("")
        }
        "UpdateTerminationProtection" => {
            world.stacks[at].protected = text("EnableTerminationProtection") == "true";
            done("")
        }
        "DeleteStack" => delete(world, at, token),
        "RollbackStack" => {
            let create = world.stacks[at].status == "CREATE_FAILED";
            let (running, ends) = if create {
                ("ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE")
            } else {
                ("UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
            };
            if !["CREATE_FAILED", "UPDATE_FAILED", "IMPORT_ROLLBACK_FAILED"].contains(&world.stacks[at].status.as_str())
            {
                return Reply::refusal("ValidationError", "the stack is in no state for RollbackStack");
            }
            world.begin(at, running, ends, token);
            done("")
        }
        "ContinueUpdateRollback" => {
            if world.stacks[at].status != "UPDATE_ROLLBACK_FAILED" {
                return Reply::refusal("ValidationError", "the stack is in no state for ContinueUpdateRollback");
            }
            world.begin(at, "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE", token);
            done("")
        }
        "CancelUpdateStack" => {
            world.begin(at, "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE", token);
            done("")
        }
        other => Reply::refusal("InvalidAction", other),
    }
}

fn delete(world: &mut World, at: usize, token: &str) -> Reply {
    let stack = &world.stacks[at];
    if stack.protected {
        let text = format!("Stack [{}] cannot be deleted while TerminationProtection is enabled", stack.name);
        return Reply::refusal("ValidationError", &text);
    }
    if stack.status == "UPDATE_ROLLBACK_FAILED" && token.contains("apply") {
        return Reply::refusal("ValidationError", "an apply may not delete");
    }
    if stack.status.ends_with("_IN_PROGRESS")
        && stack.status != "REVIEW_IN_PROGRESS"
        && stack.status != "DELETE_IN_PROGRESS"
    {
        return Reply::refusal("ValidationError", &format!("Stack is in {} and cannot be deleted", stack.status));
    }
    if stack.status != "DELETE_IN_PROGRESS" && stack.status != "DELETE_COMPLETE" {
        world.stacks[at].deletions.push(token.to_owned());
        if world.stacks[at].status == "REVIEW_IN_PROGRESS" {
            world.stacks[at].status = "DELETE_COMPLETE".to_owned();
        } else {
            world.begin(at, "DELETE_IN_PROGRESS", "DELETE_COMPLETE", token);
        }
    }
    Reply::xml("<DeleteStackResponse></DeleteStackResponse>")
}

fn stack_xml(world: &World, at: usize) -> String {
    let of = &world.stacks[at];
    let pairs = |pairs: Vec<(String, String)>, key: &str, value: &str| -> String {
        pairs
            .iter()
            .map(|(k, v)| format!("<member><{key}>{k}</{key}><{value}>{}</{value}></member>", escaped(v)))
            .collect()
    };
    let parameters = of.parameters.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    format!(
        "<member><StackId>{}</StackId><StackName>{}</StackName><StackStatus>{}</StackStatus><StackStatusReason>{}</StackStatusReason><CreationTime>2026-01-31T12:00:00Z</CreationTime><LastUpdatedTime>2026-01-31T{:02}:{:02}:{:02}Z</LastUpdatedTime><EnableTerminationProtection>{}</EnableTerminationProtection><Parameters>{}</Parameters><Outputs>{}</Outputs></member>",
        of.id,
        of.name,
        of.status,
        escaped(&of.reason),
        of.changed / 3600 % 24,
        of.changed / 60 % 60,
        of.changed % 60,
        of.protected,
        pairs(parameters, "ParameterKey", "ParameterValue"),
        pairs(world.outputs(at), "OutputKey", "OutputValue"),
    )
}

fn create(world: &mut World, form: &Form) -> Reply {
    let text = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (stack, name) = (text("StackName"), text("ChangeSetName"));
    let creates = text("ChangeSetType") == "CREATE";
    let template = match text("TemplateURL") {
        url if !url.is_empty() => {
            let (bucket, key) =
                url.split("127.0.0.1").nth(1).unwrap().split_once('/').unwrap().1.split_once('/').unwrap();
            let object = world.buckets.get(bucket).and_then(|bucket| bucket.get(key)?.last()?.clone());
            match object {
                Some(object) => String::from_utf8(object).unwrap(),
                None => return Reply::refusal("ValidationError", "S3 error: Access Denied"),
            }
        }
        _ => text("TemplateBody"),
    };
    if text("TemplateBody").len() > 51_200 {
        return Reply::refusal(
            "ValidationError",
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200",
        );
    }
    let mut parameters = BTreeMap::new();
    for number in 1.. {
        let Some(key) = form.get(&format!("Parameters.member.{number}.ParameterKey")) else { break };
        parameters.insert(key.clone(), text(&format!("Parameters.member.{number}.ParameterValue")));
    }
    let at = match (world.find(&stack), creates) {
        (Some(at), true) if world.stacks[at].status == "REVIEW_IN_PROGRESS" => at,
        (Some(_), true) => {
            return Reply::refusal(
                "AlreadyExistsException",
                &format!("Stack [{stack}] already exists and cannot be created again with the changeSet [{name}]."),
            );
        }
        (None, true) => {
            world.plant(&stack, "REVIEW_IN_PROGRESS", "{}", &BTreeMap::new());
            world.stacks.len() - 1
        }
        (None, false) => return Reply::refusal("ValidationError", &format!("Stack [{stack}] does not exist")),
        (Some(at), false) => {
            let status = &world.stacks[at].status;
            if status.ends_with("_IN_PROGRESS") || status.starts_with("ROLLBACK") || status.starts_with("DELETE") {
                return Reply::refusal(
                    "ValidationError",
                    &format!("Stack:{} is in {status} state and can not be updated.", world.stacks[at].id),
                );
            }
            at
        }
    };
    if world.stacks[at].change_sets.iter().any(|of| of.name == name) {
        return Reply::refusal(
            "AlreadyExistsException",
            &format!("ChangeSet {name} cannot be created due to a mismatch with existing attribute"),
        );
    }
    let stack = &world.stacks[at];
    let same = |a: &str, b: &str| serde_json::from_str::<Json>(a).ok() == serde_json::from_str::<Json>(b).ok();
    let no_changes = !creates && same(&stack.template, &template) && stack.parameters == parameters;
    let id = format!("arn:aws:cloudformation:us-east-1:{ACCOUNT}:changeSet/{name}/{}", stack.name);
    let stack_id = stack.id.clone();
    world.stacks[at].change_sets.push(ChangeSet {
        name,
        id: id.clone(),
        creates,
        template,
        parameters,
        on_failure: text("OnStackFailure"),
        looked_at: false,
        no_changes,
        execution: "AVAILABLE",
    });
    Reply::xml(format!(
        "<CreateChangeSetResponse><CreateChangeSetResult><Id>{id}</Id><StackId>{stack_id}</StackId></CreateChangeSetResult></CreateChangeSetResponse>"
    ))
}

fn change_set(world: &mut World, form: &Form, action: &str) -> Reply {
    let text = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (name, stack) = (text("ChangeSetName"), text("StackName"));
    let places = world
        .stacks
        .iter()
        .enumerate()
        .flat_map(|(at, of)| of.change_sets.iter().enumerate().map(move |(index, set)| (at, index, of, set)));
    let found = places
        .filter(|(_, _, of, set)| set.id == name || (set.name == name && (of.name == stack || of.id == stack)))
        .map(|(at, index, ..)| (at, index))
        .next_back();
    let Some((at, index)) = found else {
        if action == "DeleteChangeSet" {
            return Reply::xml("<DeleteChangeSetResponse><DeleteChangeSetResult/></DeleteChangeSetResponse>");
        }
        return Reply {
            status: 404,
            ..Reply::refusal("ChangeSetNotFound", &format!("ChangeSet [{name}] does not exist"))
        };
    };
    match action {
        "DeleteChangeSet" => {
            world.stacks[at].change_sets.remove(index);
            Reply::xml("<DeleteChangeSetResponse><DeleteChangeSetResult/></DeleteChangeSetResponse>")
        }
        "DescribeChangeSet" => describe(world, at, index),
        _ => execute(world, at, index, &text("ClientRequestToken")),
    }
}

fn describe(world: &mut World, at: usize, index: usize) -> Reply {
    let changes = changes(world, at, index);
    let objected = world.objects.is_some();
    let stack = &mut world.stacks[at];
    let set = &mut stack.change_sets[index];
    let (status, execution, reason) = match (set.looked_at, set.no_changes) {
        (false, _) => ("CREATE_IN_PROGRESS", "UNAVAILABLE", ""),
        (true, true) => (
            "FAILED",
            "UNAVAILABLE",
            "The submitted information didn't contain changes. Submit different information to create a change set.",
        ),
        (true, false) if objected => ("FAILED", "UNAVAILABLE", "Early validation failed for resource type(s)"),
        (true, false) => ("CREATE_COMPLETE", set.execution, ""),
    };
    set.looked_at = true;
    Reply::xml(format!(
        "<DescribeChangeSetResponse><DescribeChangeSetResult><ChangeSetName>{}</ChangeSetName><ChangeSetId>{}</ChangeSetId><StackId>{}</StackId><StackName>{}</StackName><Status>{status}</Status><ExecutionStatus>{execution}</ExecutionStatus><StatusReason>{reason}</StatusReason><Changes>{changes}</Changes></DescribeChangeSetResult></DescribeChangeSetResponse>",
        set.name, set.id, stack.id, stack.name
    ))
}

fn changes(world: &World, at: usize, index: usize) -> String {
    let stack = &world.stacks[at];
    let set = &stack.change_sets[index];
    let resources = |text: &str, parameters: &BTreeMap<String, String>| -> BTreeMap<String, Json> {
        let json: Json = serde_json::from_str(text).unwrap_or_default();
        let all = json["Resources"].as_object().cloned().unwrap_or_default();
        let filled = |json: &Json| {
            let mut text = json.to_string();
            for (key, value) in parameters {
                text = text.replace(&format!("{{\"Ref\":\"{key}\"}}"), &Json::String(value.clone()).to_string());
            }
            serde_json::from_str(&text).unwrap()
        };
        all.iter().map(|(id, json)| (id.clone(), filled(json))).collect()
    };
    let (old, new) = (resources(&stack.template, &stack.parameters), resources(&set.template, &set.parameters));
    let mut members = String::new();
    let mut member = |action: &str, id: &str, kind: &str, replacement: &str| {
        members.push_str(&format!("<member><Type>Resource</Type><ResourceChange><Action>{action}</Action><LogicalResourceId>{id}</LogicalResourceId><ResourceType>{kind}</ResourceType><Replacement>{replacement}</Replacement></ResourceChange></member>"));
    };
    let kind = |json: &Json| json["Type"].as_str().unwrap_or_default().to_owned();
    for (id, json) in &new {
        match old.get(id) {
            None => member("Add", id, &kind(json), "False"),
            Some(before) if before != json || world.replaced.contains_key(id) => {
                member("Modify", id, &kind(json), world.replaced.get(id).copied().unwrap_or("False"));
            }
            Some(_) => {}
        }
    }
    for (id, json) in old.iter().filter(|(id, _)| !new.contains_key(*id)) {
        member("Remove", id, &kind(json), "False");
    }
    if let Some((id, kind)) = world.surprise.filter(|_| stack.name.ends_with("cluster")) {
        member("Add", id, kind, "False");
    }
    members
}

fn execute(world: &mut World, at: usize, index: usize, token: &str) -> Reply {
    let set = world.stacks[at].change_sets[index].clone();
    let status = world.stacks[at].status.clone();
    if set.execution != "AVAILABLE" || set.no_changes || !set.looked_at {
        let text =
            format!("ChangeSet [{}] cannot be executed in its current execution status of [{}]", set.id, set.execution);
        return Reply::refusal("InvalidChangeSetStatus", &text);
    }
    if status.ends_with("_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS" {
        let text = format!("Stack:{} is in {status} state and can not be updated.", world.stacks[at].id);
        return Reply::refusal("ValidationError", &text);
    }
    let json: Json = serde_json::from_str(&set.template).unwrap();
    let all = json["Resources"].as_object().into_iter().flatten();
    let nodes = all.filter(|(_, json)| json["Type"] == "AWS::EC2::Instance").map(|(id, _)| id.clone()).collect();
    let (name, policy) = (world.stacks[at].name.clone(), world.stacks[at].policy.clone());
    world.executions.push((name, nodes, policy));
    let stack = &mut world.stacks[at];
    stack.template.clone_from(&set.template);
    stack.parameters.clone_from(&set.parameters);
    stack.executed.push(token.to_owned());
    // Whatever else was prepared goes.
    stack.change_sets.retain(|of| of.id == set.id);
    stack.change_sets[0].execution = "EXECUTE_COMPLETE";
    let (running, ends) =
        if set.creates { ("CREATE_IN_PROGRESS", "CREATE_COMPLETE") } else { ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE") };
    world.begin(at, running, ends, token);
    Reply::xml("<ExecuteChangeSetResponse><ExecuteChangeSetResult/></ExecuteChangeSetResponse>")
}

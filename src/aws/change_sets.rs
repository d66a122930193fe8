//! Change sets by the SDK of CloudFormation.

use aws_sdk_cloudformation::types as cfn;

use super::Aws;
use super::problem::{garbled, of};
use super::stacks::text;
use crate::deploy::account::{
    Action, Change, ChangeSet, Detail, NewChangeSet, OnFailure, Problem, Replacement, Stage, TemplateSource,
};

/// A stack has at most 500 resources; a page holds a hundred changes and more.
const MOST_PAGES: usize = 50;

pub(super) fn create(aws: &Aws, new: &NewChangeSet) -> Result<String, Problem> {
    let parameters = new
        .parameters
        .iter()
        .map(|(key, value)| cfn::Parameter::builder().parameter_key(key).parameter_value(value).build())
        .collect();
    let call = aws
        .cloudformation()
        .create_change_set()
        .stack_name(&new.stack)
        .change_set_name(&new.name)
        .client_token(&new.name)
        .change_set_type(if new.creates { cfn::ChangeSetType::Create } else { cfn::ChangeSetType::Update })
        .capabilities(cfn::Capability::CapabilityIam)
        .on_stack_failure(match new.on_failure {
            OnFailure::Keep => cfn::OnStackFailure::DoNothing,
            OnFailure::RollBack => cfn::OnStackFailure::Rollback,
        })
        .set_parameters(Some(parameters));
    let call = match &new.template {
        TemplateSource::Body(text) => call.template_body(text),
        TemplateSource::Object { bucket, key } => call.template_url(aws.object_url(bucket, key)),
    };
    let reply = aws.wait(call.send()).map_err(of)?;
    reply.id().map(str::to_owned).ok_or_else(|| garbled("a change set's ARN"))
}

pub(super) fn describe(aws: &Aws, stack: &str, change_set: &str) -> Result<ChangeSet, Problem> {
    let mut found: Option<ChangeSet> = None;
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let call = aws.cloudformation().describe_change_set().change_set_name(change_set).include_property_values(true);
        let call = if change_set.starts_with("arn:") { call } else { call.stack_name(stack) };
        let reply = aws.wait(call.set_next_token(token).send()).map_err(of)?;
        let changes = reply.changes().iter().filter_map(|of| of.resource_change()).map(change);
        match &mut found {
            Some(found) => found.changes.extend(changes),
            None => {
                found = Some(ChangeSet {
                    id: reply.change_set_id().ok_or_else(|| garbled("a change set's ARN"))?.to_owned(),
                    stack_id: reply.stack_id().ok_or_else(|| garbled("a stack's ARN"))?.to_owned(),
                    stage: stage(reply.status(), reply.execution_status())?,
                    reason: text(reply.status_reason()),
                    changes: changes.collect(),
                });
            }
        }
        token = reply.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    found.ok_or_else(|| garbled("a change set"))
}

/// Failed validations. The reason of the change set itself only says that there are some.
pub(super) fn objections(aws: &Aws, stack: &str, change_set: &str) -> Result<Vec<String>, Problem> {
    let failed = cfn::EventFilter::builder().failed_events(true).build();
    let call = aws.cloudformation().describe_events().stack_name(stack).change_set_name(change_set).filters(failed);
    let reply = aws.wait(call.send()).map_err(of)?;
    let line = |of: &cfn::OperationEvent| {
        let reason = of.validation_status_reason().or(of.resource_status_reason())?;
        let place = [of.logical_resource_id(), of.validation_path(), of.validation_name()];
        let place: Vec<&str> = place.into_iter().flatten().collect();
        Some(format!("{}: {reason}", place.join(" ")))
    };
    Ok(reply.operation_events().iter().filter_map(line).collect())
}

fn stage(status: Option<&cfn::ChangeSetStatus>, execution: Option<&cfn::ExecutionStatus>) -> Result<Stage, Problem> {
    use cfn::{ChangeSetStatus as S, ExecutionStatus as E};
    let status = status.ok_or_else(|| garbled("a change set's state"))?;
    Ok(match (status, execution) {
        (_, Some(E::ExecuteInProgress)) => Stage::Executing,
        (_, Some(E::ExecuteComplete)) => Stage::Executed,
        (_, Some(E::ExecuteFailed)) => Stage::ExecutionFailed,
        (_, Some(E::Obsolete)) => Stage::Obsolete,
        (S::Failed, _) => Stage::Failed,
        (S::CreateComplete, Some(E::Available)) => Stage::Available,
        (S::DeletePending | S::DeleteInProgress | S::DeleteComplete | S::DeleteFailed, _) => Stage::Obsolete,
        _ => Stage::Pending,
    })
}

fn change(of: &cfn::ResourceChange) -> Change {
    Change {
        action: match of.action() {
            Some(cfn::ChangeAction::Add) => Action::Add,
            Some(cfn::ChangeAction::Remove) => Action::Remove,
            Some(cfn::ChangeAction::Import) => Action::Import,
            Some(cfn::ChangeAction::Modify) => Action::Modify,
            // What is not known to be harmless is shown as what may do anything.
            _ => Action::Dynamic,
        },
        logical_id: text(of.logical_resource_id()),
        physical_id: text(of.physical_resource_id()),
        resource_type: text(of.resource_type()),
        replacement: match of.replacement() {
            Some(cfn::Replacement::True) => Replacement::Always,
            Some(cfn::Replacement::False) | None => Replacement::Never,
            Some(_) => Replacement::Conditional,
        },
        details: of.details().iter().map(detail).collect(),
    }
}

fn detail(of: &cfn::ResourceChangeDetail) -> Detail {
    let target = of.target();
    Detail {
        attribute: target.and_then(|of| of.attribute()).map_or_else(String::new, |of| of.as_str().to_owned()),
        name: text(target.and_then(|of| of.name())),
        recreation: match target.and_then(|of| of.requires_recreation()) {
            Some(cfn::RequiresRecreation::Always) => Replacement::Always,
            Some(cfn::RequiresRecreation::Never) | None => Replacement::Never,
            Some(_) => Replacement::Conditional,
        },
        cause: text(of.causing_entity()),
        before: text(target.and_then(|of| of.before_value())),
        after: text(target.and_then(|of| of.after_value())),
    }
}

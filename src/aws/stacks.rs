//! Stacks by the SDK of CloudFormation.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types as cfn;

use super::problem::{garbled, of};
use super::{Aws, change_sets};
use crate::deploy::account::{ChangeSet, Event, NewChangeSet, Problem, ResourceView, StackView, Stacks};

/// A page has a hundred events; no operation of ours has more pages.
const MOST_PAGES: usize = 200;

impl Aws {
    pub(super) fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        self.clients.borrow().cloudformation.clone()
    }
}

impl Stacks for Aws {
    fn stack(&self, stack: &str) -> Result<StackView, Problem> {
        let reply = self.wait(self.cloudformation().describe_stacks().stack_name(stack).send()).map_err(of)?;
        let found = reply.stacks().first().ok_or_else(|| garbled("a stack"))?;
        view(found)
    }

    fn events(&self, stack: &str, until: Option<&str>) -> Result<Vec<Event>, Problem> {
        let (mut events, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self.cloudformation().describe_stack_events().stack_name(stack).set_next_token(token);
            let reply = self.wait(call.send()).map_err(of)?;
            for found in reply.stack_events() {
                let event = event(found);
                if until == Some(event.id.as_str()) {
                    return Ok(events);
                }
                events.push(event);
            }
            token = reply.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(events)
    }

    fn resources(&self, stack: &str) -> Result<Vec<ResourceView>, Problem> {
        let (mut resources, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self.cloudformation().list_stack_resources().stack_name(stack).set_next_token(token);
            let reply = self.wait(call.send()).map_err(of)?;
            resources.extend(reply.stack_resource_summaries().iter().map(|found| ResourceView {
                logical_id: text(found.logical_resource_id()),
                physical_id: text(found.physical_resource_id()),
                resource_type: text(found.resource_type()),
                status: found.resource_status().map_or_else(String::new, |status| status.as_str().to_owned()),
                reason: text(found.resource_status_reason()),
            }));
            token = reply.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(resources)
    }

    fn template(&self, stack: &str) -> Result<String, Problem> {
        let call = self.cloudformation().get_template().stack_name(stack).template_stage(cfn::TemplateStage::Original);
        let reply = self.wait(call.send()).map_err(of)?;
        reply.template_body().map(str::to_owned).ok_or_else(|| garbled("a template"))
    }

    fn create_change_set(&self, new: &NewChangeSet) -> Result<String, Problem> {
        change_sets::create(self, new)
    }

    fn change_set(&self, stack: &str, change_set: &str) -> Result<ChangeSet, Problem> {
        change_sets::describe(self, stack, change_set)
    }

    fn objections(&self, stack: &str, change_set: &str) -> Result<Vec<String>, Problem> {
        change_sets::objections(self, stack, change_set)
    }

    fn change_sets(&self, stack: &str) -> Result<Vec<String>, Problem> {
        let (mut names, mut token) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let call = self.cloudformation().list_change_sets().stack_name(stack).set_next_token(token);
            let reply = self.wait(call.send()).map_err(of)?;
            names.extend(reply.summaries().iter().filter_map(|found| found.change_set_name()).map(str::to_owned));
            token = reply.next_token().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(names)
    }

    fn execute(&self, change_set: &str, token: &str) -> Result<(), Problem> {
        let call = self.cloudformation().execute_change_set().change_set_name(change_set).client_request_token(token);
        self.wait(call.send()).map(|_| ()).map_err(of)
    }

    fn discard(&self, stack: &str, change_set: &str) -> Result<(), Problem> {
        let call = self.cloudformation().delete_change_set().change_set_name(change_set);
        // An ARN names its stack itself.
        let call = if change_set.starts_with("arn:") { call } else { call.stack_name(stack) };
        match self.wait(call.send()).map_err(of) {
            Ok(_) | Err(Problem::Absent(_)) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    fn delete(&self, stack: &str, token: &str, retained: &[String]) -> Result<(), Problem> {
        let retained = (!retained.is_empty()).then(|| retained.to_vec());
        let call = self.cloudformation().delete_stack().stack_name(stack).client_request_token(token);
        accepted(self.wait(call.set_retain_resources(retained).send()).map(|_| ()).map_err(of))
    }

    fn roll_back(&self, stack: &str, token: &str) -> Result<(), Problem> {
        let call = self.cloudformation().rollback_stack().stack_name(stack).client_request_token(token);
        accepted(self.wait(call.send()).map(|_| ()).map_err(of))
    }

    fn continue_rollback(&self, stack: &str, token: &str, skipped: &[String]) -> Result<(), Problem> {
        let skipped = (!skipped.is_empty()).then(|| skipped.to_vec());
        let call = self.cloudformation().continue_update_rollback().stack_name(stack).client_request_token(token);
        accepted(self.wait(call.set_resources_to_skip(skipped).send()).map(|_| ()).map_err(of))
    }

    fn cancel_update(&self, stack: &str, token: &str) -> Result<(), Problem> {
        let call = self.cloudformation().cancel_update_stack().stack_name(stack).client_request_token(token);
        accepted(self.wait(call.send()).map(|_| ()).map_err(of))
    }

    fn policy(&self, stack: &str) -> Result<String, Problem> {
        let reply = self.wait(self.cloudformation().get_stack_policy().stack_name(stack).send()).map_err(of)?;
        Ok(text(reply.stack_policy_body()))
    }

    fn set_policy(&self, stack: &str, policy: &str) -> Result<(), Problem> {
        let call = self.cloudformation().set_stack_policy().stack_name(stack).stack_policy_body(policy);
        self.wait(call.send()).map(|_| ()).map_err(of)
    }

    fn protect(&self, stack: &str, on: bool) -> Result<(), Problem> {
        let call =
            self.cloudformation().update_termination_protection().stack_name(stack).enable_termination_protection(on);
        self.wait(call.send()).map(|_| ()).map_err(of)
    }
}

/// A token that is known belongs to our own request, whose reply was lost.
fn accepted(answer: Result<(), Problem>) -> Result<(), Problem> {
    match answer {
        Err(Problem::Conflict(text)) if text.starts_with("TokenAlreadyExists") => Ok(()),
        answer => answer,
    }
}

pub(super) fn text(of: Option<&str>) -> String {
    of.unwrap_or_default().to_owned()
}

fn view(of: &cfn::Stack) -> Result<StackView, Problem> {
    let status = of.stack_status().ok_or_else(|| garbled("a stack's state"))?.as_str();
    let pairs = |pairs: Vec<(Option<&str>, Option<&str>)>| -> BTreeMap<String, String> {
        pairs.into_iter().map(|(key, value)| (text(key), text(value))).collect()
    };
    Ok(StackView {
        id: of.stack_id().ok_or_else(|| garbled("a stack's ARN"))?.to_owned(),
        name: text(of.stack_name()),
        status: status.parse().map_err(Problem::Refused)?,
        reason: text(of.stack_status_reason()),
        parameters: pairs(of.parameters().iter().map(|of| (of.parameter_key(), of.parameter_value())).collect()),
        outputs: pairs(of.outputs().iter().map(|of| (of.output_key(), of.output_value())).collect()),
        protected: of.enable_termination_protection().unwrap_or_default(),
        changed_at: of.last_updated_time().or(of.creation_time()).map_or(0, aws_smithy_types::DateTime::secs),
    })
}

fn event(of: &cfn::StackEvent) -> Event {
    Event {
        id: text(of.event_id()),
        logical_id: text(of.logical_resource_id()),
        physical_id: text(of.physical_resource_id()),
        resource_type: text(of.resource_type()),
        status: of.resource_status().map_or_else(String::new, |status| status.as_str().to_owned()),
        reason: text(of.resource_status_reason()),
        at: of.timestamp().map_or(0, aws_smithy_types::DateTime::secs),
        token: text(of.client_request_token()),
    }
}

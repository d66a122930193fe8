//! Run Command and Session Manager by the SDK of Systems Manager.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_ssm::types::InstanceInformationStringFilter;

use super::problem::{chain, garbled, of};
use super::stacks::text;
use super::{Aws, endpoint};
use crate::deploy::account::Problem;
use crate::deploy::commands::{Agent, Commands, Invocation, InvocationState, NewCommand, OpenSession, SessionKind};

/// Runs a shell script; it comes with every region.
const SHELL: &str = "AWS-RunShellScript";

/// Commands of one page. Whoever looks for one sent it a moment ago.
const LATEST: i32 = 50;

/// Most values of a filter.
const MOST_VALUES: usize = 50;

impl Aws {
    fn ssm(&self) -> aws_sdk_ssm::Client {
        self.clients.borrow().ssm.clone()
    }
}

/// The SDK counts seconds as signed numbers.
fn signed(seconds: u32) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

impl Commands for Aws {
    fn agents(&self, instances: &[String]) -> Result<Vec<Agent>, Problem> {
        let mut found = Vec::new();
        for some in instances.chunks(MOST_VALUES) {
            let filter = InstanceInformationStringFilter::builder().key("InstanceIds").set_values(Some(some.to_vec()));
            let filter = filter.build().map_err(|error| Problem::Refused(chain(&error)))?;
            let reply = self.wait(self.ssm().describe_instance_information().filters(filter).send()).map_err(of)?;
            found.extend(reply.instance_information_list().iter().map(|agent| Agent {
                instance: text(agent.instance_id()),
                ping: agent.ping_status().map_or_else(String::new, |ping| ping.as_str().to_owned()),
                version: text(agent.agent_version()),
            }));
        }
        Ok(found)
    }

    fn send_command(&self, new: &NewCommand) -> Result<String, Problem> {
        let call = self.ssm().send_command().document_name(SHELL).instance_ids(&new.instance).comment(&new.comment);
        let call = call
            .parameters("commands", new.script.lines().map(str::to_owned).collect())
            .parameters("executionTimeout", vec![new.execution_seconds.to_string()])
            .timeout_seconds(signed(new.delivery_seconds))
            .output_s3_bucket_name(&new.bucket)
            .output_s3_key_prefix(&new.prefix);
        let reply = self.wait(call.send()).map_err(of)?;
        let id = reply.command().and_then(|command| command.command_id());
        id.map(str::to_owned).ok_or_else(|| garbled("a command's id"))
    }

    fn commands_of(&self, instance: &str, comment: &str) -> Result<Vec<String>, Problem> {
        let reply =
            self.wait(self.ssm().list_commands().instance_id(instance).max_results(LATEST).send()).map_err(of)?;
        let of_comment = reply.commands().iter().filter(|command| command.comment() == Some(comment));
        Ok(of_comment.map(|command| text(command.command_id())).collect())
    }

    fn invocation(&self, command: &str, instance: &str) -> Result<Invocation, Problem> {
        let call = self.ssm().get_command_invocation().command_id(command).instance_id(instance);
        let reply = self.wait(call.send()).map_err(of)?;
        let state = reply.status().and_then(|status| InvocationState::read(status.as_str()));
        Ok(Invocation {
            state: state.ok_or_else(|| garbled("a state that is known"))?,
            details: text(reply.status_details()),
            exit_code: reply.response_code(),
            output: text(reply.standard_output_content()),
            errors: text(reply.standard_error_content()),
        })
    }

    fn cancel_command(&self, command: &str) -> Result<(), Problem> {
        self.wait(self.ssm().cancel_command().command_id(command).send()).map(|_| ()).map_err(of)
    }

    fn open_session(&self, instance: &str, kind: &SessionKind) -> Result<OpenSession, Problem> {
        let mut call = self.ssm().start_session().target(instance).reason("prefab connect");
        if let Some((document, parameters)) = kind.document() {
            call = call.document_name(document);
            for (name, value) in parameters {
                call = call.parameters(name, vec![value]);
            }
        }
        let reply = self.wait(call.send()).map_err(of)?;
        let part = |value: Option<&str>| value.map(str::to_owned).ok_or_else(|| garbled("a session"));
        let config = self.clients.borrow().config.clone();
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        Ok(OpenSession {
            id: part(reply.session_id())?,
            stream_url: part(reply.stream_url())?,
            token: part(reply.token_value())?,
            endpoint: endpoint(&config, "SSM").unwrap_or_else(|| format!("https://ssm.{}.{suffix}", self.region)),
        })
    }

    fn end_session(&self, session: &str) -> Result<(), Problem> {
        self.wait(self.ssm().terminate_session().session_id(session).send()).map(|_| ()).map_err(of)
    }

    fn link(&self, bucket: &str, key: &str, seconds: u32) -> Result<String, Problem> {
        let valid = PresigningConfig::expires_in(Duration::from_secs(seconds.into()))
            .map_err(|error| Problem::Refused(chain(&error)))?;
        let call = self.clients.borrow().s3.get_object().bucket(bucket).key(key);
        let link = self.wait(call.presigned(valid)).map_err(of)?;
        Ok(link.uri().to_owned())
    }
}

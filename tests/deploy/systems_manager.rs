//! Systems Manager over the [`World`]: agents, commands that take some looks to end, sessions. A script whose run began on a
//! node before ends there at once, as the script itself says.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::http::{Reply, Request};
use super::world::World;

/// Characters of what a script printed that a reply holds, standard output and standard error.
const EXCERPTS: (usize, usize) = (24_000, 8_000);

/// How a script ends on an instance.
#[derive(Clone)]
pub struct End {
    /// How often it is looked at until then.
    pub looks: u32,
    pub state: &'static str,
    pub details: &'static str,
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
    /// Looks at the bucket until the agent has left its files there.
    pub late: u32,
}

impl Default for End {
    fn default() -> Self {
        let (stdout, stderr) = (String::new(), String::new());
        Self { looks: 1, state: "Success", details: "Success", exit: 0, stdout, stderr, late: 0 }
    }
}

pub struct Sent {
    pub id: String,
    pub instance: String,
    pub comment: String,
    pub script: String,
    pub execution_timeout: String,
    pub bucket: String,
    pub prefix: String,
    looks: u32,
    pub cancelled: bool,
    /// The same run came before.
    pub again: bool,
    left: bool,
}

#[derive(Default)]
pub struct Manager {
    /// Instances whose agent is not online: id, state; an empty state is an agent that never reported.
    pub agents: BTreeMap<String, &'static str>,
    pub ends: BTreeMap<String, End>,
    pub sent: Vec<Sent>,
    /// Lists that do not show yet what was sent.
    pub hides: u32,
    /// Sessions: instance, request, and whether it was ended.
    pub sessions: Vec<(String, Json, bool)>,
}

impl Manager {
    /// Scripts that did something.
    pub fn ran(&self) -> Vec<&Sent> {
        self.sent.iter().filter(|sent| !sent.again).collect()
    }
}

/// `ssm.SendCommand`
pub fn name(request: &Request) -> String {
    let target = request.headers.get("x-amz-target").map(String::as_str).unwrap_or_default();
    format!("ssm.{}", target.rsplit('.').next().unwrap_or_default())
}

pub fn answer(world: &mut World, request: &Request) -> Reply {
    let name = name(request);
    world.calls.push(name.clone());
    let asked: Json = serde_json::from_slice(&request.body).unwrap_or_default();
    let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
    match name.as_str() {
        "ssm.GetParameter" => {
            let image = world.images.keys().next_back().cloned().unwrap();
            reply(&json!({ "Parameter": { "Name": "x", "Type": "String", "Value": image } }))
        }
        "ssm.DescribeInstanceInformation" => {
            let ids = asked["Filters"][0]["Values"].as_array().cloned().unwrap_or_default();
            let ids = ids.iter().filter_map(Json::as_str);
            let agents: Vec<Json> = ids
                .filter_map(|id| {
                    let ping = world.manager.agents.get(id).copied().unwrap_or("Online");
                    (!ping.is_empty()).then(|| json!({ "InstanceId": id, "PingStatus": ping, "AgentVersion": "3.3" }))
                })
                .collect();
            reply(&json!({ "InstanceInformationList": agents }))
        }
        "ssm.SendCommand" => send(world, &asked),
        "ssm.ListCommands" => {
            if world.manager.hides > 0 {
                world.manager.hides -= 1;
                return reply(&json!({ "Commands": [] }));
            }
            let instance = text("InstanceId");
            let of_instance = world.manager.sent.iter().rev().filter(|sent| sent.instance == instance);
            let commands: Vec<Json> =
                of_instance.map(|sent| json!({ "CommandId": sent.id, "Comment": sent.comment })).collect();
            reply(&json!({ "Commands": commands }))
        }
        "ssm.GetCommandInvocation" => invocation(world, &text("CommandId"), &text("InstanceId")),
        "ssm.CancelCommand" => {
            let id = text("CommandId");
            for sent in world.manager.sent.iter_mut().filter(|sent| sent.id == id) {
                sent.cancelled = true;
            }
            reply(&json!({}))
        }
        "ssm.StartSession" => {
            let number = world.manager.sessions.len();
            world.manager.sessions.push((text("Target"), asked.clone(), false));
            reply(&json!({ "SessionId": format!("s-{number}"), "TokenValue": "a-token", "StreamUrl": "wss://stream" }))
        }
        "ssm.TerminateSession" => {
            let id = text("SessionId");
            let number: usize = id.trim_start_matches("s-").parse().unwrap();
            world.manager.sessions[number].2 = true;
            reply(&json!({ "SessionId": id }))
        }
        other => refusal("UnknownOperationException", other),
    }
}

fn send(world: &mut World, asked: &Json) -> Reply {
    let instance = asked["InstanceIds"][0].as_str().unwrap().to_owned();
    if world.manager.agents.get(&instance).is_some_and(|ping| ping.is_empty()) {
        return refusal("InvalidInstanceId", "Instances not in a valid state for account");
    }
    let lines = asked["Parameters"]["commands"].as_array().unwrap().iter().filter_map(Json::as_str);
    let script: Vec<&str> = lines.collect();
    let folder = script.iter().find(|line| line.starts_with("folder=")).map(|line| (*line).to_owned()).unwrap();
    let again = world.manager.sent.iter().any(|sent| sent.instance == instance && sent.script.contains(&folder));
    let id = format!("command-{:03}", world.manager.sent.len());
    let field = |key: &str| asked[key].as_str().unwrap().to_owned();
    world.manager.sent.push(Sent {
        id: id.clone(),
        instance,
        comment: field("Comment"),
        script: script.join("\n") + "\n",
        execution_timeout: asked["Parameters"]["executionTimeout"][0].as_str().unwrap().to_owned(),
        bucket: field("OutputS3BucketName"),
        prefix: field("OutputS3KeyPrefix"),
        looks: 0,
        cancelled: false,
        again,
        left: false,
    });
    reply(&json!({ "Command": { "CommandId": id } }))
}

fn invocation(world: &mut World, id: &str, instance: &str) -> Reply {
    let Some(sent) = world.manager.sent.iter_mut().find(|sent| sent.id == id && sent.instance == instance) else {
        return refusal("InvocationDoesNotExist", "");
    };
    sent.looks += 1;
    let end = world.manager.ends.get(instance).cloned().unwrap_or_default();
    let end = match (sent.again, sent.cancelled) {
        (true, _) => End { looks: 0, state: "Failed", details: "Failed", exit: 75, ..End::default() },
        (_, true) => End { looks: 0, state: "Cancelled", details: "Cancelled", exit: -1, ..end },
        _ => end,
    };
    let state = match sent.looks {
        // For a moment nobody knows of it.
        1 => return refusal("InvocationDoesNotExist", ""),
        2 => "Pending",
        looks if looks < end.looks + 3 => "InProgress",
        _ => end.state,
    };
    if state != end.state {
        return reply(&json!({ "CommandId": id, "Status": state, "StatusDetails": state, "ResponseCode": -1 }));
    }
    if !std::mem::replace(&mut sent.left, true) {
        let folder = format!("{}/{id}/{instance}/awsrunShellScript/0.awsrunShellScript", sent.prefix);
        let bucket = world.buckets.get_mut(&sent.bucket).unwrap();
        for (name, text) in [("stdout", &end.stdout), ("stderr", &end.stderr)] {
            if !text.is_empty() && end.late != u32::MAX {
                let key = format!("{folder}/{name}");
                world.late.insert(key.clone(), end.late);
                bucket.insert(key, vec![Some(text.clone().into_bytes())]);
            }
        }
    }
    let excerpt = |text: &str, most: usize| match text.chars().count() {
        characters if characters > most => {
            let note = "\n---Output truncated---";
            text.chars().take(most - note.len()).collect::<String>() + note
        }
        _ => text.to_owned(),
    };
    reply(&json!({
        "CommandId": id, "Status": end.state, "StatusDetails": end.details, "ResponseCode": end.exit,
        "StandardOutputContent": excerpt(&end.stdout, EXCERPTS.0), "StandardErrorContent": excerpt(&end.stderr, EXCERPTS.1),
    }))
}

fn reply(json: &Json) -> Reply {
    Reply { content_type: "application/x-amz-json-1.1", ..Reply::xml(json.to_string()) }
}

pub fn refusal(code: &str, message: &str) -> Reply {
    Reply { status: 400, ..reply(&json!({ "__type": code, "message": message })) }
}

//! An account as a state machine: stacks whose operations take some looks to end, change sets of which one can be
//! executed, tokens, buckets. Real semantics where the product depends on them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::systems_manager::Manager;

/// How an operation on a stack ends.
#[derive(Clone, Default)]
pub struct Fate {
    /// The state after a failure; none when it succeeds.
    pub fails_in: Option<&'static str>,
    /// What happens to resources: id, type, state, reason.
    pub events: Vec<(&'static str, &'static str, &'static str, &'static str)>,
    /// How often the stack is looked at until it ends.
    pub looks: u32,
}

#[derive(Clone)]
pub struct Event {
    pub id: String,
    pub logical: String,
    pub physical: String,
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub token: String,
}

#[derive(Clone)]
pub struct ChangeSet {
    pub name: String,
    pub id: String,
    pub creates: bool,
    pub template: String,
    pub parameters: BTreeMap<String, String>,
    pub on_failure: String,
    /// `CREATE_IN_PROGRESS` at the first look.
    pub looked_at: bool,
    pub no_changes: bool,
    pub execution: &'static str,
}

#[derive(Clone)]
pub struct Stack {
    pub name: String,
    pub id: String,
    pub status: String,
    pub reason: String,
    pub template: String,
    pub parameters: BTreeMap<String, String>,
    pub protected: bool,
    pub policy: String,
    pub changed: u64,
    pub change_sets: Vec<ChangeSet>,
    pub events: Vec<Event>,
    /// Looks left, and the state after them.
    pub running: Option<(u32, String)>,
    /// Executions, by token.
    pub executed: Vec<String>,
    /// Deletions that were accepted, by token.
    pub deletions: Vec<String>,
}

/// Versions of objects by key; newest last. `None` is a marker.
pub type Bucket = BTreeMap<String, Vec<Option<Vec<u8>>>>;

#[derive(Default)]
pub struct World {
    pub stacks: Vec<Stack>,
    pub fates: BTreeMap<String, Fate>,
    pub buckets: BTreeMap<String, Bucket>,
    pub policies: BTreeMap<String, String>,
    /// Keys that Object Lock keeps.
    pub locked: BTreeSet<String>,
    /// Every call that was understood, `Service.Action`.
    pub calls: Vec<String>,
    /// Replacements that CloudFormation reports, by logical id.
    pub replaced: BTreeMap<String, &'static str>,
    /// A change that a change set adds to what the template says.
    pub surprise: Option<(&'static str, &'static str)>,
    /// What validation objects to: resource and reason.
    pub objects: Option<(&'static str, &'static str)>,
    /// What EC2 still knows: kind, id, state.
    pub leftovers: Vec<(&'static str, &'static str, &'static str)>,
    pub images: BTreeMap<String, String>,
    pub subnets: Vec<(&'static str, &'static str, bool)>,
    pub machines: Machines,
    pub manager: Manager,
    /// What a shutdown of an instance means, where it was set.
    pub shutdowns: BTreeMap<String, String>,
    /// What was changed by hand: resource, state, property, before, after.
    pub drifts: Vec<(&'static str, &'static str, &'static str, &'static str, &'static str)>,
    /// Looks until a detection ends, and why it fails.
    pub detection: (u32, Option<&'static str>),
    /// The stack that is being compared.
    pub detects: Option<usize>,
    /// Every execution of a change set: the stack, its nodes from then on, and the stack policy under which it began.
    pub executions: Vec<(String, Vec<String>, String)>,
    /// Objects that are there only after so many looks.
    pub late: BTreeMap<String, u32>,
    pub tick: u64,
}

/// What EC2 and Service Quotas say before a deployment.
pub struct Machines {
    pub free_addresses: u32,
    pub maps_public: bool,
    /// Where 0.0.0.0/0 goes.
    pub route: &'static str,
    pub endpoints: Vec<&'static str>,
    pub quota: f64,
    /// Type, cores, stack.
    pub running: Vec<(&'static str, u32, &'static str)>,
    pub gpus: u32,
    /// Type, zone, state, free, total, kind.
    pub reservation: Option<(&'static str, &'static str, &'static str, u32, u32, &'static str)>,
    /// State and free instances of the reservation, look by look; the last one stays.
    pub reservation_looks: Vec<(&'static str, u32)>,
    pub reservation_starts: String,
    pub reservation_ends: String,
    /// Blocks to buy: id, zone, fee.
    pub offerings: Vec<(&'static str, &'static str, &'static str)>,
    /// Egress, and whether it names the group itself.
    pub rules: Vec<(bool, bool)>,
    /// What a dry run is refused with.
    pub refuses_launch: Option<(&'static str, &'static str)>,
}

impl Default for Machines {
    fn default() -> Self {
        Self {
            free_addresses: 250,
            maps_public: true,
            route: "igw-1",
            endpoints: Vec::new(),
            quota: 512.0,
            running: Vec::new(),
            gpus: 4,
            reservation: None,
            reservation_looks: Vec::new(),
            reservation_starts: "2026-01-01T11:30:00Z".to_owned(),
            reservation_ends: "2096-01-02T11:30:00Z".to_owned(),
            offerings: Vec::new(),
            rules: vec![(false, true), (true, true)],
            refuses_launch: None,
        }
    }
}

pub const ACCOUNT: &str = "111122223333";

impl World {
    pub fn new() -> Self {
        let mut world = Self::default();
        world.images.insert("ami-0123456789abcdef0".to_owned(), "x86_64".to_owned());
        world.subnets.push(("subnet-00000001", "us-east-1c", true));
        world
    }

    fn next(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    /// A stack in a state, as if something had happened before.
    pub fn plant(
        &mut self,
        name: &str,
        status: &str,
        template: &str,
        parameters: &BTreeMap<String, String>,
    ) -> &mut Stack {
        let changed = self.next();
        self.stacks.push(Stack {
            name: name.to_owned(),
            id: format!("arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{name}/uuid-{changed}"),
            status: status.to_owned(),
            reason: String::new(),
            template: template.to_owned(),
            parameters: parameters.clone(),
            protected: false,
            policy: String::new(),
            changed,
            change_sets: Vec::new(),
            events: Vec::new(),
            running: None,
            executed: Vec::new(),
            deletions: Vec::new(),
        });
        self.stacks.last_mut().unwrap()
    }

    /// By ARN, or by the name of one that is not deleted.
    pub fn find(&self, stack: &str) -> Option<usize> {
        let named = |of: &Stack| of.id == stack || (of.name == stack && of.status != "DELETE_COMPLETE");
        self.stacks.iter().rposition(named)
    }

    pub fn stack(&self, name: &str) -> &Stack {
        &self.stacks[self.stacks.iter().rposition(|of| of.name == name).unwrap_or_else(|| panic!("no stack {name}"))]
    }

    pub fn event(&mut self, at: usize, logical: &str, kind: &str, status: &str, reason: &str, token: &str) {
        let id = format!("event-{:06}", self.next());
        let stack = &mut self.stacks[at];
        let physical = if kind == "AWS::CloudFormation::Stack" { stack.id.clone() } else { format!("i-{logical}") };
        stack.events.push(Event {
            id,
            logical: logical.to_owned(),
            physical,
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            token: token.to_owned(),
        });
    }

    /// Begins an operation.
    pub fn begin(&mut self, at: usize, running: &str, ends_in: &str, token: &str) {
        let fate = self.fates.get(&self.stacks[at].name).cloned().unwrap_or_default();
        let name = self.stacks[at].name.clone();
        self.event(at, &name, "AWS::CloudFormation::Stack", running, "", token);
        for (logical, kind, status, reason) in &fate.events {
            self.event(at, logical, kind, status, reason, token);
        }
        let ends_in = fate.fails_in.unwrap_or(ends_in).to_owned();
        let changed = self.next();
        let stack = &mut self.stacks[at];
        stack.status = running.to_owned();
        stack.changed = changed;
        stack.running = Some((fate.looks, ends_in));
    }

    /// A look at a stack: time passes by looks.
    pub fn look(&mut self, at: usize) {
        let Some((left, ends_in)) = self.stacks[at].running.clone() else { return };
        if left > 0 {
            self.stacks[at].running = Some((left - 1, ends_in));
            return;
        }
        self.stacks[at].running = None;
        self.stacks[at].status.clone_from(&ends_in);
        let name = self.stacks[at].name.clone();
        self.event(at, &name, "AWS::CloudFormation::Stack", &ends_in, "", "");
        if ends_in == "CREATE_COMPLETE" || ends_in == "UPDATE_COMPLETE" {
            for bucket in self.outputs(at).into_iter().filter(|(key, _)| key.ends_with("BucketName")) {
                self.buckets.entry(bucket.1).or_default();
            }
        }
    }

    pub fn outputs(&self, at: usize) -> Vec<(String, String)> {
        let template: Json = serde_json::from_str(&self.stacks[at].template).unwrap_or_default();
        let complete = self.stacks[at].status.ends_with("_COMPLETE") || self.stacks[at].status.starts_with("UPDATE");
        let names = template["Outputs"].as_object().into_iter().flatten().filter(|_| complete);
        let value = |key: &str| match key {
            "MlflowArn" => format!("arn:aws:sagemaker:us-east-1:{ACCOUNT}:mlflow-tracking-server/nixl-efa-mlflow"),
            key => format!("{}-{}", self.stacks[at].name, key.to_lowercase()),
        };
        names.map(|(key, _)| (key.clone(), value(key))).collect()
    }

    /// Resources: id, physical id, type, state.
    pub fn resources(&self, at: usize) -> Vec<(String, String, String, String)> {
        let stack = &self.stacks[at];
        let template: Json = serde_json::from_str(&stack.template).unwrap_or_default();
        let outputs = self.outputs(at);
        let all = template["Resources"].as_object().into_iter().flatten();
        all.map(|(id, json)| {
            let physical = outputs.iter().find(|(key, _)| *key == format!("{id}Name")).map(|(_, value)| value.clone());
            let kind = json["Type"].as_str().unwrap_or_default().to_owned();
            (id.clone(), physical.unwrap_or_else(|| format!("i-{id}")), kind, "CREATE_COMPLETE".to_owned())
        })
        .collect()
    }

    /// Versions and markers of a bucket: key and version.
    pub fn versions(&self, bucket: &str) -> Vec<(String, usize, bool)> {
        let held = self.buckets.get(bucket).into_iter().flatten();
        held.flat_map(|(key, versions)| {
            versions.iter().enumerate().map(move |(at, version)| (key.clone(), at, version.is_none()))
        })
        .collect()
    }

    /// How often calls of this name were understood.
    pub fn count(&self, call: &str) -> usize {
        self.calls.iter().filter(|made| *made == call).count()
    }
}

//! A CloudFormation template under construction.
//!
//! The only way to refer to a resource is through the [`Handle`] that adding it returns, and an attribute knows its
//! type, so a wrong reference does not compile:
//!
//! ```
//! use prefab::resources::{ec2::SecurityGroup, s3::Bucket};
//! use prefab::template::{LogicalId, Template, Value};
//! # use prefab::resources::{names::{BucketName, SecurityGroupId, VpcId}, s3::BucketPolicy, iam::PolicyDocument};
//!
//! let mut template = Template::new("two resources");
//! let bucket = template.add(const { LogicalId::fixed("Results") }, Bucket::private());
//! let name: Value<BucketName> = bucket.reference();
//! ```
//!
//! A bucket's name is no security group's id:
//!
//! ```compile_fail,E0308
//! use prefab::resources::{ec2::SecurityGroup, s3::Bucket};
//! use prefab::template::{LogicalId, Template, Value};
//! # use prefab::resources::{names::{BucketName, SecurityGroupId, VpcId}, s3::BucketPolicy, iam::PolicyDocument};
//!
//! let mut template = Template::new("two resources");
//! let bucket = template.add(const { LogicalId::fixed("Results") }, Bucket::private());
//! let name: Value<SecurityGroupId> = bucket.reference();
//! ```
//!
//! An attribute belongs to its resource type:
//!
//! ```
//! # use prefab::resources::{iam::{InstanceProfile, Role}, s3::Bucket};
//! # use prefab::template::{LogicalId, Template};
//! # let mut template = Template::new("attributes");
//! let bucket = template.add(const { LogicalId::fixed("Results") }, Bucket::private());
//! let arn = bucket.get(Bucket::ARN);
//! ```
//!
//! ```compile_fail,E0308
//! # use prefab::resources::{iam::{InstanceProfile, Role}, s3::Bucket};
//! # use prefab::template::{LogicalId, Template};
//! # let mut template = Template::new("attributes");
//! let bucket = template.add(const { LogicalId::fixed("Results") }, Bucket::private());
//! let arn = bucket.get(Role::ARN);
//! ```
//!
//! A logical id that CloudFormation refuses is refused by the compiler:
//!
//! ```
//! # use prefab::template::LogicalId;
//! const ID: LogicalId = LogicalId::fixed("NodeRole");
//! ```
//!
//! ```compile_fail,E0080
//! # use prefab::template::LogicalId;
//! const ID: LogicalId = LogicalId::fixed("node-role");
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

pub mod limits;
pub mod value;
pub mod yaml;

pub use value::{Attribute, Value};

/// A resource type of CloudFormation; the value is its `Properties`.
pub trait Resource: Serialize {
    /// Such as `AWS::S3::Bucket`.
    const TYPE: &'static str;
    /// What `Ref` returns for this type.
    type Ref;
}

/// A type of value that a template takes as a parameter.
pub trait ParameterType {
    /// Such as `AWS::EC2::VPC::Id`, or `String`.
    const TYPE: &'static str;
}

/// The name of a resource, parameter or output inside a template: letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogicalId(Cow<'static, str>);

impl LogicalId {
    /// A fixed id; in a `const`, a wrong one does not compile.
    ///
    /// # Panics
    /// When the id is empty or holds anything but ASCII letters and digits.
    pub const fn fixed(id: &'static str) -> Self {
        let bytes = id.as_bytes();
        assert!(!bytes.is_empty(), "a logical id is not empty");
        let mut index = 0;
        while index < bytes.len() {
            assert!(bytes[index].is_ascii_alphanumeric(), "a logical id is made of letters and digits");
            index += 1;
        }
        Self(Cow::Borrowed(id))
    }

    /// `Prefill` and 0 give `Prefill0`.
    pub fn numbered(prefix: &Self, number: u32) -> Self {
        Self(Cow::Owned(format!("{prefix}{number}")))
    }

    /// `Launch` and `g6e.12xlarge` give `LaunchG6e12xlarge`.
    pub fn named(prefix: &Self, name: &str) -> Self {
        let words = name.split(|character: char| !character.is_ascii_alphanumeric());
        let capitalised = words.flat_map(|word| {
            let mut characters = word.chars();
            characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters)
        });
        Self(Cow::Owned(prefix.as_str().chars().chain(capitalised).collect()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Proof that a resource of type `R` is in a template.
pub struct Handle<R> {
    id: LogicalId,
    resource: PhantomData<R>,
}

impl<R: Resource> Handle<R> {
    /// `Ref`.
    pub fn reference(&self) -> Value<R::Ref> {
        Value::deferred(json!({ "Ref": self.id.as_str() }))
    }

    /// `Fn::GetAtt`.
    #[allow(clippy::needless_pass_by_value, reason = "attributes are constants")]
    pub fn get<T>(&self, attribute: Attribute<R, T>) -> Value<T> {
        Value::deferred(json!({ "Fn::GetAtt": [self.id.as_str(), attribute.name()] }))
    }

    /// The id, for `DependsOn`.
    pub fn id(&self) -> LogicalId {
        self.id.clone()
    }
}

/// A value that is known when the stack is deployed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    /// Where the value comes from.
    pub description: &'static str,
    /// What a text must match. Values that reach the node's script exclude quotes here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_pattern: Option<&'static str>,
    /// What the pattern means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint_description: Option<&'static str>,
}

/// What CloudFormation knows about a resource beside its properties.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Options {
    /// What must exist first although no property says so.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "ids")]
    pub depends_on: Vec<LogicalId>,
    /// What happens to the resource when the stack or the resource is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// What happens to the old resource when it is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_replace_policy: Option<DeletionPolicy>,
    /// What counts as created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_policy: Option<CreationPolicy>,
}

fn ids<S: serde::Serializer>(ids: &[LogicalId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(LogicalId::as_str))
}

/// `DeletionPolicy`.
#[derive(Clone, Copy, Serialize)]
pub enum DeletionPolicy {
    /// The resource goes with the stack.
    Delete,
    /// The resource stays.
    Retain,
    /// The resource stays, unless the creation that made it failed.
    RetainExceptOnCreate,
}

/// `CreationPolicy` with one signal, which is CloudFormation's default count; each node carries one of these.
#[derive(Clone, Copy)]
pub struct CreationPolicy {
    /// How long CloudFormation waits.
    pub timeout_minutes: u32,
}

impl Serialize for CreationPolicy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timeout = format!("PT{}M", self.timeout_minutes);
        json!({ "ResourceSignal": { "Timeout": timeout } }).serialize(serializer)
    }
}

/// A template under construction.
pub struct Template {
    description: String,
    parameters: BTreeMap<LogicalId, Json>,
    resources: BTreeMap<LogicalId, Json>,
    outputs: BTreeMap<LogicalId, Json>,
    suppressed: &'static [(&'static str, &'static str)],
}

impl Template {
    /// An empty template.
    pub fn new(description: impl Into<String>) -> Self {
        let (parameters, resources, outputs) = Default::default();
        Self { description: description.into(), parameters, resources, outputs, suppressed: &[] }
    }

    /// Names rules of AWS Control Tower that the template breaks on purpose, each with its reason.
    pub fn suppress(&mut self, rules: &'static [(&'static str, &'static str)]) {
        self.suppressed = rules;
    }

    /// Adds a resource.
    pub fn add<R: Resource>(&mut self, id: LogicalId, resource: R) -> Handle<R> {
        self.add_with(id, resource, Options::default())
    }

    /// Adds a resource with what CloudFormation knows about it beside its properties.
    ///
    /// # Panics
    /// When the id is taken: stacks use fixed ids, so this is a mistake in a stack.
    #[allow(clippy::needless_pass_by_value, reason = "a resource belongs to the template that it is added to")]
    pub fn add_with<R: Resource>(&mut self, id: LogicalId, resource: R, options: Options) -> Handle<R> {
        let mut json = plain(&options);
        json["Type"] = R::TYPE.into();
        let properties = plain(&resource);
        if properties.as_object().is_some_and(|properties| !properties.is_empty()) {
            json["Properties"] = properties;
        }
        assert!(self.resources.insert(id.clone(), json).is_none(), "the logical id `{id}` is taken");
        Handle { id, resource: PhantomData }
    }

    /// Adds a parameter and returns its value.
    #[allow(clippy::needless_pass_by_value, reason = "a parameter belongs to the template that it is added to")]
    pub fn parameter<T: ParameterType>(&mut self, id: LogicalId, parameter: Parameter) -> Value<T> {
        let mut json = plain(&parameter);
        json["Type"] = T::TYPE.into();
        let value = Value::deferred(json!({ "Ref": id.as_str() }));
        self.parameters.insert(id, json);
        value
    }

    /// Adds an output. Outputs reach the next stack as parameters, so nothing is exported.
    #[allow(clippy::needless_pass_by_value, reason = "reads as a sentence in the stacks")]
    pub fn output<T: Serialize>(&mut self, id: LogicalId, description: &str, value: Value<T>) {
        self.outputs.insert(id, json!({ "Description": description, "Value": plain(&value) }));
    }

    /// The finished document.
    ///
    /// # Errors
    /// When something refers to what is not in the template, or a limit of CloudFormation is passed.
    pub fn finish(self) -> Result<Document, TemplateError> {
        let known = |id: &str| {
            let id = LogicalId(Cow::Owned(id.to_owned()));
            id.as_str().starts_with("AWS::") || self.resources.contains_key(&id) || self.parameters.contains_key(&id)
        };
        let section = |entries: &BTreeMap<LogicalId, Json>| -> Json {
            entries.iter().map(|(id, json)| (id.as_str().to_owned(), json.clone())).collect::<Map<_, _>>().into()
        };
        let (resources, outputs) = (section(&self.resources), section(&self.outputs));
        if let Some(missing) = [&resources, &outputs].into_iter().find_map(|json| dangling(json, &known)) {
            return Err(TemplateError::Dangling { id: missing });
        }
        limits::check(self.resources.len(), self.parameters.len(), self.outputs.len())?;
        let mut json = json!({ "AWSTemplateFormatVersion": "2010-09-09", "Description": self.description, "Resources": resources });
        for (name, entries) in [("Parameters", &self.parameters), ("Outputs", &self.outputs)] {
            if !entries.is_empty() {
                json[name] = section(entries);
            }
        }
        if !self.suppressed.is_empty() {
            let rules: Map<_, _> =
                self.suppressed.iter().map(|(rule, why)| ((*rule).to_owned(), (*why).into())).collect();
            json["Metadata"] = json!({ "guard": { "SuppressedRules": rules } });
        }
        Ok(Document { json })
    }
}

/// Why a template could not be finished.
#[derive(Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A reference leads nowhere.
    Dangling {
        /// The id that is referred to.
        id: String,
    },
    /// A limit of CloudFormation is passed.
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much is allowed.
        allowed: usize,
    },
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dangling { id } => {
                write!(f, "`{id}` is referred to but not in the template; add it before it is used")
            }
            Self::Limit { what, found, allowed } => {
                write!(
                    f,
                    "the template has {found} {what}, CloudFormation allows {allowed}; use fewer nodes or several specs"
                )
            }
        }
    }
}

impl std::error::Error for TemplateError {}

/// A finished template.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    json: Json,
}

impl Document {
    /// The template as JSON value.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// What the API gets: JSON with sorted keys and no spaces.
    pub fn canonical(&self) -> String {
        self.json.to_string()
    }

    /// What people read: YAML with short tags.
    pub fn yaml(&self) -> String {
        yaml::template(&self.json)
    }

    /// The same document as indented JSON.
    pub fn pretty_json(&self) -> String {
        format!("{:#}\n", self.json)
    }
}

/// Properties are plain data with text keys, which always serialize.
fn plain(value: &impl Serialize) -> Json {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("template values are plain data: {error}"))
}

/// The first id that is referred to but not known.
fn dangling(json: &Json, known: &dyn Fn(&str) -> bool) -> Option<String> {
    match json {
        Json::Object(map) => {
            let reference = map.get("Ref").or_else(|| map.get("Fn::GetAtt")?.get(0)).and_then(Json::as_str);
            let depends = map.get("DependsOn").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
            reference
                .into_iter()
                .chain(depends)
                .find(|id| !known(id))
                .map(str::to_owned)
                .or_else(|| map.values().find_map(|value| dangling(value, known)))
        }
        Json::Array(values) => values.iter().find_map(|value| dangling(value, known)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::iam::PolicyDocument;
    use crate::resources::s3::{Bucket, BucketPolicy};

    #[test]
    fn a_handle_of_another_template_is_reported_by_name() {
        let elsewhere = Template::new("first").add(const { LogicalId::fixed("Elsewhere") }, Bucket::private());
        let mut template = Template::new("second");
        let policy = BucketPolicy { bucket: elsewhere.reference(), policy_document: PolicyDocument::of(vec![]) };
        template.add(const { LogicalId::fixed("Policy") }, policy);
        assert_eq!(template.finish().unwrap_err(), TemplateError::Dangling { id: "Elsewhere".to_owned() });
    }

    #[test]
    fn a_dangling_depends_on_is_reported_by_name() {
        let elsewhere = Template::new("first").add(const { LogicalId::fixed("Elsewhere") }, Bucket::private());
        let mut template = Template::new("second");
        let options = Options { depends_on: vec![elsewhere.id()], ..Options::default() };
        template.add_with(const { LogicalId::fixed("Bucket") }, Bucket::private(), options);
        assert_eq!(template.finish().unwrap_err(), TemplateError::Dangling { id: "Elsewhere".to_owned() });
    }

    #[test]
    fn logical_ids_are_made_of_letters_and_digits() {
        let launch = const { LogicalId::fixed("Launch") };
        assert_eq!(LogicalId::named(&launch, "p6-b300.48xlarge").as_str(), "LaunchP6B30048xlarge");
        assert_eq!(LogicalId::numbered(&launch, 12).as_str(), "Launch12");
    }
}

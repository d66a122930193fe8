//! Values of properties: known now, or known to CloudFormation when it deploys.

use std::marker::PhantomData;

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

/// A property's value of type `T`.
#[derive(Debug)]
pub struct Value<T>(Known<T>);

#[derive(Debug)]
enum Known<T> {
    Now(T),
    AtDeploy(Json),
}

impl<T> Value<T> {
    pub(super) fn deferred(json: Json) -> Self {
        Self(Known::AtDeploy(json))
    }

    /// Text around values, such as `arn:` + partition + `:s3:::` + bucket. Joined rather than substituted, so that
    /// no `${}` needs quoting.
    pub fn joined<const N: usize>(pieces: [Piece; N]) -> Self {
        Self::joined_all(pieces)
    }

    /// [`Value::joined`] of any number of pieces.
    pub fn joined_all(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let pieces: Vec<Json> = pieces.into_iter().map(|piece| piece.0).collect();
        Self::deferred(json!({ "Fn::Join": ["", pieces] }))
    }

    /// The text in base64, which is how an instance takes its user data.
    pub fn base64(text: &Value<String>) -> Self
    where
        T: Serialize,
    {
        Self::deferred(json!({ "Fn::Base64": text.json() }))
    }

    /// Part `index` of the text, cut at `separator`.
    pub fn part(&self, separator: &str, index: u32) -> Value<String>
    where
        T: Serialize,
    {
        Value::deferred(json!({ "Fn::Select": [index, { "Fn::Split": [separator, self.json()] }] }))
    }

    fn json(&self) -> Json
    where
        T: Serialize,
    {
        serde_json::to_value(self).unwrap_or_else(|error| panic!("template values are plain data: {error}"))
    }
}

impl<T: Clone> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Known::Now(value) => Known::Now(value.clone()),
            Known::AtDeploy(json) => Known::AtDeploy(json.clone()),
        })
    }
}

impl<T> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Self(Known::Now(value))
    }
}

impl From<&str> for Value<String> {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<T: Serialize> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Known::Now(value) => value.serialize(serializer),
            Known::AtDeploy(json) => json.serialize(serializer),
        }
    }
}

/// A piece of a joined text.
pub struct Piece(Json);

impl From<&str> for Piece {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Piece {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl<T: Serialize> From<&Value<T>> for Piece {
    fn from(value: &Value<T>) -> Self {
        Self(value.json())
    }
}

/// What `Fn::GetAtt` can return for the resource type `R`.
pub struct Attribute<R, T> {
    name: &'static str,
    types: PhantomData<(R, T)>,
}

impl<R, T> Attribute<R, T> {
    /// The attribute of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

/// What CloudFormation knows about the deployment itself.
pub mod pseudo {
    use super::{Json, Value, json};

    fn pseudo(name: &str) -> Json {
        json!({ "Ref": name })
    }

    /// `aws`, `aws-cn`, …
    pub fn partition() -> Value<String> {
        Value::deferred(pseudo("AWS::Partition"))
    }

    /// `us-east-1`, …
    pub fn region() -> Value<String> {
        Value::deferred(pseudo("AWS::Region"))
    }

    /// Twelve digits.
    pub fn account_id() -> Value<String> {
        Value::deferred(pseudo("AWS::AccountId"))
    }

    /// The stack's ARN, which ends in a UUID.
    pub fn stack_id() -> Value<String> {
        Value::deferred(pseudo("AWS::StackId"))
    }

    /// `amazonaws.com`, or the suffix of another partition.
    pub fn url_suffix() -> Value<String> {
        Value::deferred(pseudo("AWS::URLSuffix"))
    }
}

//! ARNs that a spec may name, taken apart once.

use serde::Serialize;

/// `arn:partition:service:region:account:resource`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Arn {
    text: String,
}

impl Arn {
    /// The ARN, when it has six parts and begins with `arn`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let arn = Self { text: text.to_owned() };
        (arn.part(0) == "arn" && text.splitn(6, ':').count() == 6 && !arn.resource().is_empty()).then_some(arn)
    }

    fn part(&self, index: usize) -> &str {
        self.text.splitn(6, ':').nth(index).unwrap_or_default()
    }

    /// Such as `aws`.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// Such as `ssm`.
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// Such as `us-east-1`; empty for global services.
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// Twelve digits; empty for what AWS itself owns.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// Everything after the account.
    pub fn resource(&self) -> &str {
        self.part(5)
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.text
    }
}

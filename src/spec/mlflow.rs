//! The `mlflow` section: who records the results.

use super::account::ARN;
use super::arn::Arn;
use super::checked::Place;
use super::region::Region;
use super::scalar::shown;
use super::shape::{Field, Kind, Presence, Shape, Text};
use crate::finding::Findings;

/// Who records the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mlflow {
    /// A tracking server of our own: billed by the hour, about 25 minutes to create.
    TrackingServer {
        /// Its exact name.
        name: String,
        /// `Small`, `Medium` or `Large`.
        size: ServerSize,
        /// The MLflow version; the service's newest when absent.
        version: Option<String>,
        /// Which conditions the role's trust policy has.
        trust: Trust,
    },
    /// An MLflow app of our own: serverless, about 5 minutes to create.
    App {
        /// Its exact name.
        name: String,
        /// Which conditions the role's trust policy has.
        trust: Trust,
    },
    /// One that exists; nothing is created or deleted.
    Existing {
        /// Whether it is a server or an app.
        kind: ExistingKind,
        /// Its ARN.
        arn: Arn,
    },
    /// Results stay in files and in the bucket.
    None,
}

/// What an existing tracking ARN names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingKind {
    /// `…:mlflow-tracking-server/NAME`
    TrackingServer,
    /// `…:mlflow-app/ID`
    App,
}

/// The sizes of a tracking server (`TrackingServerSize`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[allow(missing_docs, reason = "CloudFormation's own words")]
pub enum ServerSize {
    Small,
    Medium,
    Large,
}

/// Which conditions the trust policy of the MLflow role has. Nobody has yet shown on AWS that SageMaker sends
/// `aws:SourceArn` here, hence a switch with the cautious default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// `aws:SourceAccount` and `aws:SourceArn`.
    Full,
    /// `aws:SourceAccount` only.
    SourceAccount,
    /// No condition, as the AWS documentation has it.
    Unconditional,
}

const SERVER_NAME: Text = Text {
    pattern: "^[a-zA-Z0-9]([a-zA-Z0-9-]{0,254}[a-zA-Z0-9])?$",
    allowed: "1 to 256 letters, digits and hyphens, no hyphen at either end",
};

const TRUST: Field = Field {
    name: "trust",
    presence: Presence::Default("source-account"),
    shape: Shape::Choice(&["full", "source-account", "none"]),
    doc: "conditions of the role's trust policy; `full` adds aws:SourceArn",
};
const NAME: Field =
    Field { name: "name", presence: Presence::Required, shape: Shape::Text(SERVER_NAME), doc: "its exact name" };

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "tracking-server",
        doc: "a tracking server of our own: billed by the hour, about 25 minutes to create",
        fields: &[
            NAME,
            Field {
                name: "size",
                presence: Presence::Default("Small"),
                shape: Shape::Choice(&["Small", "Medium", "Large"]),
                doc: "Small serves up to 25 users",
            },
            Field {
                name: "version",
                presence: Presence::Optional,
                shape: Shape::Text(Text {
                    pattern: "^[0-9]+(\\.[0-9]+)+$",
                    allowed: "an MLflow version in quotes, such as \"3.0\"",
                }),
                doc: "the MLflow version; the service's newest when absent",
            },
            TRUST,
        ],
    },
    Kind {
        name: "app",
        doc: "an MLflow app of our own: serverless, about 5 minutes to create",
        fields: &[NAME, TRUST],
    },
    Kind {
        name: "existing",
        doc: "one that exists; nothing is created or deleted",
        fields: &[Field {
            name: "arn",
            presence: Presence::Required,
            shape: Shape::Text(ARN),
            doc: "the ARN of a tracking server or an app",
        }],
    },
    Kind { name: "none", doc: "results stay in files and in the bucket", fields: &[] },
];

impl Mlflow {
    /// Whether the stacks make it.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::TrackingServer { .. } | Self::App { .. })
    }

    pub(super) fn of(place: &Place<'_>, region: Option<&Region>, findings: &mut Findings) -> Option<Self> {
        let kind = place.field("kind").text()?;
        if let Some(region) = region {
            region_has(kind, place, region, findings);
        }
        let name = place.field("name").text().map(str::to_owned);
        match kind {
            "tracking-server" => Some(Self::TrackingServer {
                name: name?,
                size: match place.field("size").text()? {
                    "Large" => ServerSize::Large,
                    "Medium" => ServerSize::Medium,
                    _ => ServerSize::Small,
                },
                version: place.field("version").text().map(str::to_owned),
                trust: trust_of(place)?,
            }),
            "app" => Some(Self::App { name: name?, trust: trust_of(place)? }),
            "existing" => existing(&place.field("arn"), region?, findings),
            _ => Some(Self::None),
        }
    }
}

fn trust_of(place: &Place<'_>) -> Option<Trust> {
    Some(match place.field("trust").text()? {
        "full" => Trust::Full,
        "none" => Trust::Unconditional,
        _ => Trust::SourceAccount,
    })
}

fn region_has(kind: &str, place: &Place<'_>, region: &Region, findings: &mut Findings) {
    let Some(row) = region.row() else { return };
    let (has, what) = match kind {
        "tracking-server" => (row.tracking_server, "AWS::SageMaker::MlflowTrackingServer"),
        "app" => (row.mlflow_app, "AWS::SageMaker::MlflowApp"),
        _ => return,
    };
    if !has {
        let others: Vec<&str> = [("tracking-server", row.tracking_server), ("app", row.mlflow_app)]
            .into_iter()
            .filter_map(|(name, has)| has.then_some(name))
            .chain(["existing", "none"])
            .collect();
        let found = format!("`{kind}`; {} (partition {}) has no {what}", region.as_str(), region.partition());
        let allowed = format!(
            "one of {} in this region",
            others.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        );
        findings.push(place.field("kind").error("mlflow-kind-not-in-region", found, allowed, "choose one of them"));
    }
}

fn existing(place: &Place<'_>, region: &Region, findings: &mut Findings) -> Option<Mlflow> {
    let arn = Arn::parse(place.text()?)?;
    if arn.partition() != region.partition() {
        let allowed = format!("an ARN of the cluster's partition, `{}`", region.partition());
        let found = format!("an ARN of partition `{}`", arn.partition());
        findings.push(place.error(
            "mlflow-outside-partition",
            found,
            allowed,
            "name a server that the nodes' role can call",
        ));
    }
    let (kind, name) = arn.resource().split_once('/').unwrap_or((arn.resource(), ""));
    let exists = match kind {
        "mlflow-tracking-server" => Some(ExistingKind::TrackingServer),
        "mlflow-app" => Some(ExistingKind::App),
        _ => None,
    };
    let wrong: Vec<String> = [
        (arn.service() != "sagemaker", "service", arn.service()),
        (arn.region().is_empty(), "region", arn.region()),
        (!is_account(arn.account()), "account", arn.account()),
        (exists.is_none(), "kind", kind),
        (!is_name(name), "name", name),
    ]
    .into_iter()
    .filter(|(wrong, ..)| *wrong)
    .map(|(_, part, found)| if found.is_empty() { format!("no {part}") } else { format!("{part} `{}`", shown(found)) })
    .collect();
    if !wrong.is_empty() {
        let allowed = "`arn:aws:sagemaker:REGION:ACCOUNT:mlflow-tracking-server/NAME` or `…:mlflow-app/ID`";
        let action = "copy the ARN from the SageMaker console or from `aws sagemaker list-mlflow-tracking-servers`";
        findings.push(place.error("not-an-mlflow-arn", wrong.join(", "), allowed, action));
    }
    Some(Mlflow::Existing { kind: exists?, arn })
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

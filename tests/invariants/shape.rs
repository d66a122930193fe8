//! The template as a whole: everything leads somewhere, and nothing is larger than it must be.

use serde_json::{Value as Json, json};

use super::reading::{all, children, entries, interface, resource, texts, without};
use super::specs::Base::{Artifacts, Mlflow, Pair};
use super::{Plant, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "references-resolve",
        why: "a name that leads nowhere fails the stack before anything is made, with the tool to blame",
        broken: |template| {
            let known = |id: &str| {
                PSEUDO.contains(&id) || !template["Resources"][id].is_null() || !template["Parameters"][id].is_null()
            };
            let sections = all(template).chain(entries(&template["Outputs"]));
            let lost = |(id, json): (&str, &Json)| {
                let lost = references(json).into_iter().find(|name| !known(name))?;
                Some(format!("`{id}` refers to `{lost}`, which is not here"))
            };
            sections.filter_map(lost).collect()
        },
        plants: &[
            Plant::into(Pair, |template| {
                let groups = json!([{ "Fn::GetAtt": ["SecurityGroup", "GroupId"] }, { "Ref": "Elsewhere" }]);
                resource(template, "NodeProfile")["Properties"]["Path"] = json!({ "Fn::Join": ["/", groups] });
            }),
            Plant::into(Pair, |template| resource(template, "NodeProfile")["DependsOn"] = json!("Elsewhere")),
            Plant::into(Artifacts, |template| {
                template["Outputs"]["ArtifactBucketName"]["Value"] = json!({ "Fn::GetAtt": ["Elsewhere", "Arn"] });
            }),
        ],
    },
    Rule {
        name: "known-attributes",
        why: "an attribute that its type does not have fails the stack",
        broken: |template| {
            let sections = all(template).chain(entries(&template["Outputs"]));
            let unknown = |(id, json): (&str, &Json)| {
                let found = attributes(json).into_iter().find(|(of, name)| {
                    let kind = template["Resources"][of]["Type"].as_str().unwrap_or_default();
                    !kind.is_empty() && !ATTRIBUTES.contains(&(kind, name))
                })?;
                Some(format!("`{id}` asks `{}` for {}", found.0, found.1))
            };
            sections.filter_map(unknown).collect()
        },
        plants: &[Plant::into(Mlflow, |template| {
            template["Outputs"]["MlflowArn"]["Value"] = json!({ "Fn::GetAtt": ["TrackingServer", "Arn"] });
        })],
    },
    Rule {
        name: "known-functions",
        why: "a substitution would need its `${}` quoted in the script, and a macro a capability of its own",
        broken: |template| {
            let found = |(id, json): (&str, &Json)| {
                let unknown = functions(json).into_iter().find(|name| !FUNCTIONS.contains(name))?;
                Some(format!("`{id}` uses {unknown}"))
            };
            let transform = (!template["Transform"].is_null()).then(|| "`Transform` is set".to_owned());
            all(template).chain(entries(&template["Outputs"])).filter_map(found).chain(transform).collect()
        },
        plants: &[
            Plant::into(Mlflow, |template| {
                let store = json!({ "Fn::Sub": "s3://${MlflowBucketName}/mlflow" });
                resource(template, "TrackingServer")["Properties"]["ArtifactStoreUri"] = store;
            }),
            Plant::into(Pair, |template| {
                let group = json!({ "Fn::ImportValue": "other-group" });
                resource(template, "NodeProfile")["Properties"]["Path"] = group;
            }),
            Plant::into(Pair, |template| template["Transform"] = json!("AWS::LanguageExtensions")),
        ],
    },
    Rule {
        name: "no-exports",
        why: "an exported value cannot change while another stack imports it; values travel as parameters",
        broken: |template| {
            let exported = entries(&template["Outputs"]).filter(|(_, output)| !output["Export"].is_null());
            exported.map(|(id, _)| format!("`{id}` is exported")).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            template["Outputs"]["NodeRoleArn"]["Export"] = json!({ "Name": "node-role" });
        })],
    },
    Rule {
        name: "few-outputs",
        why: "a review reads them all",
        broken: |template| {
            let count = entries(&template["Outputs"]).count();
            (count > 12).then(|| format!("`Outputs` has {count}")).into_iter().collect()
        },
        plants: &[Plant::into(Pair, |template| {
            for number in 0..12 {
                template["Outputs"][format!("More{number}")] = json!({ "Value": "x" });
            }
        })],
    },
    Rule {
        name: "ten-resources-beside-the-nodes",
        why: "a spec may ask for 490 nodes because ten resources are no node, and a stack has 500",
        broken: |template| {
            let others = all(template).filter(|(_, resource)| resource["Type"] != "AWS::EC2::Instance");
            let count = others.count();
            (count > 10).then(|| format!("`Resources` has {count} that are no node")).into_iter().collect()
        },
        plants: &[Plant::into(Pair, |template| {
            for number in 0..10 {
                let profile = resource(template, "NodeProfile").clone();
                template["Resources"][format!("More{number}")] = profile;
            }
        })],
    },
    Rule {
        name: "known-resource-types",
        why: "a type that no rule knows is checked by no rule",
        broken: |template| {
            let known = |kind: &Json| TYPES.iter().any(|known| kind == known);
            let unknown = all(template).filter(|(_, resource)| !known(&resource["Type"]));
            unknown.map(|(id, resource)| format!("`{id}` is a {}", resource["Type"])).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            template["Resources"]["Bastion"] = json!({ "Type": "AWS::Lambda::Function", "Properties": {} });
        })],
    },
    Rule {
        name: "no-empty-tags",
        why: "SageMaker takes no tags or at least one",
        broken: |template| {
            let empty = all(template).filter(|(_, resource)| resource["Properties"]["Tags"] == json!([]));
            empty.map(|(id, _)| format!("`{id}` has an empty list of tags")).collect()
        },
        plants: &[Plant::into(Mlflow, |template| {
            resource(template, "TrackingServer")["Properties"]["Tags"] = json!([]);
        })],
    },
    Rule {
        name: "parameters-without-account-facts",
        why: "a committed template holds no build hash and no account fact; apply chooses and records them",
        broken: |template| {
            let given = entries(&template["Parameters"]).filter(|(_, parameter)| !parameter["Default"].is_null());
            given.map(|(id, _)| format!("`{id}` has a default")).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            template["Parameters"]["VpcId"]["Default"] = json!("vpc-0a1b2c3d4e5f60718");
        })],
    },
    Rule {
        name: "parameters-used",
        why: "a parameter that nothing uses asks a person for something without meaning",
        broken: |template| {
            let used: Vec<&str> = references(&template["Resources"]);
            let unused = entries(&template["Parameters"]).filter(|(id, _)| !used.contains(id));
            unused.map(|(id, _)| format!("`{id}` is used by nothing")).collect()
        },
        plants: &[Plant::into(Pair, |template| template["Parameters"]["KeyName"] = json!({ "Type": "String" }))],
    },
    Rule {
        name: "fits-a-template",
        why: "CloudFormation reads at most 1,000,000 bytes, from S3",
        broken: |template| {
            let bytes = template.to_string().len();
            (bytes > 1_000_000).then(|| format!("`Resources` makes {bytes} bytes")).into_iter().collect()
        },
        plants: &[Plant::into(Pair, |template| {
            interface(template, 0)["Description"] = json!("x".repeat(1_000_000));
        })],
    },
    Rule {
        name: "description-present",
        why: "the console shows it first; CloudFormation takes 1,024 bytes",
        broken: |template| {
            let length = template["Description"].as_str().unwrap_or_default().len();
            let wrong = !(1..=1024).contains(&length) || template["AWSTemplateFormatVersion"] != "2010-09-09";
            wrong.then(|| format!("`Description` has {length} bytes")).into_iter().collect()
        },
        plants: &[Plant::into(Artifacts, |template| without(template, "Description"))],
    },
];

const PSEUDO: [&str; 5] = ["AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::StackId", "AWS::URLSuffix"];

const FUNCTIONS: [&str; 5] = ["Fn::Base64", "Fn::GetAtt", "Fn::Join", "Fn::Select", "Fn::Split"];

const TYPES: [&str; 12] = [
    "AWS::EC2::Instance",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::PlacementGroup",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::Role",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SageMaker::MlflowApp",
    "AWS::SageMaker::MlflowTrackingServer",
];

/// Read-only properties by type (CloudFormation resource schemas of 2026-10-20).
const ATTRIBUTES: [(&str, &str); 8] = [
    ("AWS::EC2::LaunchTemplate", "LatestVersionNumber"),
    ("AWS::EC2::LaunchTemplate", "DefaultVersionNumber"),
    ("AWS::EC2::SecurityGroup", "GroupId"),
    ("AWS::IAM::InstanceProfile", "Arn"),
    ("AWS::IAM::Role", "Arn"),
    ("AWS::S3::Bucket", "Arn"),
    ("AWS::SageMaker::MlflowTrackingServer", "TrackingServerArn"),
    ("AWS::SageMaker::MlflowApp", "Arn"),
];

fn references(json: &Json) -> Vec<&str> {
    let here = json["Ref"].as_str().or_else(|| json["Fn::GetAtt"][0].as_str());
    let waits = texts(&json["DependsOn"]);
    here.into_iter().chain(waits).chain(children(json).into_iter().flat_map(references)).collect()
}

fn attributes(json: &Json) -> Vec<(&str, &str)> {
    let here = json["Fn::GetAtt"][0].as_str().zip(json["Fn::GetAtt"][1].as_str());
    here.into_iter().chain(children(json).into_iter().flat_map(attributes)).collect()
}

fn functions(json: &Json) -> Vec<&str> {
    let here = entries(json).map(|(key, _)| key).filter(|key| key.starts_with("Fn::"));
    here.chain(children(json).into_iter().flat_map(functions)).collect()
}

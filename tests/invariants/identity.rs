//! What roles may do: single actions on named things.

use serde_json::{Value as Json, json};

use super::reading::{entries, resource, resources, statement, statements, texts};
use super::specs::Base::{Artifacts, Mlflow, Pair};
use super::{Plant, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "exact-actions",
        why: "a wildcard grants what nobody reviewed, and what AWS adds later",
        broken: |template| {
            let broad = |action: &&str| !action.contains(':') || action.contains(['*', '?']);
            let allowed = statements(template).into_iter().filter(|of| of.allows());
            allowed
                .filter_map(|of| Some(format!("{} allows {}", of.name, of.actions().into_iter().find(broad)?)))
                .collect()
        },
        plants: &[
            Plant::into(Pair, |template| {
                statement(template, "NodeRole", "LogRuns")["Action"] = json!(["sagemaker-mlflow:*"]);
            }),
            Plant::into(Pair, |template| statement(template, "NodeRole", "MeetPeers")["Action"] = json!("s3:Get*")),
        ],
    },
    Rule {
        name: "allow-by-action-only",
        why: "NotAction, NotResource and NotPrincipal allow everything that somebody forgot to name",
        broken: |template| {
            let not = |json: &Json| entries(json).any(|(key, _)| key.starts_with("Not"));
            let found = statements(template).into_iter().filter(|of| not(of.json));
            found.map(|of| format!("{} is written by what it is not", of.name)).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            statement(template, "NodeRole", "SignalOwnStack")["NotResource"] = json!(["arn:aws:s3:::other"]);
        })],
    },
    Rule {
        name: "named-resources",
        why: "only Session Manager's five actions have no resource; they are bound to instances of the account instead",
        broken: |template| {
            let everything = |of: &super::reading::Statement<'_>| {
                let session = of.actions().iter().all(|action| SESSION.contains(action))
                    && !of.json["Condition"]["ArnLike"]["ec2:SourceInstanceARN"].is_null();
                of.allows() && texts(&of.json["Resource"]).contains(&"*") && !session
            };
            statements(template)
                .into_iter()
                .filter(everything)
                .map(|of| format!("{} is for everything", of.name))
                .collect()
        },
        plants: &[
            Plant::into(Pair, |template| statement(template, "NodeRole", "LogRuns")["Resource"] = json!(["*"])),
            Plant::into(Pair, |template| {
                statement(template, "NodeRole", "Session")["Action"] = json!(["ssm:GetParameter"]);
            }),
            Plant::into(Pair, |template| statement(template, "NodeRole", "Session")["Condition"] = json!({})),
        ],
    },
    Rule {
        name: "own-account-buckets",
        why: "a bucket's name can be taken by somebody else once ours is gone",
        broken: |template| {
            let elsewhere = |of: &super::reading::Statement<'_>| {
                let own = json!({ "Ref": "AWS::AccountId" });
                of.allows()
                    && of.actions().iter().any(|action| action.starts_with("s3:"))
                    && of.json["Condition"]["StringEquals"]["s3:ResourceAccount"] != own
            };
            let found = statements(template).into_iter().filter(elsewhere);
            found.map(|of| format!("{} reaches buckets of other accounts", of.name)).collect()
        },
        plants: &[
            Plant::into(Pair, |template| statement(template, "NodeRole", "ReadPrograms")["Condition"] = json!({})),
            Plant::into(Mlflow, |template| {
                statement(template, "MlflowRole", "KeepArtifacts")["Condition"] = json!({});
            }),
        ],
    },
    Rule {
        name: "prefixes-only",
        why: "a node writes below its own stack's prefixes, never over programs or another stack's results",
        broken: |template| {
            let whole = |of: &super::reading::Statement<'_>| {
                let put = of.actions().contains(&"s3:PutObject");
                let resources = super::reading::items(&of.json["Resource"]);
                let mut texts = resources.map(Json::to_string);
                put && texts.any(|text| {
                    text.contains("BucketName\"},\"/*\"") || PRECIOUS.iter().any(|prefix| text.contains(prefix))
                })
            };
            let found = statements(template).into_iter().filter(|of| of.allows()).filter(whole);
            found.map(|of| format!("{} writes where programs are", of.name)).collect()
        },
        plants: &[
            Plant::into(Pair, |template| {
                let everywhere = json!({ "Fn::Join": ["", ["arn:aws:s3:::", { "Ref": "ArtifactBucketName" }, "/*"]] });
                statement(template, "NodeRole", "BringResults")["Resource"] = json!([everywhere]);
            }),
            Plant::into(Pair, |template| {
                let actions = json!(["s3:GetObject", "s3:PutObject"]);
                statement(template, "NodeRole", "ReadPrograms")["Action"] = actions;
            }),
        ],
    },
    Rule {
        name: "no-managed-policies",
        why: "AWS changes its managed policies, and they allow far more than a node does",
        broken: |template| {
            let roles = resources(template, "AWS::IAM::Role");
            let managed = roles.filter(|(_, role)| !role["Properties"]["ManagedPolicyArns"].is_null());
            managed.map(|(id, _)| format!("`{id}` has managed policies")).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            let arn = json!(["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]);
            resource(template, "NodeRole")["Properties"]["ManagedPolicyArns"] = arn;
        })],
    },
    Rule {
        name: "one-trusted-service",
        why: "a role is taken by one service of AWS, never by an account or by everybody",
        broken: |template| {
            let trusting = |(id, role): (&str, &Json)| {
                let statements = &role["Properties"]["AssumeRolePolicyDocument"]["Statement"];
                let service = |of: &Json| {
                    of["Action"] == json!(["sts:AssumeRole"])
                        && entries(&of["Principal"]).map(|(key, _)| key).eq(["Service"])
                        && of["Principal"]["Service"].as_array().is_none()
                };
                let one = statements.as_array().is_some_and(|all| all.len() == 1 && service(&all[0]));
                (!one).then(|| format!("`{id}` trusts {statements}"))
            };
            resources(template, "AWS::IAM::Role").filter_map(trusting).collect()
        },
        plants: &[
            Plant::into(Pair, |template| trust(template, "NodeRole")["Principal"] = json!({ "AWS": "*" })),
            Plant::into(Mlflow, |template| {
                let services = json!({ "Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"] });
                trust(template, "MlflowRole")["Principal"] = services;
            }),
        ],
    },
    Rule {
        name: "nobody-from-outside",
        why: "a bucket's policy that allows needs a reader to know who is meant; ours only denies",
        broken: |template| {
            let policies = resources(template, "AWS::S3::BucketPolicy").map(|(id, _)| format!("`{id}` "));
            let ids: Vec<String> = policies.collect();
            let allowing = statements(template).into_iter().filter(|of| of.allows());
            let found = allowing.filter(|of| ids.iter().any(|id| of.name.starts_with(id)));
            found.map(|of| format!("{} lets somebody in", of.name)).collect()
        },
        plants: &[Plant::into(Artifacts, |template| {
            let policy = &mut resource(template, "ArtifactBucketPolicy")["Properties"]["PolicyDocument"]["Statement"];
            policy.as_array_mut().unwrap().push(json!({
                "Sid": "Friends",
                "Effect": "Allow",
                "Principal": { "AWS": "111122223333" },
                "Action": ["s3:ListBucketVersions"],
                "Resource": [{ "Fn::GetAtt": ["ArtifactBucket", "Arn"] }],
                "Condition": { "StringEquals": { "s3:ResourceAccount": { "Ref": "AWS::AccountId" } } },
            }));
        })],
    },
    Rule {
        name: "no-fixed-names",
        why: "a fixed name blocks replacement, needs CAPABILITY_NAMED_IAM and fails the second stack of its kind",
        broken: |template| {
            let names = ["RoleName", "GroupName", "LaunchTemplateName", "BucketName", "InstanceProfileName"];
            let named = |(id, resource): (&str, &Json)| {
                let name = names.iter().find(|name| !resource["Properties"][**name].is_null())?;
                Some(format!("`{id}` has a fixed {name}"))
            };
            super::reading::all(template).filter_map(named).collect()
        },
        plants: &[
            Plant::into(Pair, |template| resource(template, "NodeRole")["Properties"]["RoleName"] = json!("node")),
            Plant::into(Pair, |template| {
                resource(template, "SecurityGroup")["Properties"]["GroupName"] = json!("node");
            }),
            Plant::into(Pair, |template| {
                resource(template, "LaunchG6e12xlarge")["Properties"]["LaunchTemplateName"] = json!("node");
            }),
            Plant::into(Artifacts, |template| {
                resource(template, "ArtifactBucket")["Properties"]["BucketName"] = json!("artifacts");
            }),
        ],
    },
];

const SESSION: [&str; 5] = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
];

const PRECIOUS: [&str; 3] = ["/bootstrap/", "/tasks/", "/config/"];

fn trust<'j>(template: &'j mut Json, role: &str) -> &'j mut Json {
    &mut resource(template, role)["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]
}

//! Buckets: closed, encrypted, and keeping what nodes need.

use serde_json::{Value as Json, json};

use super::reading::{items, resource, resources, texts, without};
use super::specs::Base::Artifacts;
use super::{Plant, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "never-public",
        why: "all four switches together close a bucket; each alone leaves a way",
        broken: |template| {
            const SWITCHES: [&str; 4] =
                ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
            each(template, |_, bucket| {
                let block = &bucket["PublicAccessBlockConfiguration"];
                let open = SWITCHES.iter().find(|switch| block[**switch] != true)?;
                Some(format!("does not set {open}"))
            })
        },
        plants: &[
            Plant::into(Artifacts, |template| {
                let block = &mut properties(template)["PublicAccessBlockConfiguration"];
                block["RestrictPublicBuckets"] = json!(false);
            }),
            Plant::into(Artifacts, |template| without(properties(template), "PublicAccessBlockConfiguration")),
        ],
    },
    Rule {
        name: "owner-enforced",
        why: "access lists are a second, forgotten way into a bucket",
        broken: |template| {
            each(template, |_, bucket| {
                let rules = &bucket["OwnershipControls"]["Rules"];
                let enforced = *rules == json!([{ "ObjectOwnership": "BucketOwnerEnforced" }]);
                (!enforced).then(|| "takes access lists".to_owned())
            })
        },
        plants: &[Plant::into(Artifacts, |template| {
            properties(template)["OwnershipControls"]["Rules"][0]["ObjectOwnership"] = json!("ObjectWriter");
        })],
    },
    Rule {
        name: "buckets-encrypted",
        why: "results hold prompts' sizes and programs run as root; stated, an auditor need not know the default",
        broken: |template| {
            each(template, |_, bucket| {
                let rules = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"];
                let algorithm = &rules[0]["ServerSideEncryptionByDefault"]["SSEAlgorithm"];
                let known = ["AES256", "aws:kms"].iter().any(|known| algorithm == known);
                (!known).then(|| "states no encryption".to_owned())
            })
        },
        plants: &[Plant::into(Artifacts, |template| without(properties(template), "BucketEncryption"))],
    },
    Rule {
        name: "tls-only",
        why: "programs that run as root come from here; checkers compare the condition with a JSON false",
        broken: tls_only,
        plants: &[
            Plant::into(Artifacts, |template| without(&mut template["Resources"], "ArtifactBucketPolicy")),
            Plant::into(Artifacts, |template| {
                deny(template)["Condition"]["Bool"]["aws:SecureTransport"] = json!("false");
            }),
            Plant::into(Artifacts, |template| {
                deny(template)["Resource"].as_array_mut().unwrap().pop();
            }),
        ],
    },
    Rule {
        name: "nothing-precious-expires",
        why: "an expired program, task, configuration or result is a node that cannot boot or a measurement that is gone",
        broken: |template| {
            each(template, |_, bucket| {
                let rules = items(&bucket["LifecycleConfiguration"]["Rules"]);
                let mut expiring = rules.filter(|rule| {
                    let stated = ["ExpirationInDays", "ExpirationDate", "Transitions", "Transition"];
                    stated.iter().any(|key| !rule[*key].is_null())
                });
                let harmful = expiring.find(|rule| {
                    let prefix = rule["Prefix"].as_str().unwrap_or_default();
                    PRECIOUS.iter().any(|kept| kept.starts_with(prefix) || prefix.starts_with(kept))
                })?;
                Some(format!("expires what is needed: {harmful}"))
            })
        },
        plants: &[
            Plant::into(Artifacts, |template| rules(template).push(expire(""))),
            // `boot` without its slash is `bootstrap/` too.
            Plant::into(Artifacts, |template| rules(template).push(expire("boot"))),
            Plant::into(Artifacts, |template| rules(template).push(expire("config/"))),
            Plant::into(Artifacts, |template| {
                rules(template).push(json!({ "Id": "All", "Status": "Enabled", "ExpirationInDays": 1 }));
            }),
        ],
    },
    Rule {
        name: "broken-uploads-end",
        why: "parts of an upload that never ended are billed and shown nowhere",
        broken: |template| {
            each(template, |_, bucket| {
                let mut rules = items(&bucket["LifecycleConfiguration"]["Rules"]);
                let ends = rules.any(|rule| !rule["AbortIncompleteMultipartUpload"].is_null());
                (!ends).then(|| "keeps broken uploads".to_owned())
            })
        },
        plants: &[Plant::into(Artifacts, |template| {
            rules(template).retain(|rule| rule["AbortIncompleteMultipartUpload"].is_null());
        })],
    },
    Rule {
        name: "record-versioned",
        why: "an artifact that is overwritten by mistake can be had back",
        broken: |template| {
            record(template, |bucket| {
                let versioned = bucket["Properties"]["VersioningConfiguration"]["Status"] == "Enabled";
                (!versioned).then_some("is not versioned")
            })
        },
        plants: &[Plant::into(Artifacts, |template| {
            without(&mut resource(template, "MlflowBucket")["Properties"], "VersioningConfiguration");
        })],
    },
    Rule {
        name: "record-retained",
        why: "the record of experiments outlives the stack that made it",
        broken: |template| {
            record(template, |bucket| {
                let deletion = ["Retain", "RetainExceptOnCreate"].iter().any(|kept| bucket["DeletionPolicy"] == *kept);
                let kept = deletion && bucket["UpdateReplacePolicy"] == "Retain";
                (!kept).then_some("goes with its stack")
            })
        },
        plants: &[
            Plant::into(Artifacts, |template| {
                resource(template, "MlflowBucket")["DeletionPolicy"] = json!("Delete");
            }),
            Plant::into(Artifacts, |template| without(resource(template, "MlflowBucket"), "UpdateReplacePolicy")),
        ],
    },
];

const PRECIOUS: [&str; 6] = ["bootstrap/", "tasks/", "config/", "results/", "roster/", "mlflow/"];

/// What is wrong with single buckets.
fn each(template: &Json, wrong: impl Fn(&str, &Json) -> Option<String>) -> Vec<String> {
    let buckets = resources(template, "AWS::S3::Bucket");
    buckets.filter_map(|(id, bucket)| Some(format!("`{id}` {}", wrong(id, &bucket["Properties"])?))).collect()
}

/// What is wrong with the bucket of MLflow artifacts.
fn record(template: &Json, wrong: impl Fn(&Json) -> Option<&'static str>) -> Vec<String> {
    let buckets = resources(template, "AWS::S3::Bucket").filter(|(id, _)| *id == "MlflowBucket");
    buckets.filter_map(|(id, bucket)| Some(format!("`{id}` {}", wrong(bucket)?))).collect()
}

fn tls_only(template: &Json) -> Vec<String> {
    let denied = |id: &str| {
        let arn = json!({ "Fn::GetAtt": [id, "Arn"] });
        let everything = json!([arn, { "Fn::Join": ["", [arn, "/*"]] }]);
        let policies = resources(template, "AWS::S3::BucketPolicy").map(|(_, policy)| &policy["Properties"]);
        let own = policies.filter(|policy| policy["Bucket"] == json!({ "Ref": id }));
        own.flat_map(|policy| items(&policy["PolicyDocument"]["Statement"])).any(|of| {
            of["Effect"] == "Deny"
                && of["Principal"] == json!({ "AWS": "*" })
                && texts(&of["Action"]) == ["s3:*"]
                && of["Resource"] == everything
                && of["Condition"] == json!({ "Bool": { "aws:SecureTransport": false } })
        })
    };
    each(template, |id, _| (!denied(id)).then(|| "can be reached without TLS".to_owned()))
}

fn properties(template: &mut Json) -> &mut Json {
    &mut resource(template, "ArtifactBucket")["Properties"]
}

fn rules(template: &mut Json) -> &mut Vec<Json> {
    properties(template)["LifecycleConfiguration"]["Rules"].as_array_mut().unwrap()
}

fn expire(prefix: &str) -> Json {
    json!({ "Id": "Old", "Status": "Enabled", "Prefix": prefix, "ExpirationInDays": 30 })
}

fn deny(template: &mut Json) -> &mut Json {
    &mut resource(template, "ArtifactBucketPolicy")["Properties"]["PolicyDocument"]["Statement"][0]
}

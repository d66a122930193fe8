//! What every node is launched with.

use std::cell::RefCell;
use std::collections::BTreeSet;

use prefab::user_data::{LIMIT_BYTES, SEED_FIELDS, Source};
use serde_json::{Value as Json, json};

use super::reading::{all, children, entries, items, launch, launches, resource, without};
use super::specs::Base::{Artifacts, P5, Pair};
use super::{Plant, Rule};

pub const RULES: &[Rule] = &[
    Rule {
        name: "imdsv2-required",
        why: "version 1 of the metadata service hands a node's credentials to whoever can make it fetch a URL",
        broken: |template| option(template, "HttpTokens", &json!("required")),
        plants: &[
            Plant::into(Pair, |template| launch(template)["MetadataOptions"]["HttpTokens"] = json!("optional")),
            Plant::into(Pair, |template| without(&mut launch(template)["MetadataOptions"], "HttpTokens")),
        ],
    },
    Rule {
        name: "imds-enabled",
        why: "a node learns from the metadata service who it is",
        broken: |template| option(template, "HttpEndpoint", &json!("enabled")),
        plants: &[Plant::into(Pair, |template| {
            launch(template)["MetadataOptions"]["HttpEndpoint"] = json!("disabled");
        })],
    },
    Rule {
        name: "hop-limit-1",
        why: "with two hops a container gets the node's credentials",
        broken: |template| option(template, "HttpPutResponseHopLimit", &json!(1)),
        plants: &[Plant::into(Pair, |template| {
            launch(template)["MetadataOptions"]["HttpPutResponseHopLimit"] = json!(2);
        })],
    },
    Rule {
        name: "tags-in-metadata",
        why: "a node learns its name and its configuration from its own tags",
        broken: |template| option(template, "InstanceMetadataTags", &json!("enabled")),
        plants: &[Plant::into(Pair, |template| {
            without(&mut launch(template)["MetadataOptions"], "InstanceMetadataTags");
        })],
    },
    Rule {
        name: "volumes-encrypted",
        why: "weights and prompts reach the disk",
        broken: |template| volume(template, "Encrypted", &json!(true)),
        plants: &[Plant::into(Pair, |template| ebs(template)["Encrypted"] = json!(false))],
    },
    Rule {
        name: "volumes-gp3",
        why: "the volume's rate is stated apart from its size, so that loading a model does not depend on the size",
        broken: |template| volume(template, "VolumeType", &json!("gp3")),
        plants: &[Plant::into(Pair, |template| ebs(template)["VolumeType"] = json!("gp2"))],
    },
    Rule {
        name: "volumes-go-with-their-instance",
        why: "a volume that stays behind is billed and forgotten",
        broken: |template| volume(template, "DeleteOnTermination", &json!(true)),
        plants: &[Plant::into(Pair, |template| without(ebs(template), "DeleteOnTermination"))],
    },
    Rule {
        name: "root-device-of-the-image",
        why: "a name that is not the image's root adds a second disk and leaves the root small (ParallelCluster 3.6.1)",
        broken: |template| {
            data(template, |data| {
                let devices: Vec<&Json> = items(&data["BlockDeviceMappings"]).map(|of| &of["DeviceName"]).collect();
                (devices != [&json!({ "Ref": "RootDeviceName" })]).then(|| "does not map the image's root".to_owned())
            })
        },
        plants: &[
            Plant::into(Pair, |template| {
                launch(template)["BlockDeviceMappings"][0]["DeviceName"] = json!("/dev/sda1");
                without(&mut template["Parameters"], "RootDeviceName");
            }),
            Plant::into(Pair, |template| {
                without(launch(template), "BlockDeviceMappings");
                without(&mut template["Parameters"], "RootDeviceName");
            }),
        ],
    },
    Rule {
        name: "ebs-optimized",
        why: "without it traffic to volumes shares the network with the transfers that are measured",
        broken: |template| {
            data(template, |data| (data["EbsOptimized"] != true).then(|| "is not EBS-optimized".to_owned()))
        },
        plants: &[Plant::into(Pair, |template| without(launch(template), "EbsOptimized"))],
    },
    Rule {
        name: "image-from-a-parameter",
        why: "an image that moves by itself replaces every node at the next update",
        broken: |template| {
            data(template, |data| {
                let fixed = data["ImageId"] == json!({ "Ref": "ImageId" })
                    && template["Parameters"]["ImageId"]["Type"] == "AWS::EC2::Image::Id";
                (!fixed).then(|| "takes its image from elsewhere than the parameter".to_owned())
            })
        },
        plants: &[
            Plant::into(Pair, |template| {
                launch(template)["ImageId"] = json!("ami-0a1b2c3d4e5f60718");
                without(&mut template["Parameters"], "ImageId");
            }),
            Plant::into(Pair, |template| {
                template["Parameters"]["ImageId"]["Type"] = json!("AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>");
            }),
        ],
    },
    Rule {
        name: "network-in-interfaces-only",
        why: "EC2 refuses groups or a subnet beside interfaces in the same request (aws-k8s-tester#588)",
        broken: |template| {
            data(template, |data| {
                let beside = ["SecurityGroupIds", "SecurityGroups", "SubnetId"];
                let found = beside.iter().find(|key| !data[**key].is_null())?;
                Some(format!("has {found} beside NetworkInterfaces"))
            })
        },
        plants: &[
            Plant::into(Pair, |template| launch(template)["SecurityGroupIds"] = json!([{ "Ref": "SecurityGroup" }])),
            Plant::into(P5, |template| launch(template)["SubnetId"] = json!({ "Ref": "SubnetId" })),
        ],
    },
    Rule {
        name: "one-launch-template-a-type",
        why: "one for each node makes 64 nodes of p5 782 KB instead of 53 KB",
        broken: |template| {
            let mut types = BTreeSet::new();
            let again = launches(template).filter(|(_, data)| !types.insert(data["InstanceType"].to_string()));
            again.map(|(id, _)| format!("`{id}` is a second launch template of its type")).collect()
        },
        plants: &[Plant::into(Pair, |template| {
            let again = resource(template, "LaunchG6e12xlarge").clone();
            template["Resources"]["LaunchAgain"] = again;
        })],
    },
    Rule {
        name: "no-user-tags-in-launch-template",
        why: "a changed tag there is a new version, and a new version replaces every node",
        broken: |template| {
            data(template, |data| {
                let specifications = &data["TagSpecifications"];
                let stack = json!({ "Fn::Select": [1, { "Fn::Split": ["/", { "Ref": "AWS::StackId" }] }] });
                let tags = json!([{ "Key": "prefab:stack", "Value": stack }]);
                let constant = items(specifications).all(|of| of["Tags"] == tags);
                (!constant).then(|| format!("tags what it launches with {specifications}"))
            })
        },
        plants: &[Plant::into(Pair, |template| {
            let tags = launch(template)["TagSpecifications"][0]["Tags"].as_array_mut().unwrap();
            tags.push(json!({ "Key": "owner", "Value": "ml-infra" }));
        })],
    },
    Rule {
        name: "user-data-fits",
        why: "EC2 takes 16,384 bytes, counted after CloudFormation has put in its values",
        broken: |template| {
            data(template, |data| match largest(template, &data["UserData"]["Fn::Base64"]) {
                Ok(bytes) if bytes <= LIMIT_BYTES => None,
                Ok(bytes) => Some(format!("has {bytes} bytes of user data")),
                Err(why) => Some(format!("has user data without a bound: {why}")),
            })
        },
        plants: &[
            Plant::into(Pair, |template| script(template).push(json!("#".repeat(4_000)))),
            Plant::into(Pair, |template| script(template).push(json!({ "Ref": "MlflowArn" }))),
            Plant::into(Pair, |template| {
                without(launch(template), "UserData");
                without(&mut template["Parameters"], "BootstrapSha256");
            }),
        ],
    },
    Rule {
        name: "no-secret-literal",
        why: "templates and user data can be read by everybody who may describe an instance",
        broken: |template| {
            let secret = |(id, resource)| secrets(resource).then(|| format!("`{id}` holds a secret"));
            all(template).filter_map(secret).collect()
        },
        plants: &[
            // Not real ones; put together here so that no scanner takes them for such.
            Plant::into(Pair, |template| script(template).push(json!(["HF_TOKEN=hf", &"aZ3k".repeat(9)].join("_")))),
            Plant::into(Artifacts, |template| {
                let key = ["AKIA", "IOSFODNN7", "ABCDEFG"].concat();
                resource(template, "ArtifactBucket")["Properties"]["Tags"][0]["Value"] = json!(key);
            }),
        ],
    },
];

/// What is wrong with single launch templates.
fn data(template: &Json, wrong: impl Fn(&Json) -> Option<String>) -> Vec<String> {
    launches(template).filter_map(|(id, data)| Some(format!("`{id}` {}", wrong(data)?))).collect()
}

fn option(template: &Json, key: &str, expected: &Json) -> Vec<String> {
    data(template, |data| {
        let found = &data["MetadataOptions"][key];
        (found != expected).then(|| format!("has MetadataOptions.{key} {found} instead of {expected}"))
    })
}

fn volume(template: &Json, key: &str, expected: &Json) -> Vec<String> {
    data(template, |data| {
        let mut other = items(&data["BlockDeviceMappings"]).filter(|mapping| &mapping["Ebs"][key] != expected);
        other.next().map(|mapping| format!("has a volume with {key} {} instead of {expected}", mapping["Ebs"][key]))
    })
}

fn ebs(template: &mut Json) -> &mut Json {
    &mut launch(template)["BlockDeviceMappings"][0]["Ebs"]
}

fn script(template: &mut Json) -> &mut Vec<Json> {
    launch(template)["UserData"]["Fn::Base64"]["Fn::Join"][1].as_array_mut().unwrap()
}

/// The largest number of bytes that a text can have after substitution. A parameter is bounded by its pattern, which must
/// be one of the script's own table.
fn largest(template: &Json, text: &Json) -> Result<usize, String> {
    if let Some(known) = text.as_str() {
        return Ok(known.len());
    }
    if let Some(pieces) = text["Fn::Join"][1].as_array().filter(|_| text["Fn::Join"][0] == "") {
        return pieces.iter().map(|piece| largest(template, piece)).sum();
    }
    let name = text["Ref"].as_str().ok_or_else(|| text.to_string())?;
    let pattern = template["Parameters"][name]["AllowedPattern"].as_str();
    let field = SEED_FIELDS.iter().find(|field| match field.source {
        Source::Pseudo(pseudo) => pseudo == name,
        Source::Parameter => Some(field.pattern) == pattern,
    });
    field.map(|field| field.max_length).ok_or_else(|| format!("nothing bounds {name}"))
}

fn secrets(json: &Json) -> bool {
    let here = json.as_str().is_some_and(is_secret);
    here || entries(json).any(|(key, _)| is_secret(key)) || children(json).into_iter().any(secrets)
}

/// The script is the same in every template, and long: it is looked through once.
fn is_secret(text: &str) -> bool {
    const LONG: usize = 1_000;
    thread_local! { static CLEAN: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) } }
    if CLEAN.with_borrow(|clean| clean.contains(text)) {
        return false;
    }
    let secret = !prefab::secret_literals::find(text).is_empty();
    if !secret && text.len() > LONG {
        CLEAN.with_borrow_mut(|clean| clean.insert(text.to_owned()));
    }
    secret
}

//! Reads templates as rules need them, and makes mistakes in them.

use serde_json::Value as Json;

/// The resources of a type, with their ids.
pub fn resources<'j>(template: &'j Json, of_type: &'static str) -> impl Iterator<Item = (&'j str, &'j Json)> {
    all(template).filter(move |(_, resource)| resource["Type"] == of_type)
}

/// All resources.
pub fn all(template: &Json) -> impl Iterator<Item = (&str, &Json)> {
    entries(&template["Resources"])
}

pub fn entries(json: &Json) -> impl Iterator<Item = (&str, &Json)> {
    json.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

pub fn items(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

/// The launch templates' data, with their ids.
pub fn launches(template: &Json) -> impl Iterator<Item = (&str, &Json)> {
    let of_type = resources(template, "AWS::EC2::LaunchTemplate");
    of_type.map(|(id, resource)| (id, &resource["Properties"]["LaunchTemplateData"]))
}

/// An interface of a launch template.
pub struct Interface<'j> {
    pub json: &'j Json,
    pub name: String,
}

impl<'j> Interface<'j> {
    /// The stated card.
    pub fn card(&self) -> Option<u64> {
        self.json["NetworkCardIndex"].as_u64()
    }

    pub fn device(&self) -> Option<u64> {
        self.json["DeviceIndex"].as_u64()
    }

    pub fn kind(&self) -> &'j str {
        self.json["InterfaceType"].as_str().unwrap_or_default()
    }

    /// EC2 takes an interface without a card as one of card 0.
    pub fn is_primary(&self) -> bool {
        self.card().unwrap_or(0) == 0 && self.device() == Some(0)
    }

    /// `efaonly` and the like are meant as EFA; another rule refuses the word.
    pub fn carries_efa(&self) -> bool {
        self.kind().starts_with("efa")
    }
}

/// The interfaces of each launch template.
pub fn interfaces(template: &Json) -> Vec<(&str, &Json, Vec<Interface<'_>>)> {
    let of_launch = |(id, data): (&'_ str, &'_ Json)| -> Vec<String> {
        items(&data["NetworkInterfaces"]).enumerate().map(|(index, _)| format!("`{id}` interface {index}")).collect()
    };
    launches(template)
        .map(|(id, data)| {
            let names = of_launch((id, data));
            let read = items(&data["NetworkInterfaces"]).zip(names).map(|(json, name)| Interface { json, name });
            (id, data, read.collect())
        })
        .collect()
}

/// A statement of a policy.
pub struct Statement<'j> {
    pub json: &'j Json,
    pub name: String,
}

impl Statement<'_> {
    pub fn allows(&self) -> bool {
        self.json["Effect"] == "Allow"
    }

    pub fn actions(&self) -> Vec<&str> {
        texts(&self.json["Action"])
    }
}

/// A text, or the texts of a list.
pub fn texts(json: &Json) -> Vec<&str> {
    json.as_str().into_iter().chain(items(json).filter_map(Json::as_str)).collect()
}

/// Every statement of every policy, trust policies too, wherever it stands.
pub fn statements(template: &Json) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    for (id, resource) in all(template) {
        collect(resource, id, &mut found);
    }
    found
}

fn collect<'j>(json: &'j Json, id: &str, found: &mut Vec<Statement<'j>>) {
    if let Json::Object(map) = json {
        let statements = map.get("Statement").into_iter().flat_map(items);
        found.extend(statements.map(|json| Statement { json, name: format!("`{id}` statement {}", json["Sid"]) }));
    }
    for child in children(json) {
        collect(child, id, found);
    }
}

pub fn children(json: &Json) -> Vec<&Json> {
    match json {
        Json::Object(map) => map.values().collect(),
        Json::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// `Ref` of a group and its `GroupId` are the same group.
pub fn group_of(value: &Json) -> String {
    value["Fn::GetAtt"][0].as_str().or_else(|| value["Ref"].as_str()).map_or_else(|| value.to_string(), str::to_owned)
}

/// The data of the first launch template, to make a mistake in.
pub fn launch(template: &mut Json) -> &mut Json {
    let resources = template["Resources"].as_object_mut().unwrap();
    let launch = resources.values_mut().find(|resource| resource["Type"] == "AWS::EC2::LaunchTemplate");
    &mut launch.expect("a cluster has a launch template")["Properties"]["LaunchTemplateData"]
}

/// An interface of the first launch template, to make a mistake in.
pub fn interface(template: &mut Json, index: usize) -> &mut Json {
    &mut launch(template)["NetworkInterfaces"][index]
}

/// A resource, to make a mistake in.
pub fn resource<'j>(template: &'j mut Json, id: &str) -> &'j mut Json {
    let resource = &mut template["Resources"][id];
    assert!(resource.is_object(), "no resource `{id}`");
    resource
}

/// A statement of a role's first policy, to make a mistake in.
pub fn statement<'j>(template: &'j mut Json, role: &str, sid: &str) -> &'j mut Json {
    let policy = &mut resource(template, role)["Properties"]["Policies"][0]["PolicyDocument"];
    let statements = policy["Statement"].as_array_mut().unwrap();
    statements.iter_mut().find(|statement| statement["Sid"] == sid).unwrap_or_else(|| panic!("no statement {sid}"))
}

/// A tag of a resource, to make a mistake in.
pub fn tag<'j>(template: &'j mut Json, id: &str, key: &str) -> &'j mut Json {
    let tags = resource(template, id)["Properties"]["Tags"].as_array_mut().unwrap();
    tags.iter_mut().find(|tag| tag["Key"] == key).unwrap_or_else(|| panic!("no tag {key}"))
}

/// Removes a key.
pub fn without(json: &mut Json, key: &str) {
    json.as_object_mut().unwrap().remove(key).unwrap_or_else(|| panic!("no {key}"));
}

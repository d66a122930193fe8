//! Which nodes a person means.

use super::status::NodeStatus;

/// The nodes that these words name: a node (`Prefill0`, `prefill-0`), an instance, a role, or `all`. Each comes once, in
/// the order of the cluster.
///
/// # Errors
/// Every word that names nothing, and every named node that does not run.
pub fn named(nodes: &[NodeStatus], words: &[String]) -> Result<Vec<NodeStatus>, Vec<String>> {
    let mut findings = Vec::new();
    for word in words.iter().filter(|word| !nodes.iter().any(|node| is_named(node, word))) {
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let known =
            if names.is_empty() { "there is none yet; `prefab apply` makes them".to_owned() } else { names.join(", ") };
        findings.push(format!("found no node `{word}`, expected one of: {known}; or a role, or `all`"));
    }
    let chosen: Vec<NodeStatus> =
        nodes.iter().filter(|node| words.iter().any(|word| is_named(node, word))).cloned().collect();
    for node in chosen.iter().filter(|node| node.state != "running") {
        let NodeStatus { name, instance_id, state, .. } = node;
        findings.push(format!(
            "found {name} ({instance_id}) in the state {state}, expected it running; `prefab status` shows why it is not"
        ));
    }
    if findings.is_empty() { Ok(chosen) } else { Err(findings) }
}

fn is_named(node: &NodeStatus, word: &str) -> bool {
    let plain = word.to_lowercase().replace('-', "");
    let name = node.name.to_lowercase();
    let role = name.trim_end_matches(|character: char| character.is_ascii_digit());
    plain == name || plain == role || plain == "all" || word == node.instance_id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, state: &str) -> NodeStatus {
        NodeStatus {
            name: name.to_owned(),
            instance_id: format!("i-{name}"),
            state: state.to_owned(),
            ..NodeStatus::default()
        }
    }

    #[test]
    fn nodes_are_named_by_name_role_and_instance_and_come_once_in_order() {
        let nodes = ["Prefill0", "Prefill1", "Decode0", "Decode10"].map(|name| node(name, "running"));
        let named = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let found = named(&nodes, &words).unwrap();
            found.into_iter().map(|node| node.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(named(&["decode-10", "prefill"]), "Prefill0 Prefill1 Decode10");
        assert_eq!(named(&["Decode0", "DECODE-0", "i-Decode0"]), "Decode0");
        assert_eq!(named(&["all"]), "Prefill0 Prefill1 Decode0 Decode10");
    }

    #[test]
    fn every_wrong_word_and_every_node_that_does_not_run_is_told_at_once() {
        let nodes = [node("Prefill0", "running"), node("Decode0", "stopped")];
        let words = ["prefil-0", "decode", "i-1"].map(str::to_owned);
        let findings = named(&nodes, &words).unwrap_err();
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(findings[2].contains("Decode0 (i-Decode0) in the state stopped"), "{findings:?}");
    }
}

//! Which network NCCL took, by its own log (NCCL_DEBUG=INFO).

use super::efa_devices;
use super::environment;
use super::logs;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::Host;

/// What the lines of a log prove.
#[derive(Debug, Default, PartialEq, Eq)]
struct Network {
    /// `Using network X`, the last one.
    network: Option<String>,
    /// `Selected Provider is X`, as the OFI plugin says it; each rank may say another.
    providers: Vec<String>,
    /// The line in which the plugin could not be loaded.
    no_plugin: Option<String>,
}

impl Network {
    fn parse(text: &str) -> Self {
        let mut network = Self::default();
        for line in text.lines() {
            if let Some(name) = after_any(line, &["Using network "]) {
                network.network = Some(name.to_owned());
            }
            if let Some(name) = after_any(line, &["Selected Provider is ", "Selected provider is "]) {
                // The plugin goes on with `(found 4 nics)` or `, fabric is efa-direct`.
                let name = name.split([' ', ',']).next().unwrap_or(name).trim_end_matches('.').to_lowercase();
                if !network.providers.contains(&name) {
                    network.providers.push(name);
                }
            }
            let is_about_plugin = line.contains("NET/Plugin") || line.contains("libnccl-net");
            let is_failure = ["No plugin found", "Could not find", "cannot open shared object", "Failed to open"];
            if is_about_plugin && is_failure.iter().any(|words| line.contains(words)) {
                network.no_plugin.get_or_insert_with(|| line.trim().to_owned());
            }
        }
        network
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn after_any<'a>(line: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| line.split_once(word)).map(|(_, rest)| rest.trim())
}

/// `nccl.network`: the code of a test was 0 also when it ran over sockets (nccl#229, aws-ofi-nccl#67, InferenceX#2979).
pub(super) fn network(host: &Host, plan: &Plan) -> Verdict {
    if let Some(outcome) = efa_devices::nothing_to_check(host, plan)? {
        return Ok(outcome);
    }
    let mut seen = None;
    for (name, text) in logs::all(host)? {
        let network = Network::parse(&text);
        if network.is_empty() {
            continue;
        }
        let expected = "NCCL over the provider efa";
        if let Some(other) = network.providers.iter().find(|provider| !provider.starts_with("efa")) {
            let hint =
                "set FI_PROVIDER=efa to see the cause, and check efa.provider and the security group's self rule";
            return Ok(Outcome::fail(format!("not using EFA: {name} has provider {other}"), expected, hint));
        }
        let is_socket = network.network.as_deref().is_some_and(|network| network.starts_with("Socket"));
        if is_socket || (network.no_plugin.is_some() && network.providers.is_empty()) {
            let cause = network.no_plugin.map_or(String::new(), |line| format!("; plugin missing: {line}"));
            let path = environment::lookup(host, "LD_LIBRARY_PATH")?.map_or("not set".to_owned(), |(path, _)| path);
            let found = format!("not using EFA: {name} has network Socket{cause}; LD_LIBRARY_PATH is {path}");
            let hint = "see nccl.plugin; NCCL_NET_PLUGIN=ofi makes a plugin that cannot be loaded an error";
            return Ok(Outcome::fail(found, expected, hint));
        }
        if !network.providers.is_empty() {
            seen = Some(format!("{name} has provider {}", network.providers.join(", ")));
        }
    }
    Ok(match seen {
        Some(found) => Outcome::pass(found),
        None => Outcome::skip(format!("no log in {} tells NCCL's network", logs::FOLDER)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn provider_and_network_are_found() {
        let text = "NCCL INFO NET/OFI Selected provider is efa, fabric is efa-direct (found 32 nics)\nNCCL INFO Using network Libfabric\n";
        let network = Network::parse(text);
        assert_eq!((network.providers, network.network.as_deref()), (vec!["efa".to_owned()], Some("Libfabric")));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(Using network |Selected Provider is |NET/Plugin|Could not find|\n|\\PC){0,30}") {
            Network::parse(&text);
        }
    }
}

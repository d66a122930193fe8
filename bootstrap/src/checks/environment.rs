//! Variables that change what libfabric, NCCL and NIXL do. Most are left over from older advice.

use super::environment_rules::{RULES, Rule, Severity, When};
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::{Host, Unreadable};

/// Files from which services and logins get variables; the node's own comes last and wins.
const FILES: &[&str] = &[
    "/etc/environment",
    "/etc/profile.d/efa.sh",
    "/etc/profile.d/prefab.sh",
    "/etc/prefab/efa.env",
    "/etc/prefab/nccl.env",
    "/etc/prefab/environment",
];

/// A variable and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    name: String,
    value: String,
    origin: String,
}

/// Every setting, this process's last.
fn settings(host: &Host) -> Result<Vec<Setting>, Unreadable> {
    let mut settings = Vec::new();
    for path in FILES {
        let text = host.text(path)?.unwrap_or_default();
        settings.extend(text.lines().filter_map(|line| assignment(line, path)));
    }
    let own = host.environment().iter();
    settings.extend(own.map(|(name, value)| Setting {
        name: name.clone(),
        value: value.clone(),
        origin: "this process".to_owned(),
    }));
    Ok(settings)
}

/// `NAME=value`, with `export` and quotes or without.
fn assignment(line: &str, origin: &str) -> Option<Setting> {
    let line = line.trim();
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).trim_start().split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let value = value.trim().trim_matches(['"', '\'']).to_owned();
    is_name.then(|| Setting { name: name.to_owned(), value, origin: origin.to_owned() })
}

/// The value that counts, and where it was set.
pub(super) fn lookup(host: &Host, name: &str) -> Result<Option<(String, String)>, Unreadable> {
    let last = settings(host)?.into_iter().rfind(|setting| setting.name == name && !setting.value.is_empty());
    Ok(last.map(|setting| (setting.value, setting.origin)))
}

/// `environment.libfabric`
pub(super) fn libfabric(host: &Host, plan: &Plan) -> Verdict {
    lint(host, plan, &["FI_"])
}

/// `environment.verbs`
pub(super) fn verbs(host: &Host, plan: &Plan) -> Verdict {
    lint(host, plan, &["RDMAV_", "IBV_"])
}

/// `environment.nccl`
pub(super) fn nccl(host: &Host, plan: &Plan) -> Verdict {
    lint(host, plan, &["NCCL_"])
}

/// `environment.nixl`
pub(super) fn nixl(host: &Host, plan: &Plan) -> Verdict {
    lint(host, plan, &["NIXL_", "UCX_", "VLLM_"])
}

/// The worst finding of the rules decides; all of them are told.
fn lint(host: &Host, plan: &Plan, prefixes: &[&str]) -> Verdict {
    let settings = settings(host)?;
    let ours = settings.iter().filter(|setting| prefixes.iter().any(|prefix| setting.name.starts_with(prefix)));
    let ours: Vec<&Setting> = ours.collect();
    let mut found: Vec<(&Rule, &Setting)> = Vec::new();
    for setting in &ours {
        found.extend(RULES.iter().find(|rule| applies(rule, setting, plan)).map(|rule| (rule, *setting)));
    }
    let Some(worst) = found.iter().map(|(rule, _)| rule.severity).max() else {
        let names = prefixes.join("*, ") + "*";
        return Ok(Outcome::pass(format!("{} variables {names}, none of them harmful", ours.len())));
    };
    let tell = |(rule, setting): &(&Rule, &Setting)| {
        format!("{}={} ({}): {}", setting.name, setting.value, setting.origin, rule.reason)
    };
    let text = found.iter().map(tell).collect::<Vec<_>>().join("; ");
    let hint = "unset them where they are set; libfabric and the plugin choose by the instance's type";
    Ok(match worst {
        Severity::Fail => Outcome::fail(text, "none of these settings", hint),
        Severity::Warn => Outcome::warn(text, "none of these settings", hint),
    })
}

fn applies(rule: &Rule, setting: &Setting, plan: &Plan) -> bool {
    let is_name = match rule.name.strip_suffix('*') {
        Some(prefix) => setting.name.starts_with(prefix),
        None => setting.name == rule.name,
    };
    let expected = plan.expected();
    let is_when = match rule.when {
        When::Set => true,
        When::Is(value) => setting.value.eq_ignore_ascii_case(value),
        When::IsNot(value) => !setting.value.eq_ignore_ascii_case(value),
        When::IsTrue => !matches!(setting.value.to_lowercase().as_str(), "" | "0" | "n" | "no" | "false" | "off"),
        When::IsWhereRdmaRead(value, has_it) => {
            setting.value == value && expected.is_some_and(|expected| expected.rdma_read == has_it)
        }
        When::IsWithGpudirect(value) => {
            setting.value.eq_ignore_ascii_case(value) && expected.is_some_and(|expected| expected.gpudirect)
        }
        When::BeginsWith(starts) => starts.iter().any(|start| setting.value.starts_with(start)),
    };
    is_name && is_when
}

/// `environment.preload`: a library that every process gets breaks what nobody suspects.
pub(super) fn preload(host: &Host, _plan: &Plan) -> Verdict {
    let mut found = Vec::new();
    let settings = settings(host)?;
    let everywhere = settings.iter().filter(|setting| setting.name == "LD_PRELOAD" && !setting.value.is_empty());
    found.extend(everywhere.map(|setting| format!("LD_PRELOAD={} ({})", setting.value, setting.origin)));
    let global = host.value("/etc/ld.so.preload")?.filter(|text| !text.is_empty());
    found.extend(global.map(|text| format!("/etc/ld.so.preload: {text}")));
    if found.is_empty() {
        return Ok(Outcome::pass("no library is preloaded"));
    }
    let hint = "set it in the one service that needs it, if any";
    Ok(Outcome::fail(found.join("; "), "no LD_PRELOAD for all processes", hint))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn assignments_have_many_forms() {
        for line in ["A_B=c d", "export A_B=\"c d\"", "  A_B='c d'  "] {
            let setting = assignment(line, "f").unwrap();
            assert_eq!((setting.name.as_str(), setting.value.as_str()), ("A_B", "c d"));
        }
        assert_eq!(assignment("# A=b c", "f"), None);
        assert_eq!(assignment("if [ x = y ]", "f"), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(export )?\\PC{0,20}=?\\PC{0,20}") {
            assignment(&line, "f");
        }
    }
}

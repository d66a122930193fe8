//! What this machine brings to the nodes: the programs of `make build`, and task files beside the spec or shipped.

use std::path::Path;

use anyhow::Context as _;
use prefab_contract::task_file::{MAX_FILE_BYTES, TaskFile};

use super::demo::program;
use crate::deploy::upload::{Material, Materials};
use crate::spec::Spec;

/// Task files that come with prefab.
const SHIPPED: &[(&str, &str)] = &[
    ("install-mlflow-deps", include_str!("../../userdata/tasks/install-mlflow-deps.json")),
    ("nccl-benchmark", include_str!("../../userdata/tasks/nccl-benchmark.json")),
    ("setup-environment", include_str!("../../userdata/tasks/setup-environment.json")),
    ("setup-nccl-tests", include_str!("../../userdata/tasks/setup-nccl-tests.json")),
];

/// Reads programs and task files. A program that is missing is a finding for whoever needs it.
pub(super) fn read(spec: &Spec, folder: &Path) -> anyhow::Result<Materials> {
    let mut materials = Materials::default();
    materials.bootstrap = one("prefab-bootstrap", &mut materials.missing)?;
    materials.engine = one("prefab-fabric", &mut materials.missing)?;
    let mut findings = Vec::new();
    for name in &spec.bootstrap.tasks {
        match task(name, folder)? {
            Ok(task) => materials.tasks.push(task),
            Err(found) => findings.extend(found),
        }
    }
    anyhow::ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(materials)
}

fn one(name: &str, missing: &mut Vec<String>) -> anyhow::Result<Option<Material>> {
    match program(name) {
        Ok(path) => {
            let content = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            Ok(Some(Material::new(name, content)))
        }
        Err(error) => {
            missing.push(format!("{error:#}"));
            Ok(None)
        }
    }
}

/// `tasks/NAME.json` beside the spec, else the one that is shipped.
pub(super) fn task(name: &str, folder: &Path) -> anyhow::Result<Result<Material, Vec<String>>> {
    let path = folder.join("tasks").join(format!("{name}.json"));
    let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| text.as_bytes().to_vec());
    let content = match (std::fs::read(&path), shipped) {
        (Ok(content), _) => content,
        (Err(error), Some(shipped)) if error.kind() == std::io::ErrorKind::NotFound => shipped,
        (Err(error), None) if error.kind() == std::io::ErrorKind::NotFound => {
            let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
            return Ok(Err(vec![format!(
                "found no task file `{name}`: neither {} nor one that comes with prefab ({}); write it, or correct `bootstrap.tasks`",
                path.display(),
                names.join(", ")
            )]));
        }
        (Err(error), _) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    if content.len() > MAX_FILE_BYTES {
        return Ok(Err(vec![format!(
            "{}: found {} bytes, expected at most {MAX_FILE_BYTES}",
            path.display(),
            content.len()
        )]));
    }
    Ok(match TaskFile::parse(&content) {
        Ok(_) => Ok(Material::new(name, content)),
        Err(findings) => Err(findings.iter().map(|finding| format!("task file `{name}`: {finding}")).collect()),
    })
}

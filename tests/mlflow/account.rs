//! An account with SageMaker's MLflow before the real server: who may what is the test's to say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::bed::{Standin, bare, server};
use crate::prefab;

pub(super) const SERVER: &str = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/nixl-efa";
pub(super) const APP: &str = "arn:aws:sagemaker:us-east-1:111122223333:mlflow-app/app-A1B2C3";

/// The keys of the caller. Blanks, plus signs and slashes are what signers get wrong.
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(super) const SECRET: &str = "wJalr/XUtnFEMI+K7MDENG/canary+secret";
pub(super) const TOKEN: &str = "session==/+canary-token";

pub(super) struct Account {
    folder: TempDir,
    standin: Standin,
}

/// A call as the account saw it.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct Call {
    pub(super) plane: String,
    pub(super) action: String,
    pub(super) status: u16,
    pub(super) signature: String,
}

/// What the templates let a node do, read from the templates themselves.
pub(super) fn node_role() -> Vec<String> {
    let template = fs::read_to_string(prefab::root().join("templates/g6e-pair/cluster.template.yaml")).unwrap();
    let actions = template.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let actions: Vec<String> = actions.filter(|line| line.starts_with("sagemaker")).map(str::to_owned).collect();
    assert!(actions.len() > 5 && actions.iter().all(|action| !action.contains('*')), "{actions:?}");
    actions
}

/// Everything that this account knows.
pub(super) fn operator() -> Vec<String> {
    let control = ["DescribeMlflowTrackingServer", "DescribeMlflowApp", "ListMlflowApps", "CallMlflowAppApi"]
        .into_iter()
        .chain(["CreatePresignedMlflowTrackingServerUrl", "CreatePresignedMlflowAppUrl"])
        .chain(["StartMlflowTrackingServer", "StopMlflowTrackingServer"]);
    let more = ["sagemaker-mlflow:DeleteRun", "s3:PutObject", "s3:GetObject", "s3:DeleteObject"];
    let control = control.map(|action| format!("sagemaker:{action}"));
    node_role().into_iter().chain(control).chain(more.map(str::to_owned)).collect()
}

impl Account {
    /// An account with this server or app, whose caller may do these actions.
    pub(super) fn open(arn: &str, actions: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let account = |folder: TempDir| {
            let standin = Standin::start("mlflow_sagemaker.py", &[folder.path().to_str().unwrap(), &server().port()]);
            Self { folder, standin }
        };
        let behaviour = json!({
            "access_key": KEY, "secret_key": SECRET, "session_token": TOKEN, "region": "us-east-1", "arn": arn,
            "actions": actions,
        });
        fs::write(folder.path().join("behaviour.json"), behaviour.to_string()).unwrap();
        account(folder)
    }

    /// Changes how it behaves.
    pub(super) fn set(&self, name: &str, value: impl Into<Value>) {
        let path = self.folder.path().join("behaviour.json");
        let mut behaviour: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        behaviour[name] = value.into();
        // Renamed: a call in between reads the one or the other.
        fs::write(path.with_extension("new"), behaviour.to_string()).unwrap();
        fs::rename(path.with_extension("new"), &path).unwrap();
    }

    /// Every call so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(self.folder.path().join("calls.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The file that an object of the artifact bucket is.
    pub(super) fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    /// The variables by which a program finds this account instead of AWS.
    pub(super) fn endpoints(&self) -> Vec<(&'static str, String)> {
        let url = self.standin.url();
        vec![
            ("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", url.clone()),
            ("AWS_ENDPOINT_URL_SAGEMAKER", url.clone()),
            ("AWS_ENDPOINT_URL_S3", format!("{url}/s3")),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("{url}/imds")),
        ]
    }

    /// As [`Account::endpoints`], with the caller's keys.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let keys = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", TOKEN)];
        self.endpoints().into_iter().chain(keys.map(|(name, value)| (name, value.to_owned()))).collect()
    }

    /// The node program as the caller.
    pub(super) fn node(&self, arguments: &[&str]) -> Command {
        let mut command = bare();
        command.args(arguments).envs(self.environment());
        command
    }

    /// `prefab` as the caller, in a folder with a spec or none.
    pub(super) fn prefab(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
        // No PATH, no home: this machine's own AWS configuration has nothing to say here.
        command.env_clear().current_dir(folder).args(arguments).envs(self.environment());
        command
    }
}

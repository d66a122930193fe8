//! What a program of a task finds in its environment: nothing of ours, a fixed path, and the variables.

use std::collections::BTreeMap;

use prefab_contract::task_file::{BoundTask, Program, Suite, VARIABLE_PREFIX, Value};

use super::account::Account;
use super::state::State;

/// Where programs are looked for, the EFA installer's last.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/amazon/efa/bin";

/// The values of a run.
pub(super) struct Values<'a> {
    pub(super) suite: &'a Suite,
    /// Secrets by the variable that names them.
    pub(super) secrets: &'a BTreeMap<String, String>,
}

impl Values<'_> {
    /// The value of a variable, if it has one by now.
    pub(super) fn get<'v>(&'v self, state: &'v State, name: &str) -> Option<&'v str> {
        match self.suite.values.get(name)? {
            Value::Text(text) => Some(text),
            Value::Secret(_) => self.secrets.get(name).map(String::as_str),
            Value::Output { task } => state.tasks.get(task)?.outputs.get(name).map(String::as_str),
        }
    }

    /// The first of these names without a value: the task that makes it was skipped.
    pub(super) fn missing<'n>(&self, state: &State, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
        names.into_iter().find(|name| self.get(state, name).is_none()).map(str::to_owned)
    }

    /// The whole environment of a program. A secret goes only to a program that names it.
    pub(super) fn environment(
        &self,
        state: &State,
        task: &BoundTask,
        program: &Program,
        account: &Account,
    ) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for (name, value) in [
            ("HOME", account.home.as_str()),
            ("LANG", "C.UTF-8"),
            ("LOGNAME", &account.name),
            ("PATH", PATH),
            ("PREFAB_TASK", &task.id),
            ("SHELL", "/bin/bash"),
            ("USER", &account.name),
        ] {
            environment.insert(name.to_owned(), value.to_owned());
        }
        for (name, value) in &self.suite.values {
            let is_given = matches!(value, Value::Text(_)) || program.names.contains(name);
            if let Some(value) = self.get(state, name).filter(|_| is_given) {
                environment.insert(name.clone(), value.to_owned());
                environment.insert(format!("{VARIABLE_PREFIX}{name}"), value.to_owned());
            }
        }
        for (name, text) in &task.env {
            if let Some(value) = text.fill(|name| self.get(state, name)) {
                environment.insert(name.clone(), value);
            }
        }
        environment
    }
}

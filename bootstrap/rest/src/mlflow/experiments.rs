//! Experiments: found by name, made once however many make it at the same time.

use serde::Deserialize;
use serde_json::json;

use super::client::{Ask, Client, is_code};
use crate::error::{Error, Result};

impl Client {
    /// The id of the experiment of this name, made if there is none. Two that make it at once get the same one.
    ///
    /// # Errors
    /// As [`Signed::call`](crate::signed::Signed::call); one that is deleted, whose name nobody can use before it is
    /// restored or removed for good.
    pub fn experiment(&self, name: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Made {
            experiment_id: String,
        }
        let mut attempt = 0;
        loop {
            if let Some(id) = self.find_experiment(name)? {
                return Ok(id);
            }
            match self.once::<Made>("experiments/create", &json!({ "name": name })) {
                Ok(made) => return Ok(made.experiment_id),
                // Another one was faster, or an answer was lost: the next look finds it.
                Err(error) => {
                    let may_exist = is_code(&error, "RESOURCE_ALREADY_EXISTS") || error.is_transient();
                    if !may_exist || self.left().is_zero() {
                        return Err(error);
                    }
                }
            }
            self.pause(attempt);
            attempt += 1;
        }
    }

    /// The id of the experiment of this name, if there is one.
    ///
    /// # Errors
    /// As [`Client::experiment`].
    pub fn find_experiment(&self, name: &str) -> Result<Option<String>> {
        #[derive(Deserialize)]
        struct Found {
            experiment: Experiment,
        }
        #[derive(Deserialize)]
        struct Experiment {
            experiment_id: String,
            #[serde(default)]
            lifecycle_stage: String,
        }
        match self.repeated::<Found>("experiments/get-by-name", Ask::Get(&[("experiment_name", name)])) {
            Ok(found) if found.experiment.lifecycle_stage == "deleted" => Err(Error::Input(format!(
                "found the experiment {name:?} deleted, expected one to log to; restore it, or choose another name"
            ))),
            Ok(found) => Ok(Some(found.experiment.experiment_id)),
            Err(error) if is_code(&error, "RESOURCE_DOES_NOT_EXIST") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

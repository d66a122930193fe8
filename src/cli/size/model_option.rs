//! `--model`: a name of the table, or the path of a `config.json`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use prefab_contract::models::{self, Model};

use crate::cli::option_finding::OptionFinding;

const OPTION: &str = "--model";

/// What `asked` means: a name first, so that a folder of that name in the way changes nothing.
pub(super) fn read(asked: &str) -> Result<Cow<'static, Model>, OptionFinding> {
    let unknown = match models::find(asked) {
        Ok(model) => return Ok(Cow::Borrowed(model)),
        Err(unknown) => unknown,
    };
    let path = Path::new(asked);
    if path.exists() || path.extension().is_some_and(|extension| extension == "json") {
        return from_file(path).map(Cow::Owned);
    }
    Err(OptionFinding {
        code: unknown.code(),
        option: OPTION,
        found: unknown.found(),
        allowed: unknown.allowed(),
        action: unknown.action(),
    })
}

fn from_file(path: &Path) -> Result<Model, OptionFinding> {
    let name = path.display();
    let text = text(path).map_err(|error| OptionFinding {
        code: "unreadable-model-config",
        option: OPTION,
        found: format!("`{name}`, which cannot be read: {error}"),
        allowed: "the path of a Hugging Face config.json".to_owned(),
        action: "check the path; for a folder, name the config.json in it".to_owned(),
    })?;
    let model = Model::from_config(&text).map_err(|error| OptionFinding {
        code: error.code(),
        option: OPTION,
        found: format!("`{name}` with {}", error.found()),
        allowed: error.allowed(),
        action: error.action(),
    })?;
    Ok(Model { name: Cow::Owned(name.to_string()), source: Cow::Owned(name.to_string()), ..model })
}

fn text(path: &Path) -> io::Result<String> {
    // The longest published configs list a few thousand layers' worth of names: kilobytes, not megabytes.
    const MOST_BYTES: u64 = 4 << 20;
    let mut text = String::new();
    let read = File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > MOST_BYTES) {
        return Err(io::Error::other("more than 4 MiB, which no model config has"));
    }
    Ok(text)
}

//! A folder of one test, and clients that live in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prefab_rest::http::{Bounds, Client};
use prefab_rest::retry::{Pace, Policy};

/// A root folder with the given files.
pub fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(folder.path(), path, text.as_bytes());
    }
    folder
}

pub fn write(root: &Path, path: &str, bytes: &[u8]) -> PathBuf {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Bounds that a test can wait for.
pub const BOUNDS: Bounds = Bounds {
    resolve: Duration::from_secs(2),
    connect: Duration::from_secs(2),
    stall: Duration::from_millis(300),
    total: Duration::from_secs(3),
};

pub fn client() -> Arc<Client> {
    Arc::new(Client::new(Path::new("/nowhere"), BOUNDS))
}

/// Six quick attempts.
pub const QUICK: Policy = Policy {
    delays: &[Duration::from_millis(20)],
    budget: Duration::from_millis(110),
    denied: Duration::from_millis(0),
};

/// The machine's clock, with waits of 20 ms at most.
#[derive(Default)]
pub struct Hasty(prefab_rest::retry::System);

impl Pace for Hasty {
    fn now(&self) -> Duration {
        self.0.now()
    }
    fn sleep(&self, duration: Duration) {
        self.0.sleep(duration.min(Duration::from_millis(20)));
    }
    fn fraction(&self) -> f64 {
        0.0
    }
}

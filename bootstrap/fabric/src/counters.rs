//! The byte counters of RDMA devices, as the kernel shows them: in a folder of the device or in one of its port, by the
//! driver's version.

use std::path::{Path, PathBuf};

use prefab_contract::engine::Counter;

/// Where the kernel shows devices, below the root of sysfs.
const CLASS: &str = "class/infiniband";

/// What counts bytes on an EFA device: those it read from peers and wrote to them, those that peers wrote here, and those of
/// messages in both directions.
const NAMES: [&str; 5] = ["rdma_read_bytes", "rdma_write_bytes", "rdma_write_recv_bytes", "tx_bytes", "rx_bytes"];

/// Names a folder to read instead of /sys.
const SYSFS_VARIABLE: &str = "PREFAB_SYSFS";

/// The counters of some devices, with what they said at first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    at_first: Vec<Counted>,
}

#[derive(Debug, Clone)]
struct Counted {
    device: String,
    name: &'static str,
    file: PathBuf,
    value: u64,
}

impl Counters {
    /// Reads those of the devices now; a counter that is not there does not count.
    pub(crate) fn of(devices: &[String]) -> Self {
        let sysfs = std::env::var_os(SYSFS_VARIABLE).unwrap_or_else(|| "/sys".into());
        Self::below(Path::new(&sysfs), devices)
    }

    fn below(sysfs: &Path, devices: &[String]) -> Self {
        let mut devices = devices.to_vec();
        devices.sort_unstable();
        devices.dedup();
        let of = |device: &String| {
            let folder = sysfs.join(CLASS).join(device);
            let folders = [folder.join("ports/1/hw_counters"), folder.join("hw_counters")];
            let device = device.clone();
            NAMES.into_iter().filter_map(move |name| {
                let file = folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file())?;
                Some(Counted { device: device.clone(), name, value: read(&file)?, file })
            })
        };
        Self { at_first: devices.iter().flat_map(of).collect() }
    }

    /// How much each has moved since.
    pub(crate) fn moved(&self) -> Vec<Counter> {
        let moved = |of: &Counted| {
            let moved = read(&of.file)?.saturating_sub(of.value);
            Some(Counter { device: of.device.clone(), name: of.name.to_owned(), moved })
        };
        self.at_first.iter().filter_map(moved).collect()
    }
}

fn read(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_at_the_device_and_at_its_port_and_told_as_differences() {
        let root = tempfile::tempdir().unwrap();
        for (device, folder) in [("rdmap0s6", "ports/1/hw_counters"), ("rdmap1s6", "hw_counters")] {
            let folder = root.path().join(CLASS).join(device).join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("rdma_read_bytes"), "1000\n").unwrap();
            std::fs::write(folder.join("tx_bytes"), "no number\n").unwrap();
        }
        let devices = ["rdmap1s6", "rdmap0s6", "rdmap0s6", "absent"].map(str::to_owned);
        let counters = Counters::below(root.path(), &devices);
        let port = root.path().join(CLASS).join("rdmap0s6/ports/1/hw_counters/rdma_read_bytes");
        std::fs::write(port, "1064\n").unwrap();
        let moved: Vec<(String, u64)> =
            counters.moved().into_iter().map(|it| (format!("{} {}", it.device, it.name), it.moved)).collect();
        assert_eq!(moved, [("rdmap0s6 rdma_read_bytes".to_owned(), 64), ("rdmap1s6 rdma_read_bytes".to_owned(), 0)]);
    }
}

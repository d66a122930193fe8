//! The counters of an EFA device, and what they prove. The kernel shows them as files, in a folder of the device and in
//! one of its port, by the driver's version; both are read.

use std::path::{Path, PathBuf};

use prefab_contract::path::{self, Carried};

use super::link::Rma;

/// Where the kernel shows devices.
const CLASS: &str = "class/infiniband";

/// What the device counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    /// Bytes that it read from peers.
    rdma_read: Option<u64>,
    /// Bytes that it wrote to peers.
    rdma_write: Option<u64>,
    /// Bytes of messages that it sent.
    sent: Option<u64>,
    /// Bytes of messages that it received.
    received: Option<u64>,
}

/// The counters of one device.
#[derive(Debug, Clone)]
pub(super) struct Counters {
    device: String,
    folders: [PathBuf; 2],
}

impl Counters {
    /// Those of a device below the root of sysfs.
    pub(super) fn of(sysfs: &Path, device: &str) -> Self {
        let device_folder = sysfs.join(CLASS).join(device);
        let folders = [device_folder.join("ports/1/hw_counters"), device_folder.join("hw_counters")];
        Self { device: device.to_owned(), folders }
    }

    /// What they say now.
    pub(super) fn read(&self) -> Counted {
        let one = |name: &str| {
            self.folders.iter().find_map(|folder| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok())
        };
        Counted {
            rdma_read: one("rdma_read_bytes"),
            rdma_write: one("rdma_write_bytes"),
            sent: one("tx_bytes"),
            received: one("rx_bytes"),
        }
    }

    /// Whether the device moved `payload_bytes` for this end since `before`. `is_emulated` if its operations are made
    /// from messages; none if the endpoint does not say, and then either counter is proof.
    pub(super) fn judge(&self, rma: Rma, is_emulated: Option<bool>, before: Counted, payload_bytes: u64) -> Carried {
        let now = self.read();
        let (by_rdma, by_message) = match rma {
            Rma::Read => {
                (("rdma_read_bytes", before.rdma_read, now.rdma_read), ("rx_bytes", before.received, now.received))
            }
            Rma::Write => {
                (("rdma_write_bytes", before.rdma_write, now.rdma_write), ("tx_bytes", before.sent, now.sent))
            }
        };
        let counters = match is_emulated {
            Some(false) => vec![by_rdma],
            Some(true) => vec![by_message],
            None => vec![by_rdma, by_message],
        };
        let mut found = Vec::new();
        for (name, before, now) in counters {
            let moved = before.zip(now).map(|(before, now)| now.saturating_sub(before));
            if let Some(moved) = moved.filter(|&moved| moved >= payload_bytes) {
                let evidence =
                    format!("{name} of {} grew by {moved} for {payload_bytes} bytes of payload", self.device);
                return Carried { path: path::Path::Efa, evidence };
            }
            found.push(match moved {
                Some(moved) => format!("{name} of {} grown by {moved}", self.device),
                None => format!("no {name} of {}", self.device),
            });
        }
        let evidence = format!(
            "found {}, expected at least {payload_bytes} bytes of payload; the bytes took another way, or another device",
            found.join(" and ")
        );
        Carried { path: path::Path::Inconclusive, evidence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device whose counters lie in one of the two folders.
    struct Fixture(tempfile::TempDir, &'static str);

    impl Fixture {
        fn new(folder: &'static str) -> Self {
            let fixture = Self(tempfile::tempdir().unwrap(), folder);
            std::fs::create_dir_all(fixture.folder()).unwrap();
            fixture
        }

        fn folder(&self) -> PathBuf {
            self.0.path().join("class/infiniband/rdmap0s6").join(self.1)
        }

        fn set(&self, counter: &str, value: u64) {
            std::fs::write(self.folder().join(counter), format!("{value}\n")).unwrap();
        }

        fn counters(&self) -> Counters {
            Counters::of(self.0.path(), "rdmap0s6")
        }
    }

    #[test]
    fn only_the_right_counter_grown_by_the_payload_proves_efa() {
        for folder in ["ports/1/hw_counters", "hw_counters"] {
            for (rma, is_emulated, counter, others) in [
                (Rma::Read, Some(false), "rdma_read_bytes", ["rdma_write_bytes", "tx_bytes", "rx_bytes"]),
                (Rma::Write, Some(false), "rdma_write_bytes", ["rdma_read_bytes", "tx_bytes", "rx_bytes"]),
                (Rma::Read, Some(true), "rx_bytes", ["rdma_read_bytes", "rdma_write_bytes", "tx_bytes"]),
                (Rma::Write, Some(true), "tx_bytes", ["rdma_read_bytes", "rdma_write_bytes", "rx_bytes"]),
            ] {
                let fixture = Fixture::new(folder);
                for name in others.into_iter().chain([counter]) {
                    fixture.set(name, 1000);
                }
                let before = fixture.counters().read();
                for other in others {
                    fixture.set(other, 1_000_000);
                }
                let judge = |fixture: &Fixture| fixture.counters().judge(rma, is_emulated, before, 5000);
                assert_eq!(judge(&fixture).path, path::Path::Inconclusive, "{counter}");
                fixture.set(counter, 5999);
                let short = judge(&fixture);
                assert_eq!(short.path, path::Path::Inconclusive, "{counter}");
                assert!(short.evidence.contains(&format!("{counter} of rdmap0s6 grown by 4999")), "{}", short.evidence);
                fixture.set(counter, 6000);
                assert_eq!(judge(&fixture).path, path::Path::Efa, "{counter}");
            }
        }
    }

    #[test]
    fn without_counters_nothing_is_proved() {
        let fixture = Fixture::new("ports/1");
        let carried = fixture.counters().judge(Rma::Read, None, fixture.counters().read(), 0);
        assert_eq!(carried.path, path::Path::Inconclusive);
        assert!(carried.evidence.contains("no rdma_read_bytes of rdmap0s6 and no rx_bytes"), "{}", carried.evidence);
    }

    #[test]
    fn an_endpoint_that_does_not_say_is_believed_by_either_counter() {
        let fixture = Fixture::new("hw_counters");
        fixture.set("tx_bytes", 0);
        let before = fixture.counters().read();
        fixture.set("tx_bytes", 77);
        assert_eq!(fixture.counters().judge(Rma::Write, None, before, 77).path, path::Path::Efa);
    }
}

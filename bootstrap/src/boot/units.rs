//! The two systemd units: one resumes after a reboot, one answers peers.
//!
//! cloud-init's last stage starts after `multi-user.target` on some systems, and both units start after that stage. So both
//! name the target, too, although it wants them: a target waits for what it wants only where that would be no circle, and
//! systemd breaks a circle by starting less.

use std::path::Path;

use anyhow::Result;

use super::phase::write_whole;

/// Runs the boot again after a reboot: it converges, writes a fresh roster entry and signals nothing twice.
const RESUME: &str = "\
[Unit]
Description=prefab: prove this node again after a reboot
Wants=network-online.target
After=network-online.target multi-user.target cloud-final.service

[Service]
Type=oneshot
ExecStart=/usr/local/bin/prefab-bootstrap run --seed /etc/prefab/node-seed.json
RemainAfterExit=yes
# Every phase has a bound of its own, and no creation policy waits longer than this.
TimeoutStartSec=12h
# The program ends what it started, and lives to tell that something of it was killed for memory.
KillMode=mixed
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
";

/// Answers peers and hosts their benchmarks for as long as the node lives; it needs no privilege but the roster, and as much
/// locked memory as the pools that EFA reads. A boot that goes on answers them itself, with an entry of its own: this one
/// comes after it.
const ANSWER: &str = "\
[Unit]
Description=prefab: answer the peers of this node
Wants=network-online.target
After=network-online.target multi-user.target prefab-node.service

[Service]
ExecStart=/usr/local/bin/prefab-bootstrap serve --seed /etc/prefab/node-seed.json
Restart=always
RestartSec=5
DynamicUser=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
# EFA pins the memory of a benchmark's engine.
LimitMEMLOCK=infinity

[Install]
WantedBy=multi-user.target
";

/// The units by name.
const UNITS: &[(&str, &str)] = &[("prefab-node.service", RESUME), ("prefab-peers.service", ANSWER)];

/// Writes the units and the links that start them at boot, as `systemctl enable` does.
///
/// # Errors
/// The disk refuses.
pub(crate) fn install(root: &Path) -> Result<()> {
    let folder = root.join("etc/systemd/system");
    for (name, text) in UNITS {
        write_whole(&folder.join(name), text.as_bytes(), 0o644)?;
        let wants = folder.join("multi-user.target.wants");
        std::fs::create_dir_all(&wants)?;
        let link = wants.join(name);
        if !link.is_symlink() {
            std::os::unix::fs::symlink(Path::new("/etc/systemd/system").join(name), &link)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_installed_and_enabled_and_a_second_time_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            install(root.path()).unwrap();
            for (name, text) in UNITS {
                let folder = root.path().join("etc/systemd/system");
                assert_eq!(&std::fs::read_to_string(folder.join(name)).unwrap(), text);
                assert!(folder.join("multi-user.target.wants").join(name).is_symlink());
            }
        }
    }
}

//! The released program needs nothing of its host: it resolves names and speaks HTTPS in a root folder with itself,
//! resolv.conf and certificates, under a name service switch that would kill `getaddrinfo`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::certificates::Authority;
use crate::dns_server::{NameServer, address};
use crate::folder;
use crate::tls::serve;

/// Where a booted node keeps what it learned; the check of endpoints reads whom it needs from there.
const FACTS: &str = "var/lib/prefab/facts.json";

fn released() -> PathBuf {
    let dist =
        std::env::var_os("PREFAB_DIST").expect("PREFAB_DIST names no folder; run `make build`, then set it to dist");
    let path = PathBuf::from(dist).join("prefab-bootstrap");
    assert!(path.is_file(), "found no {}; run `make build`", path.display());
    path
}

/// The name server needs port 53, so the test below runs in a network namespace with a loopback of its own.
#[test]
fn the_program_runs_in_an_empty_root_with_a_broken_name_service_switch() {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "sh", "-c", r#"ip link set lo up && exec "$@""#, "sh"]);
    command.arg(std::env::current_exe().unwrap());
    let output = command.args(["--ignored", "--exact", "root::inside_a_namespace", "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "the test above runs it, in a namespace of its own"]
fn inside_a_namespace() {
    let program = std::fs::read(released()).unwrap();
    let contains = |needle: &str| program.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(!contains("nsswitch.conf") && !contains("libnss_"), "it would read the host's name service switch");

    let authority = Authority::new();
    let service = format!("service.test:{}", serve(authority.sign("service.test", (2020, 2090))));
    let names = NameServer::well_known(|asked| {
        if asked.name == "service.test" {
            asked.answer(&[("service.test", address("127.0.0.1"))])
        } else {
            asked.answer(&[])
        }
    });
    let (right, wrong) = (authority.pem(), Authority::new().pem());
    for (authorities, service, outcome, found) in [
        (&right, service.as_str(), "pass", "HTTPS reaches 1 service"),
        (&right, "absent.test", "fail", "the name has no address (asked 127.0.0.1)"),
        (&wrong, service.as_str(), "fail", "UnknownIssuer"),
    ] {
        let root = empty_root(&program, authorities, service);
        let output = check(root.path());
        let said = format!("{service}: {output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&said);
        let check = &report["checks"][0];
        assert_eq!(
            (check["id"].as_str(), check["outcome"].as_str()),
            (Some("network.endpoints"), Some(outcome)),
            "{said}"
        );
        assert!(check["found"].as_str().is_some_and(|text| text.contains(found)), "expected {found} of {said}");
        assert!(output.stderr.is_empty(), "{said}");
    }
    let asked = names.asked();
    assert!(asked.iter().any(|asked| asked.name == "service.test"), "its own resolver asked nobody: {asked:?}");
}

/// No library, no loader, no /proc, no /dev; the name service switch leads to a module that is none.
fn empty_root(program: &[u8], authorities: &str, service: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let root = folder::root(&[
        ("etc/resolv.conf", "nameserver 127.0.0.1\n"),
        ("etc/nsswitch.conf", "passwd: resolve\nhosts: resolve [!UNAVAIL=return] files dns\n"),
        ("lib/x86_64-linux-gnu/libnss_resolve.so.2", "no module"),
        ("usr/lib64/libnss_resolve.so.2", "no module"),
        ("etc/ssl/certs/ca-certificates.crt", authorities),
        (FACTS, &serde_json::json!({"endpoints": [service]}).to_string()),
    ]);
    let path = folder::write(root.path(), "prefab-bootstrap", program);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    root
}

fn check(root: &Path) -> Output {
    let mut command = Command::new("chroot");
    command.arg(root).args(["/prefab-bootstrap", "check", "--json", "--only", "network.endpoints"]);
    // The program gets no variable; chroot itself is looked for along the path.
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap()
}

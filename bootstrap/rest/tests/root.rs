//! A static build needs nothing of its host: it runs in a root folder with itself, resolv.conf and certificates, and a
//! name service switch that would kill `getaddrinfo`.

use std::path::Path;
use std::process::{Command, Output};

use crate::certificates::Authority;
use crate::dns_server::{NameServer, address};
use crate::folder;
use crate::tls::serve;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The probe, built as `cargo build-node` builds the program. The first build takes most of a minute.
fn probe() -> Vec<u8> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    let flags = format!("target.{TARGET}.rustflags=['-Ctarget-feature=+crt-static']");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--package", "prefab-rest", "--example", "probe"])
        .args(["--target", TARGET, "--config", &flags, "--config", "profile.dev.debug=false", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{messages}");
    // The linker says so where a static program calls into the name service switch.
    assert!(!messages.contains("statically linked applications"), "{messages}");
    std::fs::read(target.join(TARGET).join("debug/examples/probe")).unwrap()
}

/// Runs with `root` as the root folder: as root by chroot, else in a user namespace.
fn run_in(root: &Path, arguments: &[&str]) -> Output {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("chroot")
    } else {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--root"]);
        command
    };
    command
        .arg(root)
        .arg("/probe")
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap()
}

#[test]
fn a_static_build_runs_in_an_empty_root_with_a_broken_name_service_switch() {
    use std::os::unix::fs::PermissionsExt;
    let program = probe();
    let contains = |needle: &str| program.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(
        !contains("nsswitch.conf") && !contains("libnss_"),
        "the program would read the host's name service switch"
    );
    let authority = Authority::new();
    let port = serve(authority.sign("service.test", (2020, 2090)));
    let names = NameServer::prompt(|asked| {
        if asked.name == "service.test" {
            asked.answer(&[("service.test", address("127.0.0.1"))])
        } else {
            asked.answer(&[])
        }
    });
    let root = folder::root(&[
        ("etc/resolv.conf", "nameserver 127.0.0.1\n"),
        ("etc/nsswitch.conf", "passwd: resolve\nhosts: resolve [!UNAVAIL=return] files dns\n"),
        ("lib/x86_64-linux-gnu/libnss_resolve.so.2", "no module"),
        ("usr/lib64/libnss_resolve.so.2", "no module"),
        ("etc/ssl/certs/ca-certificates.crt", &authority.pem()),
    ]);
    let path = folder::write(root.path(), "probe", &program);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let dns = names.port.to_string();
    for (arguments, expected, succeeds) in [
        (["/", &dns, "resolve", "service.test"], "[127.0.0.1]", true),
        (["/", &dns, "get", &format!("https://service.test:{port}")], "200 hello", true),
        (["/", &dns, "resolve", "absent.test"], "the name has no address", false),
    ] {
        let output = run_in(root.path(), &arguments);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(expected) && output.status.success() == succeeds, "{arguments:?}: {output:?}");
    }
}

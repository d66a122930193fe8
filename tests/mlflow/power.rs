//! `prefab mlflow open`, `start` and `stop`: each call in botocore's opinion, and against the service's model.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::account::{APP, Account, SERVER, operator};
use super::bed::server;

/// A spec with a tracking server of its own, and one with an app.
const SPEC: &str = "version: 1
name: nixl-dev
region: us-east-1
availability_zone: us-east-1c
network: { public: true }
mlflow: { kind: KIND, name: NAME }
cluster:
  prefill: { count: 1, instance_type: g6e.12xlarge }
  decode: { count: 1, instance_type: g6e.12xlarge }
";

fn spec(kind: &str, name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prefab.yaml"), SPEC.replace("KIND", kind).replace("NAME", name)).unwrap();
    folder
}

fn out(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_link_is_printed_where_it_was_asked_for_and_nowhere_else() {
    let account = Account::open(SERVER, &operator());
    let server_spec = spec("tracking-server", "nixl-efa");
    let nowhere = tempfile::tempdir().unwrap();
    for (folder, arguments) in [
        (&server_spec, &["mlflow", "open"][..]),
        (&nowhere, &["mlflow", "open", "--mlflow", SERVER, "--session", "30"]),
    ] {
        let (code, printed, said) = out(&mut account.prefab(folder.path(), arguments));
        assert_eq!(
            (code, printed.as_str()),
            (Some(0), "https://ui.example/auth?authToken=canary-link&a=b\n"),
            "{said}"
        );
        assert!(said.contains("within 300 s") && !said.contains("canary"), "{said}");
    }
    let app = Account::open(APP, &operator());
    let (code, printed, said) = out(&mut app.prefab(spec("app", "the-app").path(), &["mlflow", "open"]));
    assert_eq!((code, printed.as_str()), (Some(0), "https://ui.example/app?authToken=canary-link\n"), "{said}");
    let calls: Vec<String> = app.calls().into_iter().map(|call| call.action).collect();
    assert_eq!(calls, ["ListMlflowApps", "CreatePresignedMlflowAppUrl"]);
    // A plain server has no links: its own address is the user interface.
    let mut plain = account.prefab(nowhere.path(), &["mlflow", "open", "--mlflow", &server().url()]);
    assert_eq!(out(&mut plain).1, format!("{}\n", server().url()));
    assert!(account.calls().iter().chain(&app.calls()).all(|call| call.signature == "right"));
}

/// The link reaches a browser in a file of its owner, never on a command line, and the file does not stay.
#[test]
fn a_browser_is_handed_a_file_and_not_the_link() {
    let account = Account::open(SERVER, &operator());
    let folder = tempfile::tempdir().unwrap();
    let browser = folder.path().join("browser");
    let seen = folder.path().join("seen");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > {0}.argv\nstat -c %a \"$1\" > {0}.mode\ncat \"$1\" > {0}.page\nexit 1\n",
        seen.display()
    );
    fs::write(&browser, script).unwrap();
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).unwrap();
    let mut open = account.prefab(folder.path(), &["mlflow", "open", "--browser", "--mlflow", SERVER]);
    open.env("BROWSER", &browser).env("TMPDIR", folder.path()).env("PATH", "/bin:/usr/bin");
    let (code, printed, said) = out(&mut open);
    // This browser refuses in the end, and there is no other one here.
    assert_eq!((code, printed.as_str()), (Some(1), ""), "{said}");
    let read = |ending: &str| fs::read_to_string(format!("{}.{ending}", seen.display())).unwrap();
    assert!(!read("argv").contains("canary") && !said.contains("canary"), "{said}");
    assert_eq!(read("mode"), "600\n");
    assert!(read("page").contains("url=https://ui.example/auth?authToken=canary-link&amp;a=b\""), "{}", read("page"));
    assert!(!std::path::Path::new(read("argv").trim()).exists(), "the file stays");
}

#[test]
fn a_server_is_started_and_stopped_and_waited_for() {
    let folder = spec("tracking-server", "nixl-efa");
    for (word, statuses, code, words) in [
        ("start", &["Stopped", "Starting", "Starting", "Started"][..], 0, "nixl-efa is Started"),
        ("start", &["Started"], 0, "is Started already"),
        ("start", &["Creating", "Creating", "Created"], 0, "nixl-efa is Created"),
        ("start", &["Stopped", "Starting", "StartFailed"], 1, "found nixl-efa StartFailed"),
        ("start", &["StartFailed", "StartFailed", "Starting", "Started"], 0, "nixl-efa is Started"),
        ("start", &["Updating"], 4, "nixl-efa is Updating"),
        ("stop", &["Started", "Stopping", "Stopped"], 0, "nixl-efa is Stopped"),
        ("stop", &["Stopped"], 0, "is Stopped already"),
        ("stop", &["Deleting"], 4, "wait until that has ended"),
    ] {
        let account = Account::open(SERVER, &operator());
        account.set("statuses", statuses.to_vec());
        let (found, printed, said) = out(&mut account.prefab(folder.path(), &["mlflow", word, "--hurry", "100"]));
        assert_eq!(found, Some(code), "{word} {statuses:?}: {printed}{said}");
        assert!(format!("{printed}{said}").contains(words), "{word} {statuses:?}: {printed}{said}");
        assert!(account.calls().iter().all(|call| call.signature == "right"));
    }
}

#[test]
fn waiting_has_an_end_and_goes_on_when_asked_again() {
    let folder = spec("tracking-server", "nixl-efa");
    let account = Account::open(SERVER, &operator());
    account.set("statuses", vec!["Stopped", "Starting"]);
    let start = &["mlflow", "start", "--wait", "1", "--hurry", "100"];
    let (code, _, said) = out(&mut account.prefab(folder.path(), start));
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("still Starting"), "{said}");
    account.set("statuses", vec!["Starting", "Started"]);
    assert_eq!(out(&mut account.prefab(folder.path(), start)).0, Some(0));
    let asked = account.calls().iter().filter(|call| call.action == "StartMlflowTrackingServer").count();
    assert_eq!(asked, 1, "one that starts is not asked to start");
}

#[test]
fn what_is_no_tracking_server_is_not_started_or_stopped() {
    let app = Account::open(APP, &operator());
    let (code, _, said) = out(&mut app.prefab(spec("app", "the-app").path(), &["mlflow", "stop"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("expected a tracking server"), "{said}");
    let nowhere = tempfile::tempdir().unwrap();
    let (code, _, said) = out(&mut app.prefab(nowhere.path(), &["mlflow", "start", "--mlflow", &server().url()]));
    assert_eq!(code, Some(1));
    assert!(said.contains("where it runs"), "{said}");
    let (code, _, said) = out(&mut app.prefab(nowhere.path(), &["mlflow", "open"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("found no MLflow"), "{said}");
}

/// Keys come from where the tools of AWS find them: here from a profile's process.
#[test]
fn a_profile_gives_keys_and_its_reason_when_it_has_none() {
    let account = Account::open(SERVER, &operator());
    let folder = tempfile::tempdir().unwrap();
    let (config, process) = (folder.path().join("config"), folder.path().join("process"));
    fs::write(&config, format!("[profile kv]\ncredential_process = {}\n", process.display())).unwrap();
    let write = |script: &str| {
        fs::write(&process, script).unwrap();
        fs::set_permissions(&process, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let keys: std::collections::BTreeMap<_, _> = account.environment().into_iter().collect();
    let open = || {
        let mut open = account.prefab(folder.path(), &["mlflow", "open", "--mlflow", SERVER, "--profile", "kv"]);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            open.env_remove(name);
        }
        out(open.env("AWS_CONFIG_FILE", &config).env("PATH", "/bin:/usr/bin"))
    };
    write(&format!(
        "#!/bin/sh\necho '{{\"Version\": 1, \"AccessKeyId\": \"{}\", \"SecretAccessKey\": \"{}\", \"SessionToken\": \
         \"{}\"}}'\n",
        keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"]
    ));
    let (code, printed, said) = open();
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("canary-link"));
    write("#!/bin/sh\necho 'the session is over' >&2\nexit 1\n");
    let (code, _, said) = open();
    assert_eq!(code, Some(1));
    assert!(said.contains("the session is over"), "{said}");
}

//! `connect` without a command: AWS's client, which is a script here, and what it is given.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::account::{Account, Ran, folder};
use super::planted::{SMALL, cluster_in};

/// A client that writes down its arguments and variable; `more` comes after its version was asked.
fn client(folder: &Path, version: &str, more: &str) {
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo {version}; {more} exit 0; fi\n\
         printf '%s\\n' \"$@\" > arguments; printf %s \"$AWS_SSM_START_SESSION_RESPONSE\" > variable; exit 7\n"
    );
    std::fs::write(bin.join("session-manager-plugin"), script).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("session-manager-plugin"), executable).unwrap();
}

fn connect(account: &Account, folder: &Path, args: &[&str]) -> Ran {
    let mut command = account.command(folder, &[&["connect"], args].concat());
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.join("bin").display()));
    Ran::of(&command.output().unwrap())
}

#[test]
fn a_session_becomes_its_client_and_the_token_is_no_argument() {
    let (account, folder) = (cluster_in("CREATE_COMPLETE"), folder(SMALL));
    client(folder.path(), "1.2.707.0", "");
    // The exit code is the client's own.
    connect(&account, folder.path(), &["prefill-0"]).expect(7).says(&["Prefill0 (i-Prefill0)", "`exit`"]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let arguments = read("arguments");
    let lines: Vec<&str> = arguments.lines().collect();
    assert_eq!(lines[..4], ["AWS_SSM_START_SESSION_RESPONSE", "us-east-1", "StartSession", ""], "{arguments}");
    assert_eq!(lines[4], r#"{"Target":"i-Prefill0"}"#);
    assert!(!arguments.contains("a-token"), "{arguments}");
    let variable: serde_json::Value = serde_json::from_str(&read("variable")).unwrap();
    let expected = serde_json::json!({ "SessionId": "s-0", "TokenValue": "a-token", "StreamUrl": "wss://stream" });
    assert_eq!(variable, expected);
}

#[test]
fn a_port_is_named_by_number_or_by_the_spec() {
    let (account, folder) = (cluster_in("CREATE_COMPLETE"), folder(&format!("{SMALL}ports: {{ vllm: 8123 }}\n")));
    client(folder.path(), "1.2.707.0", "");
    for (text, port, local) in [("vllm", "8123", "8123"), ("vllm:9000", "8123", "9000"), ("22:2022", "22", "2022")] {
        let ran = connect(&account, folder.path(), &["decode-0", "--forward", text]).expect(7);
        assert!(ran.err.contains(&format!("127.0.0.1:{local} leads to port {port} of Decode0")), "{}", ran.err);
        let world = account.world();
        let (instance, request, _) = world.manager.sessions.last().unwrap();
        assert_eq!(
            (instance.as_str(), &request["DocumentName"]),
            ("i-Decode0", &"AWS-StartPortForwardingSession".into())
        );
        let expected = serde_json::json!({ "portNumber": [port], "localPortNumber": [local] });
        assert_eq!(request["Parameters"], expected);
    }
}

#[test]
fn every_mistake_comes_at_once_and_no_session_is_opened() {
    let (account, folder) = (cluster_in("CREATE_COMPLETE"), folder(SMALL));
    let ran = connect(&account, folder.path(), &["prefil-0", "--forward", "70000:x"]).expect(1);
    let ran = ran.says(&["`--forward 70000:x`", "vllm, proxy", "no session-manager-plugin", "--command", "`prefil-0`"]);
    assert_eq!(ran.err.matches("error: ").count(), 3, "{}", ran.err);
    client(folder.path(), "1.2.497.0", "");
    connect(&account, folder.path(), &["prefill-0"]).expect(1).says(&["1.2.497.0, expected one newer"]);
    client(folder.path(), "nonsense", "");
    connect(&account, folder.path(), &["prefill-0"]).expect(1).says(&["expected one newer"]);
    client(folder.path(), "1.2.707.0", "");
    account.world().manager.agents.insert("i-Prefill0".to_owned(), "");
    connect(&account, folder.path(), &["prefill-0"]).expect(1).says(&["found no agent", "prefab preflight"]);
    connect(&account, folder.path(), &["prefill-0", "--command", "x", "--forward", "22"]).expect(2);
    assert!(account.world().manager.sessions.is_empty());
}

#[test]
fn a_client_that_cannot_be_started_leaves_no_session_behind() {
    let (account, folder) = (cluster_in("CREATE_COMPLETE"), folder(SMALL));
    client(folder.path(), "1.2.707.0", "rm \"$0\";");
    connect(&account, folder.path(), &["prefill-0"]).expect(1).says(&["starting session-manager-plugin"]);
    assert!(account.world().manager.sessions[0].2);
}

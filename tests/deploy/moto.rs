//! Preflight against moto, which answers with EC2's own facts of types and where they are offered. It listens on loopback.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use prefab::instance_types;
use serde_json::Value as Json;

use super::account::{Ran, folder};

struct Moto {
    process: Child,
    port: u16,
}

impl Moto {
    fn start(folder: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(crate::python::program("python"));
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let log = std::fs::File::create(folder.join("moto.log")).unwrap();
        command.current_dir(folder).env("HOME", folder).stdout(Stdio::null()).stderr(log);
        let mut this = Self { process: command.spawn().unwrap(), port };
        let until = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || std::fs::read_to_string(folder.join("moto.log")).unwrap_or_default();
            assert!(this.process.try_wait().unwrap().is_none(), "moto ended: {}", log());
            assert!(Instant::now() < until, "moto did not begin to listen: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        this
    }

    /// The rows of a preflight by id: outcome, found, expected.
    fn preflight(&self, folder: &Path, spec: &str) -> Vec<(String, String, String)> {
        std::fs::write(folder.join("prefab.yaml"), spec).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
        command.args(["preflight", "--json", "--time-scale", "50"]).current_dir(folder).env_clear();
        command.env("HOME", folder).env("PREFAB_DIST", folder.join("dist")).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port));
        command.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b").stdin(Stdio::null());
        let ran = Ran::of(&command.output().unwrap());
        let json: Json = serde_json::from_str(ran.out.lines().next().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err));
        let text = |row: &Json, key: &str| row[key].as_str().unwrap().to_owned();
        let rows = json["checks"].as_array().unwrap().iter();
        rows.map(|row| {
            (text(row, "id"), text(row, "outcome"), format!("{} | {}", text(row, "found"), text(row, "expected")))
        })
        .collect()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// One of moto's own images of x86_64.
const IMAGE: &str = "ami-03cf127a";

fn spec(instance_type: &str, zone: &str) -> String {
    let public = instance_types::find(instance_type).unwrap().cards.count == 1;
    format!(
        "version: 1
name: pair
region: us-east-1
availability_zone: {zone}
network: {{ public: {public} }}
mlflow: {{ kind: none }}
cluster:
  prefill: {{ count: 1, instance_type: {instance_type} }}
  decode: {{ count: 1, instance_type: {instance_type} }}
  image: {{ id: {IMAGE} }}
"
    )
}

#[test]
fn the_catalogue_says_of_each_type_what_ec2_says_of_it() {
    let folder = folder("");
    let moto = Moto::start(folder.path());
    let (mut compared, mut unknown, mut wrong) = (0, Vec::new(), Vec::new());
    for of in instance_types::accepted() {
        let rows = moto.preflight(folder.path(), &spec(&of.name, "us-east-1a"));
        let row =
            |id: &str| rows.iter().find(|row| row.0 == id).unwrap_or_else(|| panic!("{}: no {id}: {rows:?}", of.name));
        match (row("type.facts").1.as_str(), &row("type.facts").2) {
            ("pass", _) => compared += 1,
            (_, found) if found.contains("no type") || found.contains("InvalidInstanceType") => {
                unknown.push(of.name.clone());
            }
            (_, found) => wrong.push(format!("{}: {found}", of.name)),
        }
        // Whatever else moto lacks, the launch that we synthesize is one that it takes.
        assert_ne!(row("choices").1, "fail", "{}: {rows:?}", of.name);
    }
    assert_eq!(wrong, Vec::<String>::new());
    // moto's copy of EC2's facts is some months old.
    assert!(compared >= 20, "{compared} compared, moto does not know {unknown:?}");
}

#[test]
fn a_zone_without_the_type_is_found_and_those_with_it_are_named() {
    let folder = folder("");
    let moto = Moto::start(folder.path());
    let rows = moto.preflight(folder.path(), &spec("p5en.48xlarge", "us-east-1b"));
    let offered = rows.iter().find(|row| row.0 == "type.offered").unwrap();
    assert_eq!(offered.1, "fail", "{rows:?}");
    assert!(offered.2.contains("us-east-1a, us-east-1c"), "{}", offered.2);
    // A default subnet has no way out in moto: a public node needs one.
    let rows = moto.preflight(folder.path(), &spec("g6e.12xlarge", "us-east-1a"));
    let outcome = |id: &str| rows.iter().find(|row| row.0 == id).map(|row| row.1.clone()).unwrap();
    assert_eq!(
        ["identity", "choices", "type.facts", "type.offered", "subnet.addresses", "launch.dry-run"].map(outcome),
        ["pass"; 6]
    );
    assert_eq!(outcome("subnet.route"), "fail");
}

//! An account on loopback, its faults, and `prefab` working in it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use super::http::{Answer, Reply, Request, serve};
use super::world::World;
use super::{cloudformation, others, systems_manager};

/// What is done to a request before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// Refused before anything happens.
    Throttled,
    /// A proxy's page instead of an answer.
    Page,
    /// The connection ends before anything happens.
    CutBefore,
    /// It happens, and nobody hears of it.
    CutAfter,
    /// It happens, and half of the answer arrives.
    Garbled,
    /// The credentials have expired.
    Expired,
}

type Plan = dyn FnMut(&Request, &str) -> Fault + Send;

/// An account on loopback.
#[derive(Clone)]
pub struct Account {
    world: Arc<Mutex<World>>,
    faults: Arc<Mutex<Box<Plan>>>,
    url: String,
    /// How much faster than the wall clock waits pass.
    scale: u32,
}

impl Account {
    pub fn new() -> Self {
        let world = Arc::new(Mutex::new(World::new()));
        let faults: Arc<Mutex<Box<Plan>>> = Arc::new(Mutex::new(Box::new(|_, _| Fault::None)));
        let (inner, planned) = (Arc::clone(&world), Arc::clone(&faults));
        let address = serve(move |request| answer(&inner, &planned, request));
        Self { world, faults, url: format!("http://{address}"), scale: 2000 }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// What is done to each request; the second argument is `Service.Action`, or `s3.METHOD`.
    pub fn faults(&self, plan: impl FnMut(&Request, &str) -> Fault + Send + 'static) {
        *self.faults.lock().unwrap() = Box::new(plan);
    }

    /// Waits pass more slowly: for what several processes do at once.
    pub fn slower(self) -> Self {
        Self { scale: 500, ..self }
    }

    pub fn no_faults(&self) {
        self.faults(|_, _| Fault::None);
    }

    /// `prefab` in a folder, with nothing of this machine's own AWS configuration.
    pub fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prefab"));
        let (name, args) = args.split_at(1);
        command.args(name).args(["--time-scale", &self.scale.to_string()]).args(args);
        command.current_dir(folder).env_clear();
        command.env("HOME", folder).env("NO_COLOR", "1").env("PREFAB_DIST", folder.join("dist"));
        command
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_MAX_ATTEMPTS", "1");
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret").stdin(Stdio::null());
        command
    }

    pub fn run(&self, folder: &Path, args: &[&str]) -> Ran {
        let output = self.command(folder, args).output().unwrap();
        Ran::of(&output)
    }

    pub fn spawn(&self, folder: &Path, args: &[&str]) -> Child {
        self.command(folder, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// What a run said.
#[derive(Debug)]
pub struct Ran {
    /// 128 and the signal's number for one that a signal ended.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: &std::process::Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal)).unwrap();
        Self { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let all = format!("{}{}", self.out, self.err);
        for word in words {
            assert!(all.contains(word), "`{word}` is not in\n{all}");
        }
        self
    }
}

fn answer(world: &Mutex<World>, faults: &Mutex<Box<Plan>>, request: &Request) -> Answer {
    let service = request.service().to_owned();
    let form =
        if matches!(service.as_str(), "cloudformation" | "sts" | "ec2") { request.form() } else { Default::default() };
    let name = match form.get("Action") {
        Some(action) => format!("{service}.{action}"),
        None if service == "ssm" => systems_manager::name(request),
        None => format!("{service}.{}", request.method),
    };
    let fault = (faults.lock().unwrap())(request, &name);
    match fault {
        Fault::CutBefore => return Answer::Cut,
        Fault::Throttled if service == "s3" => {
            return Answer::Reply(Reply {
                status: 503,
                ..Reply::refusal("SlowDown", "Please reduce your request rate.")
            });
        }
        Fault::Throttled if service == "ssm" => {
            return Answer::Reply(systems_manager::refusal("ThrottlingException", "Rate exceeded"));
        }
        Fault::Throttled => {
            return Answer::Reply(Reply::refusal("Throttling", "Rate exceeded"));
        }
        Fault::Page => {
            return Answer::Reply(Reply { status: 502, ..Reply::xml("<html><body>502 Bad Gateway</body></html>") });
        }
        Fault::Expired => {
            return Answer::Reply(Reply {
                status: 403,
                ..Reply::refusal("ExpiredToken", "The security token included in the request is expired")
            });
        }
        Fault::None | Fault::CutAfter | Fault::Garbled => {}
    }
    let mut world = world.lock().unwrap();
    let reply = match service.as_str() {
        "cloudformation" => cloudformation::answer(&mut world, &form),
        "sts" => others::sts(&mut world),
        "ec2" => others::ec2(&mut world, &form),
        "ssm" => systems_manager::answer(&mut world, request),
        "servicequotas" => others::quotas(&mut world),
        "s3" => others::s3(&mut world, request),
        other => Reply::refusal("UnknownService", other),
    };
    match fault {
        Fault::CutAfter => Answer::Cut,
        Fault::Garbled if !reply.body.is_empty() => Answer::Half(reply),
        _ => Answer::Reply(reply),
    }
}

/// A folder with a spec and node programs.
pub fn folder(spec: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prefab.yaml"), spec).unwrap();
    std::fs::create_dir(folder.path().join("dist")).unwrap();
    for name in ["prefab-bootstrap", "prefab-fabric"] {
        std::fs::write(folder.path().join("dist").join(name), format!("the program {name}")).unwrap();
    }
    folder
}

/// A spec without anything that this test does not need.
pub const SPEC: &str = "version: 1
name: pair
region: us-east-1
availability_zone: us-east-1c
network: { public: true }
mlflow: { kind: tracking-server, name: nixl-efa-mlflow, size: Small }
cluster:
  prefill: { count: 1, instance_type: g6e.12xlarge }
  decode: { count: 1, instance_type: g6e.12xlarge }
  image: { id: ami-0123456789abcdef0 }
";

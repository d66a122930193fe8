//! `probe ROOT DNS-PORT get URL | resolve NAME`: the vehicle of the test that a static build needs nothing of its host.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use prefab_rest::http::{Bounds, Client};
use prefab_rest::request::{Method, Request};
use prefab_rest::resolve::Resolver;
use prefab_rest::url::Base;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let resolver = |root: &str, port: &str| Resolver::new(Path::new(root)).port(port.parse().unwrap_or(53));
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [root, port, "get", url] => get(Path::new(root), resolver(root, port), url),
        [root, port, "resolve", name] => resolver(root, port)
            .resolve(name, Instant::now() + Duration::from_secs(10))
            .map(|addresses| format!("{addresses:?}"))
            .map_err(|error| error.to_string()),
        _ => Err("usage: probe ROOT DNS-PORT get URL | resolve NAME".to_owned()),
    };
    let (text, code) = match outcome {
        Ok(text) => (text, 0),
        Err(text) => (text, 1),
    };
    // A closed standard output leaves nobody to tell.
    let _unread = writeln!(std::io::stdout(), "{text}");
    code.into()
}

fn get(root: &Path, resolver: Resolver, url: &str) -> Result<String, String> {
    let base = Base::parse(url).map_err(|error| error.to_string())?;
    let response = Client::new(root, Bounds::default())
        .resolver(resolver)
        .send(&Request::new(Method::Get, &base, "/"), 1 << 20)
        .map_err(|error| error.to_string())?;
    Ok(format!("{} {}", response.status, String::from_utf8_lossy(&response.body)))
}

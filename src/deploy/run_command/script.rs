//! What a node's shell is told. Systems Manager keeps each script for 30 days: nothing secret stands in one, and a link that
//! does is dead before anybody could use it.

/// The node's program.
const PROGRAM: &str = "/usr/local/bin/prefab-bootstrap";

/// Where a node keeps what it was told to run.
const FOLDER: &str = "/var/lib/prefab/commands";

/// A script ends so where another delivery of it came first.
pub const RAN_BEFORE: i32 = 75;

/// Between the first and the last request to end, seconds.
const GRACE_SECONDS: u32 = 30;

/// A task file in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskObject {
    /// A link to it.
    pub link: String,
    /// Its digest, 64 hexadecimal digits.
    pub sha256: String,
}

/// Fetches and runs a task file. The link goes to curl's standard input: arguments are seen by every process of the node.
pub fn tasks(run: &str, file: &TaskObject, arguments: &[String], limit_seconds: u32) -> String {
    let scheme = if file.link.starts_with("https:") { "=https" } else { "=http" };
    let TaskObject { link, sha256 } = file;
    format!(
        "{begin}curl --proto '{scheme}' --fail --silent --show-error --retry 3 --max-time 120 --output \"$folder/tasks.json\" --config - <<'END'\n\
         url = \"{link}\"\n\
         END\n\
         echo \"{sha256}  $folder/tasks.json\" | sha256sum --check --status || {{ echo 'prefab: the task file is not what was sent' >&2; exit 1; }}\n\
         exec {limit} {PROGRAM} tasks \"$folder/tasks.json\"{arguments}\n",
        begin = begin(run),
        limit = limit(limit_seconds),
        arguments = quoted_all(arguments),
    )
}

/// Measures, and prints the report on standard output, however the benchmark ended.
pub fn bench(run: &str, arguments: &[String], limit_seconds: u32) -> String {
    format!(
        "{begin}code=0\n\
         {limit} {PROGRAM} bench{arguments} --json \"$folder/report.json\" >&2 || code=$?\n\
         [ ! -s \"$folder/report.json\" ] || cat \"$folder/report.json\"\n\
         exit \"$code\"\n",
        begin = begin(run),
        limit = limit(limit_seconds),
        arguments = quoted_all(arguments),
    )
}

/// Runs what a person wrote, in the environment of a log-in.
pub fn command(run: &str, text: &str, limit_seconds: u32) -> String {
    format!("{}exec {} bash -lc {}\n", begin(run), limit(limit_seconds), quoted(text))
}

/// Whoever delivers a script may do so twice, and whoever sent it may have lost the reply: the folder of a run is made once.
fn begin(run: &str) -> String {
    format!(
        "#!/bin/bash\n\
         set -eu\n\
         umask 077\n\
         export HOME=/root\n\
         folder={FOLDER}/{run}\n\
         mkdir -p {FOLDER}\n\
         mkdir \"$folder\" || {{ echo 'prefab: this run began here before' >&2; exit {RAN_BEFORE}; }}\n"
    )
}

/// In the foreground, so that whoever ends the script's group ends this too.
fn limit(seconds: u32) -> String {
    format!("timeout --foreground --kill-after={GRACE_SECONDS} {seconds}")
}

fn quoted_all(arguments: &[String]) -> String {
    arguments.iter().map(|argument| format!(" {}", quoted(argument))).collect()
}

/// A word of a shell that means itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The timer that ends a node and what it starts.
const TIMER: &str = "/etc/systemd/system/prefab-lifetime";

/// Ends the node so many seconds from now; a later one takes the place of an earlier one.
pub fn lifetime(run: &str, seconds: u64) -> String {
    format!(
        "{begin}at=$(date -u -d '+{seconds} seconds' '+%Y-%m-%d %H:%M:%S UTC')\n\
         umask 022\n\
         cat > {TIMER}.service <<'END'\n\
         [Unit]\n\
         Description=prefab: this node has lived as long as it should\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart=/usr/bin/systemctl poweroff\n\
         END\n\
         cat > {TIMER}.timer <<END\n\
         [Unit]\n\
         Description=prefab: ends this node at $at\n\
         \n\
         [Timer]\n\
         OnCalendar=$at\n\
         AccuracySec=1s\n\
         Persistent=true\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n\
         END\n\
         systemctl daemon-reload\n\
         systemctl enable prefab-lifetime.timer\n\
         systemctl restart prefab-lifetime.timer\n\
         echo \"this node ends at $at\"\n",
        begin = begin(run),
    )
}

/// Takes the timer away.
pub fn endless(run: &str) -> String {
    format!(
        "{}systemctl disable --now prefab-lifetime.timer 2>/dev/null || true\n\
         rm -f {TIMER}.timer {TIMER}.service\n\
         systemctl daemon-reload\n",
        begin(run)
    )
}

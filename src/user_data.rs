//! The node script: rendered once, split where CloudFormation puts in what only it knows, and measured at its largest.

use std::sync::LazyLock;

use handlebars::Handlebars;
use prefab_contract::node_seed::NodeSeed;
use serde_json::{Value, json};

/// EC2 takes at most this many bytes of user data, counted before base64.
pub const LIMIT_BYTES: usize = 16_384;

const TEMPLATE: &str = include_str!("../userdata/node.sh.hbs");

/// A piece of the script, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The same on every node of every stack.
    Text(String),
    /// Put in by CloudFormation.
    Seed(SeedValue),
}

/// A value that is known only at deploy, and is the same for all nodes of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeedValue {
    /// The cluster stack's ARN.
    StackId,
    /// The stack's region.
    Region,
    /// The partition's domain.
    UrlSuffix,
    /// The bucket with the programs.
    Bucket,
    /// The hash of `prefab-bootstrap`.
    BootstrapSha256,
}

/// Where CloudFormation takes a seed value from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A pseudo parameter, by its name.
    Pseudo(&'static str),
    /// A parameter of the template, which must carry the field's pattern and lengths.
    Parameter,
}

/// What a seed value may look like. Template parameters, the worst case and the tests read this one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedField {
    /// Which value.
    pub value: SeedValue,
    /// Its name in the script's template; in capitals, the shell variable's.
    pub name: &'static str,
    /// Where CloudFormation takes it from.
    pub source: Source,
    /// `AllowedPattern`, for the whole value. It leaves out everything that could end a single-quoted assignment.
    pub pattern: &'static str,
    /// `MaxLength`.
    pub max_length: usize,
    /// `ConstraintDescription`: what a person reads when the pattern refuses a value.
    pub expected: &'static str,
}

/// Every value that the script takes from CloudFormation.
///
/// The longest stack ARN has the partition `aws-us-gov`, a region, 12 digits of account, a stack name of 128 characters and
/// a UUID. Regions and domains are at most 15 and 16 characters today; there is room for later ones.
pub const SEED_FIELDS: [SeedField; 5] = [
    SeedField {
        value: SeedValue::StackId,
        name: "stack_id",
        source: Source::Pseudo("AWS::StackId"),
        pattern: "^arn:[a-z-]{3,20}:cloudformation:[a-z0-9-]{9,24}:[0-9]{12}:stack/[A-Za-z][A-Za-z0-9-]{0,127}/[0-9a-f-]{36}$",
        max_length: "arn::cloudformation:::stack//".len() + 20 + REGION_MAX + 12 + 128 + 36,
        expected: "the ARN of a stack",
    },
    SeedField {
        value: SeedValue::Region,
        name: "region",
        source: Source::Pseudo("AWS::Region"),
        pattern: "^[a-z0-9-]{9,24}$",
        max_length: REGION_MAX,
        expected: "a region such as us-east-1",
    },
    SeedField {
        value: SeedValue::UrlSuffix,
        name: "url_suffix",
        source: Source::Pseudo("AWS::URLSuffix"),
        pattern: "^[a-z0-9.-]{4,32}$",
        max_length: 32,
        expected: "a domain such as amazonaws.com",
    },
    SeedField {
        value: SeedValue::Bucket,
        name: "bucket",
        source: Source::Parameter,
        // No dots: the certificate of S3 covers one label before `s3.REGION`.
        pattern: "^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
        max_length: 63,
        expected: "the name of a bucket: 3 to 63 lower-case letters, digits and hyphens",
    },
    SeedField {
        value: SeedValue::BootstrapSha256,
        name: "bootstrap_sha256",
        source: Source::Parameter,
        pattern: "^[0-9a-f]{64}$",
        max_length: 64,
        expected: "64 lower-case hexadecimal digits, from `sha256sum prefab-bootstrap`",
    },
];

const REGION_MAX: usize = 24;

impl SeedValue {
    /// The row of the table.
    pub fn field(self) -> &'static SeedField {
        // The table names every value; a unit test holds it to that.
        SEED_FIELDS.iter().find(|field| field.value == self).unwrap_or(&SEED_FIELDS[0])
    }

    fn of(self, seed: &NodeSeed) -> &str {
        match self {
            Self::StackId => &seed.stack_id,
            Self::Region => &seed.region,
            Self::UrlSuffix => &seed.url_suffix,
            Self::Bucket => &seed.bucket,
            Self::BootstrapSha256 => seed.bootstrap_sha256.as_str(),
        }
    }
}

/// Where the script finds things and how long it waits. A node has [`Surroundings::default`]; tests have a server on
/// loopback, folders of their own and short waits.
///
/// These are rendered into the script as constants, so that nothing on a node can redirect it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The instance metadata service.
    pub imds: String,
    /// The bucket's origin, in which the script's own variables are expanded.
    pub s3: String,
    /// CloudFormation's origin, likewise.
    pub cloudformation: String,
    /// What curl may speak with AWS, as its `--proto` takes it.
    pub protocol: String,
    /// Where the program is installed.
    pub program: String,
    /// Where the seed is written for the program.
    pub seed_file: String,
    /// Where a person sees the boot.
    pub console: String,
    /// The search path of the script and of the program.
    pub path: String,
    /// Waits between attempts, the last one repeating.
    pub retry_delays_ms: Vec<u32>,
    /// How long tags and permissions may take to reach a new node.
    pub settle_seconds: u32,
    /// How long the download may take with all its attempts.
    pub program_seconds: u32,
    /// How long each of the two messages about a failure may take.
    pub report_seconds: u32,
    /// After how long without progress a download attempt is given up.
    pub stall_seconds: u32,
    /// The largest program that is taken.
    pub program_kib: u32,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            imds: "http://169.254.169.254".into(),
            s3: "https://$BUCKET.s3.$REGION.$URL_SUFFIX".into(),
            cloudformation: "https://cloudformation.$REGION.$URL_SUFFIX".into(),
            protocol: "=https".into(),
            program: "/usr/local/bin/prefab-bootstrap".into(),
            seed_file: "/etc/prefab/node-seed.json".into(),
            console: "/dev/console".into(),
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            retry_delays_ms: vec![1_000, 2_000, 4_000, 5_000],
            settle_seconds: 60,
            program_seconds: 75,
            report_seconds: 10,
            stall_seconds: 10,
            program_kib: 64 * 1024,
        }
    }
}

impl Surroundings {
    /// An upper bound of the script's life. A stage may pass its deadline by one wait and one last round of requests.
    pub fn overall_seconds(&self) -> u32 {
        // Five requests of at most 3 s tell a node who it is.
        self.settle_seconds + self.longest_wait() + 5 * 3 + self.failed_download_seconds()
    }

    /// The part of it that begins with the download: an upper bound for every way in which that can fail.
    pub fn failed_download_seconds(&self) -> u32 {
        // Before its last attempt, of 1 s, the download asks for credentials again, twice 3 s.
        let download = self.program_seconds + self.longest_wait() + 2 * 3 + 1;
        let message = self.report_seconds + self.longest_wait() + 1;
        download + 2 * message
    }

    fn longest_wait(&self) -> u32 {
        self.retry_delays_ms.iter().max().map_or(0, |ms| ms.div_ceil(1_000))
    }

    fn constants(&self) -> Value {
        let delays = self.retry_delays_ms.iter().map(|ms| (f64::from(*ms) / 1_000.0).to_string());
        json!({
            "imds": self.imds,
            "s3": self.s3,
            "cloudformation": self.cloudformation,
            "protocol": self.protocol,
            "program": self.program,
            "seed_file": self.seed_file,
            "console": self.console,
            "path": self.path,
            "retry_delays": delays.collect::<Vec<_>>().join(" "),
            "settle_seconds": self.settle_seconds,
            "program_seconds": self.program_seconds,
            "report_seconds": self.report_seconds,
            "stall_seconds": self.stall_seconds,
            "program_kib": self.program_kib,
            "overall_seconds": self.overall_seconds(),
        })
    }

    /// The script in these surroundings, split at the values that CloudFormation puts in.
    pub fn parts(&self) -> Vec<Part> {
        let mut values = self.constants();
        for field in &SEED_FIELDS {
            values[field.name] = sentinel(field).into();
        }
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_escape_fn(handlebars::no_escape);
        let script = handlebars
            .render_template(TEMPLATE, &values)
            .expect("the node script is part of this program and is rendered by its tests");
        split(&script)
    }

    /// The script as a node of `seed`'s stack would run it in these surroundings.
    pub fn render(&self, seed: &NodeSeed) -> String {
        join(&self.parts(), |value| value.of(seed))
    }
}

/// The script of a real node, in pieces for `Fn::Join`.
pub fn parts() -> &'static [Part] {
    static PARTS: LazyLock<Vec<Part>> = LazyLock::new(|| Surroundings::default().parts());
    &PARTS
}

/// The script as a node of `seed`'s stack runs it.
pub fn render(seed: &NodeSeed) -> String {
    join(parts(), |value| value.of(seed))
}

/// The size of the script after substitution when every value is as long as it can be.
///
/// EC2 counts what CloudFormation has substituted, so the size of the template's text says nothing.
pub fn worst_case_bytes() -> usize {
    parts()
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.len(),
            Part::Seed(value) => value.field().max_length,
        })
        .sum()
}

fn join<'a>(parts: &'a [Part], value_of: impl Fn(SeedValue) -> &'a str) -> String {
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text,
            Part::Seed(value) => value_of(*value),
        })
        .collect()
}

/// No shell script contains a unit separator, so this marks a place and nothing else.
const MARK: char = '\u{1f}';

fn sentinel(field: &SeedField) -> String {
    format!("{MARK}{}{MARK}", field.name)
}

fn split(script: &str) -> Vec<Part> {
    // Text and names alternate between the marks.
    let pieces = script.split(MARK).enumerate().map(|(index, piece)| {
        match SEED_FIELDS.iter().find(|field| index % 2 == 1 && field.name == piece) {
            Some(field) => Part::Seed(field.value),
            None => Part::Text(piece.to_owned()),
        }
    });
    pieces.filter(|part| *part != Part::Text(String::new())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_put_in_once_in_single_quotes() {
        let parts = parts();
        for field in &SEED_FIELDS {
            let at: Vec<usize> = (0..parts.len()).filter(|&at| parts[at] == Part::Seed(field.value)).collect();
            let [at] = at[..] else { panic!("{} is put in {} times", field.name, at.len()) };
            let (Part::Text(before), Part::Text(after)) = (&parts[at - 1], &parts[at + 1]) else { panic!("{parts:?}") };
            assert!(before.ends_with(&format!("\n{}='", field.name.to_uppercase())), "{before}");
            assert!(after.starts_with("'\n"), "{after}");
            assert_eq!(field.value.field(), field);
        }
    }

    #[test]
    fn braces_of_the_shell_are_not_taken_for_handlebars() {
        let mut rest = TEMPLATE;
        while let Some((_, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}").expect("every {{ is closed");
            let comment = inside.starts_with("!--") && inside.ends_with("--");
            let name = inside.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            assert!(comment || name, "{{{{{inside}}}}}");
            rest = after;
        }
        let text: String = join(parts(), |_| "");
        assert!(!text.contains("{{") && !text.contains("}}") && !text.contains(MARK));
    }

    #[test]
    fn the_script_fits_at_its_largest() {
        let longest = worst_case_bytes();
        assert!(
            longest <= LIMIT_BYTES,
            "{longest} bytes, {LIMIT_BYTES} allowed: move comments into handlebars comments"
        );
    }

    #[test]
    fn the_script_holds_no_secret() {
        assert_eq!(crate::secret_literals::find(&join(parts(), |_| "")), []);
    }

    /// Goal R12: whatever happens to the download, the node has answered within 120 seconds.
    #[test]
    fn every_wait_is_bounded() {
        let node = Surroundings::default();
        assert!(node.failed_download_seconds() <= 120, "{}", node.failed_download_seconds());
        assert!(node.overall_seconds() <= 240, "{}", node.overall_seconds());
        assert!(join(parts(), |_| "").contains(&format!("within {} seconds", node.overall_seconds())));
    }

    #[test]
    fn comments_for_the_repository_leave_no_trace() {
        let text = join(parts(), |_| "");
        assert!(text.starts_with("#!/bin/bash\n"));
        assert!(text.ends_with("\nmain \"$@\"\n"));
        assert!(!text.contains("!--") && !text.contains("\n\n\n") && text.lines().all(|line| line.trim_end() == line));
        assert!(text.is_ascii());
    }
}

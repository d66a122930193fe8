//! Empties a bucket for good: writers are shut out first, then every version, marker and unfinished upload goes. What
//! the bucket keeps under a lock is told, and ends it.

use serde_json::{Value as Json, json};

use super::account::{Problem, Undeleted};
use super::operator::Stop;
use super::session::Session;

/// The statement that shuts writers out.
const SHUT: &str = "PrefabDestroyShutsWritersOut";

/// Pages of a thousand: more than a hundred million versions are not ours.
const MOST_PAGES: u32 = 100_000;

/// How many versions and markers a bucket holds, counted up to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Versions and markers of the first page.
    pub versions: usize,
    /// Whether there are more.
    pub more: bool,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = if self.more { "at least " } else { "" };
        write!(f, "{more}{} versions and markers", self.versions)
    }
}

/// What a bucket holds; `None` when it is not there.
///
/// # Errors
/// The account gives no answer.
pub fn held(session: Session<'_>, bucket: &str) -> Result<Option<Held>, Stop> {
    let doing = format!("looking into {bucket}");
    if !session.call(&doing, |account| account.bucket_exists(bucket))? {
        return Ok(None);
    }
    let versions = session.call(&doing, |account| account.versions(bucket))?.len();
    Ok(Some(Held { versions, more: versions >= 1000 }))
}

/// Empties it; how many versions and markers went.
///
/// # Errors
/// The bucket keeps something: Object Lock, a legal hold, a policy.
pub fn empty(session: Session<'_>, bucket: &str) -> Result<usize, Stop> {
    let doing = format!("emptying {bucket}");
    shut(session, bucket, &doing)?;
    session.call(&doing, |account| account.abort_uploads(bucket))?;
    let mut gone = 0;
    for _ in 0..MOST_PAGES {
        let page = session.call(&doing, |account| account.versions(bucket))?;
        if page.is_empty() {
            return Ok(gone);
        }
        let kept = session.call(&doing, |account| account.delete_versions(bucket, &page))?;
        if !kept.is_empty() {
            return Err(kept_back(bucket, &kept));
        }
        gone += page.len();
        session.say(format!("{bucket}: {gone} versions and markers deleted"));
        session.heed(&format!("interrupted; {gone} versions and markers of {bucket} are gone, the rest is there"))?;
    }
    Err(Stop::refused(format!(
        "{bucket} did not become empty; something goes on writing into it: find it, then run `prefab destroy` again"
    )))
}

fn kept_back(bucket: &str, kept: &[Undeleted]) -> Stop {
    const SHOWN: usize = 5;
    let some: Vec<String> = kept.iter().take(SHOWN).map(|of| format!("{} ({})", of.key, of.reason)).collect();
    let rest = if kept.len() > SHOWN { format!(" and {} more", kept.len() - SHOWN) } else { String::new() };
    Stop::refused(format!(
        "{bucket} keeps {}{rest}: Object Lock, a legal hold or a policy protects them. They are left as they are; when the retention has ended, run `prefab destroy` again",
        some.join(", ")
    ))
}

/// Writers race the emptying, and the deletion fails half-way: nobody may write from now on.
fn shut(session: Session<'_>, bucket: &str, doing: &str) -> Result<(), Stop> {
    let policy = session.call(doing, |account| account.bucket_policy(bucket))?;
    let shut = shut_policy(&policy, bucket);
    match session.ask(|account| account.set_bucket_policy(bucket, &shut)) {
        Ok(()) => Ok(()),
        Err(problem @ (Problem::Denied(_) | Problem::Refused(_))) => {
            session.warn(format!("writers of {bucket} could not be shut out ({problem}); whoever writes meanwhile makes the deletion fail"));
            Ok(())
        }
        Err(problem) => Err(session.stopped(doing, problem)),
    }
}

fn shut_policy(policy: &str, bucket: &str) -> String {
    let mut json: Json = serde_json::from_str(policy).unwrap_or_else(|_| json!({ "Version": "2012-10-17" }));
    let mut statements: Vec<Json> = json["Statement"].as_array().cloned().unwrap_or_default();
    statements.retain(|statement| statement["Sid"] != SHUT);
    // The partition is that of the statements that are there.
    let known = statements.iter().find_map(|statement| match &statement["Resource"] {
        Json::String(arn) => arn.split(':').nth(1).map(str::to_owned),
        Json::Array(arns) => arns.first()?.as_str()?.split(':').nth(1).map(str::to_owned),
        _ => None,
    });
    let partition = known.unwrap_or_else(|| "aws".to_owned());
    statements.push(json!({
        "Sid": SHUT,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": format!("arn:{partition}:s3:::{bucket}/*"),
    }));
    json["Statement"] = statements.into();
    json.to_string()
}

#[cfg(test)]
mod tests {
    use super::{SHUT, shut_policy};

    #[test]
    fn writers_are_shut_out_once_and_the_rest_of_the_policy_stays() {
        let before = r#"{"Version":"2012-10-17","Statement":[{"Sid":"TlsOnly","Effect":"Deny","Resource":["arn:aws-us-gov:s3:::b"]}]}"#;
        let once = shut_policy(before, "b");
        assert!(once.contains("TlsOnly") && once.contains("arn:aws-us-gov:s3:::b/*"), "{once}");
        assert_eq!(shut_policy(&once, "b"), once);
        assert_eq!(shut_policy("", "b").matches(SHUT).count(), 1);
    }
}

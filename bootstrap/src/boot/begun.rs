//! When this node began to prove itself: a reboot in the middle does not make CloudFormation wait longer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prefab_contract::node_seed::NodeSeed;

use super::phase::write_whole;
use super::{Place, record};

/// No creation policy waits longer; a time before that is a clock that was wrong.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// How long the boot has gone on before this program. Nothing at a node's first time, and nothing once its signal was
/// taken: nobody waits for it then.
pub(super) fn before(place: Place<'_>, seed: &NodeSeed, instance_id: &str) -> Duration {
    if record::already_signalled(place, seed, instance_id) {
        return Duration::ZERO;
    }
    let path = place.path("var/lib/prefab/begun");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let own = record::mark(seed, instance_id);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let begun = kept.strip_prefix(&own).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    let Some(begun) = begun else {
        // A disk that refuses this refuses the rest, too, and that is then the reason.
        let _unkept = write_whole(&path, format!("{own}{}\n", now.as_secs()).as_bytes(), 0o600);
        return Duration::ZERO;
    };
    now.checked_sub(begun).filter(|spent| *spent < LONGEST).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_from_the_first_boot_of_this_instance_until_its_signal() {
        let root = tempfile::tempdir().unwrap();
        let place = Place { root: root.path(), hurry: 1 };
        let seed = crate::boot::tests::seed();
        assert_eq!(before(place, &seed, "i-1"), Duration::ZERO);
        let kept = root.path().join("var/lib/prefab/begun");
        let text = std::fs::read_to_string(&kept).unwrap();
        let seconds: u64 = text.trim().rsplit('\n').next().unwrap().parse().unwrap();
        let ago = |by: u64| std::fs::write(&kept, text.replace(&seconds.to_string(), &(seconds - by).to_string()));
        ago(600).unwrap();
        assert!((600..700).contains(&before(place, &seed, "i-1").as_secs()));
        assert_eq!(before(place, &seed, "i-2"), Duration::ZERO);
        before(place, &seed, "i-1");
        ago(24 * 3600).unwrap();
        assert_eq!(before(place, &seed, "i-1"), Duration::ZERO);
        ago(600).unwrap();
        record::remember_signal(place, &seed, "i-1").unwrap();
        assert_eq!(before(place, &seed, "i-1"), Duration::ZERO);
    }
}

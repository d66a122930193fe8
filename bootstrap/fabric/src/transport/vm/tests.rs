//! One process that is both ends.

use std::sync::Arc;

use prefab_contract::engine::Operation;

use super::*;
use crate::transport::memory::Pool;
use crate::transport::{Setting, Unavailable};
use crate::watch::Watch;

fn setting() -> Setting {
    Setting { operation: Operation::Read, watch: Watch::asleep() }
}

#[test]
fn another_process_under_the_targets_id_is_found_by_the_nonce_its_address_or_its_absence() {
    let pool = Pool::new(4096).unwrap();
    let (_target, access) = VmTarget::new(setting(), pool.address(), &Arc::new(Admission::of_nobody())).unwrap();
    VmInitiator::new(setting(), access.clone(), 4096).unwrap();
    for (access, words) in [
        (AddressSpace { nonce: [0; 32], ..access.clone() }, "found another process under the target's id"),
        (AddressSpace { notice_address: 8, ..access.clone() }, "one process namespace"),
        (AddressSpace { pid: i32::MAX, ..access.clone() }, "one process namespace"),
        (
            AddressSpace { namespace: Some("pid:[1]".to_owned()), ..access },
            "found the target in the process namespace pid:[1]",
        ),
    ] {
        let error = VmInitiator::new(setting(), access, 4096).err().unwrap();
        assert!(error.is::<Unavailable>() && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_process_may_read_itself_here() {
    assert_eq!(unavailable_here(), None);
}

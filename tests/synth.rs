//! `prefab synth` and its files.

use crate::prefab::{Prefab, root};

#[test]
fn the_committed_templates_are_what_their_specs_give() {
    for folder in std::fs::read_dir(root().join("templates")).unwrap() {
        let folder = folder.unwrap().path();
        let spec = folder.join("prefab.yaml");
        let ran = Prefab::new(&["synth", "--check", "-f", spec.to_str().unwrap()]).run().expect_code(0);
        assert!(ran.out.contains("is what the spec gives"), "{}", ran.out);
    }
}

//! The commit that a folder is at, read from git's own files: a node has no git, and a person's folder may have any.

use std::fs;
use std::path::{Path, PathBuf};

/// The commit of the work tree that `folder` lies in; `None` outside of one.
pub(super) fn commit(folder: &Path) -> Option<String> {
    let git = folder.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    // A linked work tree has a file that names its folder, which names the common one.
    let own = match fs::read_to_string(&git) {
        Ok(text) => git.parent()?.join(text.strip_prefix("gitdir: ")?.trim()),
        Err(_) => git,
    };
    let common = match fs::read_to_string(own.join("commondir")) {
        Ok(text) => own.join(text.trim()),
        Err(_) => own.clone(),
    };
    let head = fs::read_to_string(own.join("HEAD")).ok()?;
    let commit = match head.trim().strip_prefix("ref: ") {
        Some(name) => reference(&[own, common], name)?,
        None => head.trim().to_owned(),
    };
    let is_hash = matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some(commit)
}

fn reference(folders: &[PathBuf], name: &str) -> Option<String> {
    let loose = folders.iter().find_map(|folder| fs::read_to_string(folder.join(name)).ok());
    let packed = || {
        let text = folders.iter().find_map(|folder| fs::read_to_string(folder.join("packed-refs")).ok())?;
        let line = text.lines().find(|line| line.split_once(' ').is_some_and(|(_, named)| named == name))?;
        line.split_once(' ').map(|(commit, _)| commit.to_owned())
    };
    loose.map(|text| text.trim().to_owned()).or_else(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    #[test]
    fn a_branch_a_packed_one_a_detached_head_and_a_linked_tree() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let at = |folder: &str| commit(&root.path().join(folder));
        fs::create_dir_all(root.path().join("tree/deep/er")).unwrap();
        assert_eq!(at("tree/deep"), None);
        write("tree/.git/HEAD", "ref: refs/heads/main\n");
        write("tree/.git/packed-refs", &format!("# pack-refs\n{TWO} refs/heads/other\n{ONE} refs/heads/main\n"));
        assert_eq!(at("tree/deep/er").as_deref(), Some(ONE));
        write("tree/.git/refs/heads/main", &format!("{TWO}\n"));
        assert_eq!(at("tree").as_deref(), Some(TWO));
        write("tree/.git/worktrees/linked/HEAD", "ref: refs/heads/main\n");
        write("tree/.git/worktrees/linked/commondir", "../..\n");
        write("linked/.git", &format!("gitdir: {}\n", root.path().join("tree/.git/worktrees/linked").display()));
        assert_eq!(at("linked").as_deref(), Some(TWO));
        write("tree/.git/HEAD", &format!("{ONE}\n"));
        assert_eq!(at("tree").as_deref(), Some(ONE));
        write("tree/.git/HEAD", "rubbish");
        assert_eq!(at("tree"), None);
    }
}

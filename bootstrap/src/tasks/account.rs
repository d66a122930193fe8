//! Users, read from /etc/passwd and /etc/group by ourselves: a static program must not ask libc, which would load the
//! machine's name service modules.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::process::{getegid, geteuid};

/// Whom a command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
    /// Whether this process must become it.
    pub(super) is_other: bool,
}

impl Account {
    /// The user of this name; `None` is whoever runs this program.
    ///
    /// # Errors
    /// There is no such user, or this process may not become it.
    pub(super) fn find(name: Option<&str>, etc: &Path) -> Result<Self> {
        let own = geteuid().as_raw();
        let passwd = std::fs::read_to_string(etc.join("passwd")).unwrap_or_default();
        let Some(name) = name else {
            return Ok(by(&passwd, |_, uid| uid == own).unwrap_or_else(|| unknown(own, getegid().as_raw())));
        };
        let mut account = by(&passwd, |known, _| known == name).with_context(|| {
            format!("found no user `{name}` in {}; create it or change `run_as`", etc.join("passwd").display())
        })?;
        ensure!(
            own == 0 || account.uid == own,
            "only root can run commands as `{name}`; run with sudo, or as `{name}`"
        );
        account.is_other = account.uid != own;
        if account.is_other {
            let group = std::fs::read_to_string(etc.join("group")).unwrap_or_default();
            account.groups = groups_of(&group, name, account.gid);
        }
        Ok(account)
    }
}

fn by(passwd: &str, wanted: impl Fn(&str, u32) -> bool) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1)?;
        wanted(name, uid).then(|| Account {
            name: name.to_owned(),
            uid,
            gid,
            groups: Vec::new(),
            home: if home.starts_with('/') { home.to_owned() } else { "/".to_owned() },
            is_other: false,
        })
    })
}

fn groups_of(group: &str, user: &str, own: u32) -> Vec<u32> {
    let mut groups = vec![own];
    for line in group.lines() {
        let mut fields = line.split(':');
        let gid = fields.nth(2).and_then(|gid| gid.parse().ok());
        let is_member = fields.next().is_some_and(|members| members.split(',').any(|member| member == user));
        if let Some(gid) = gid.filter(|gid| is_member && !groups.contains(gid)) {
            groups.push(gid);
        }
    }
    groups
}

fn unknown(uid: u32, gid: u32) -> Account {
    Account { name: uid.to_string(), uid, gid, groups: Vec::new(), home: "/".to_owned(), is_other: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_with_all_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nubuntu:x:1000:1001:,,,:/home/ubuntu:/bin/bash\n";
        let group = "root:x:0:\nadm:x:4:syslog,ubuntu\nubuntu:x:1001:\ndocker:x:998:ubuntu\nx:x:9:ubuntux\n";
        let account = by(passwd, |name, _| name == "ubuntu").unwrap();
        assert_eq!((account.uid, account.gid, account.home.as_str()), (1000, 1001, "/home/ubuntu"));
        assert_eq!(groups_of(group, "ubuntu", 1001), [1001, 4, 998]);
        assert!(by(passwd, |name, _| name == "broken").is_none());
    }

    #[test]
    fn a_missing_user_is_named() {
        let error = Account::find(Some("nobody-here"), Path::new("/etc")).unwrap_err();
        assert!(format!("{error:#}").contains("no user `nobody-here`"), "{error:#}");
    }
}

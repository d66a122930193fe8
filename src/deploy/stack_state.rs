//! The 23 states of a stack, and the legal way on from each.
//!
//! Source: the CloudFormation user guide, "Stack status codes", "Choose how to handle failures when provisioning
//! resources", and the API reference of `RollbackStack` and `ContinueUpdateRollback`.

use std::fmt;
use std::str::FromStr;

macro_rules! states {
    ($($name:ident = $text:literal,)*) => {
        /// A stack's state.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "CloudFormation's own words")]
        pub enum StackStatus { $($name,)* }

        impl StackStatus {
            /// Every state.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// CloudFormation's word.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

states! {
    CreateInProgress = "CREATE_IN_PROGRESS",
    CreateFailed = "CREATE_FAILED",
    CreateComplete = "CREATE_COMPLETE",
    RollbackInProgress = "ROLLBACK_IN_PROGRESS",
    RollbackFailed = "ROLLBACK_FAILED",
    RollbackComplete = "ROLLBACK_COMPLETE",
    DeleteInProgress = "DELETE_IN_PROGRESS",
    DeleteFailed = "DELETE_FAILED",
    DeleteComplete = "DELETE_COMPLETE",
    UpdateInProgress = "UPDATE_IN_PROGRESS",
    UpdateCompleteCleanupInProgress = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    UpdateComplete = "UPDATE_COMPLETE",
    UpdateFailed = "UPDATE_FAILED",
    UpdateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS",
    UpdateRollbackFailed = "UPDATE_ROLLBACK_FAILED",
    UpdateRollbackCompleteCleanupInProgress = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    UpdateRollbackComplete = "UPDATE_ROLLBACK_COMPLETE",
    ReviewInProgress = "REVIEW_IN_PROGRESS",
    ImportInProgress = "IMPORT_IN_PROGRESS",
    ImportComplete = "IMPORT_COMPLETE",
    ImportRollbackInProgress = "IMPORT_ROLLBACK_IN_PROGRESS",
    ImportRollbackFailed = "IMPORT_ROLLBACK_FAILED",
    ImportRollbackComplete = "IMPORT_ROLLBACK_COMPLETE",
}

impl fmt::Display for StackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StackStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|status| status.name() == text).copied();
        found.ok_or_else(|| {
            format!("found the stack state `{text}`, expected one of the 23 that CloudFormation documents")
        })
    }
}

/// How a diff reads the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffWay {
    /// There is nothing to compare with: everything is new.
    New,
    /// Against the deployed template.
    Compare,
    /// Against the deployed template, which is being changed.
    CompareMoving,
}

/// What an apply may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyWay {
    /// A change set that creates it.
    Create,
    /// A change set that updates it.
    Update,
    /// Only with consent: delete what is left of it, wait, create it.
    Recreate,
    /// Something works on it.
    Busy,
    /// Not before `recover`.
    RecoverFirst,
    /// Not before its deletion ended.
    FinishDeletion,
}

/// What a destroy may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestroyWay {
    /// There is nothing.
    Gone,
    /// Delete it.
    Delete,
    /// Follow the deletion that runs.
    Follow,
    /// Something works on it.
    Busy,
}

/// What a recover may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoverWay {
    /// Nothing is wrong.
    Nothing,
    /// `RollbackStack`, which ends in the last good state, or in `ROLLBACK_COMPLETE` after a creation.
    RollBack,
    /// `ContinueUpdateRollback`.
    ContinueRollback,
    /// It can only be deleted.
    Delete,
    /// The deletion is taken up again.
    DeleteAgain,
    /// An update runs: it may be followed, or cancelled.
    FollowOrCancel,
    /// Something works on it that cannot be cancelled.
    Follow,
}

/// The ways on from one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// `prefab diff`
    pub diff: DiffWay,
    /// `prefab apply`
    pub apply: ApplyWay,
    /// `prefab destroy`
    pub destroy: DestroyWay,
    /// `prefab recover`
    pub recover: RecoverWay,
    /// What the state means for a person, and why there is no other way.
    pub why: &'static str,
}

/// The ways on from a state; `None` is a stack that does not exist.
pub fn ways(status: Option<StackStatus>) -> Ways {
    use StackStatus as S;
    let row = |diff, apply, destroy, recover, why| Ways { diff, apply, destroy, recover, why };
    let busy = |destroy, recover, why| row(DiffWay::CompareMoving, ApplyWay::Busy, destroy, recover, why);
    let good = |why| row(DiffWay::Compare, ApplyWay::Update, DestroyWay::Delete, RecoverWay::Nothing, why);
    match status {
        None => row(DiffWay::New, ApplyWay::Create, DestroyWay::Gone, RecoverWay::Nothing, "it does not exist"),
        Some(S::DeleteComplete) => {
            row(DiffWay::New, ApplyWay::Create, DestroyWay::Gone, RecoverWay::Nothing, "it was deleted")
        }
        Some(S::ReviewInProgress) => row(
            DiffWay::New,
            ApplyWay::Create,
            DestroyWay::Delete,
            RecoverWay::Delete,
            "it holds change sets and nothing else: none was executed yet",
        ),
        Some(S::CreateComplete | S::UpdateComplete | S::ImportComplete) => good("it is whole"),
        Some(S::UpdateRollbackComplete) => good("its last update failed and was rolled back; it can be updated"),
        Some(S::ImportRollbackComplete) => good("its last import failed and was rolled back; it can be updated"),
        Some(S::CreateFailed) => row(
            DiffWay::Compare,
            ApplyWay::Update,
            DestroyWay::Delete,
            RecoverWay::RollBack,
            "its creation failed and what came up was kept: it may be updated, rolled back or deleted",
        ),
        Some(S::UpdateFailed) => row(
            DiffWay::Compare,
            ApplyWay::Update,
            DestroyWay::Delete,
            RecoverWay::RollBack,
            "its last update failed and was kept as it is: it may be updated, rolled back or deleted",
        ),
        Some(S::RollbackComplete) => row(
            DiffWay::New,
            ApplyWay::Recreate,
            DestroyWay::Delete,
            RecoverWay::Delete,
            "its creation failed and was rolled back: CloudFormation lets nobody update it, it can only be deleted",
        ),
        Some(S::RollbackFailed) => row(
            DiffWay::New,
            ApplyWay::Recreate,
            DestroyWay::Delete,
            RecoverWay::Delete,
            "the roll-back of its creation failed: it can only be deleted",
        ),
        Some(S::ImportRollbackFailed) => row(
            DiffWay::Compare,
            ApplyWay::RecoverFirst,
            DestroyWay::Delete,
            RecoverWay::RollBack,
            "the roll-back of an import failed: it is rolled back again before anything else",
        ),
        Some(S::UpdateRollbackFailed) => row(
            DiffWay::Compare,
            ApplyWay::RecoverFirst,
            DestroyWay::Delete,
            RecoverWay::ContinueRollback,
            "the roll-back of its last update failed: it must be continued before anything else, and is never deleted to get on",
        ),
        Some(S::DeleteFailed) => row(
            DiffWay::Compare,
            ApplyWay::FinishDeletion,
            DestroyWay::Delete,
            RecoverWay::DeleteAgain,
            "its deletion failed half-way: it can only be deleted",
        ),
        Some(S::DeleteInProgress) => busy(DestroyWay::Follow, RecoverWay::Follow, "it is being deleted"),
        Some(S::CreateInProgress) => busy(DestroyWay::Busy, RecoverWay::Follow, "it is being created"),
        Some(S::UpdateInProgress) => busy(DestroyWay::Busy, RecoverWay::FollowOrCancel, "it is being updated"),
        Some(S::UpdateCompleteCleanupInProgress) => {
            busy(DestroyWay::Busy, RecoverWay::Follow, "it is updated, and what was replaced is being removed")
        }
        Some(S::RollbackInProgress | S::UpdateRollbackInProgress | S::UpdateRollbackCompleteCleanupInProgress) => {
            busy(DestroyWay::Busy, RecoverWay::Follow, "it is being rolled back")
        }
        Some(S::ImportInProgress | S::ImportRollbackInProgress) => {
            busy(DestroyWay::Busy, RecoverWay::Follow, "resources are being imported into it")
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It still runs.
    Running,
    /// It did what it was for.
    Succeeded,
    /// It did not.
    Failed,
}

/// What an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Creation.
    Create,
    /// Update.
    Update,
    /// Deletion.
    Delete,
    /// Roll-back of something that failed.
    RollBack,
}

impl Operation {
    /// The word in progress lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::RollBack => "roll back",
        }
    }

    /// What a state says about this operation, once it was seen to begin.
    pub fn ending(self, status: StackStatus) -> Ending {
        use StackStatus as S;
        let done = match self {
            Self::Create => status == S::CreateComplete,
            Self::Update => status == S::UpdateComplete,
            Self::Delete => status == S::DeleteComplete,
            Self::RollBack => {
                matches!(status, S::RollbackComplete | S::UpdateRollbackComplete | S::ImportRollbackComplete)
            }
        };
        match status {
            _ if done => Ending::Succeeded,
            // Nothing was executed yet: the state is read before CloudFormation has written the new one.
            S::ReviewInProgress if self == Self::Create => Ending::Running,
            _ if status.is_running() => Ending::Running,
            _ => Ending::Failed,
        }
    }
}

impl StackStatus {
    /// Whether CloudFormation is at work.
    pub fn is_running(self) -> bool {
        self.name().ends_with("_IN_PROGRESS") && self != Self::ReviewInProgress
    }
}

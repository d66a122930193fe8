//! One end of a pair, wherever it runs.

use std::time::Duration;

use anyhow::Result;
use prefab_contract::engine::Event;

use super::peer::FarTarget;
use crate::engine::{Engine, Side};

/// One end of a pair.
pub(super) enum Member {
    /// A child of this process.
    Own(Engine),
    /// A child of another node's.
    Far(FarTarget),
}

impl Member {
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Own(engine) => engine.side(),
            Self::Far(_) => Side::Target,
        }
    }

    pub(super) fn stage(&self) -> &'static str {
        match self {
            Self::Own(engine) => engine.stage().name(),
            Self::Far(target) => target.course.stage().name(),
        }
    }

    pub(super) fn has_finished(&self) -> bool {
        match self {
            Self::Own(engine) => engine.has_finished(),
            Self::Far(target) => target.course.has_finished(),
        }
    }

    pub(super) fn note(&mut self, event: &Event) {
        match self {
            Self::Own(engine) => engine.note(event),
            Self::Far(target) => target.course.note(event),
        }
    }

    pub(super) fn is_overdue(&self) -> bool {
        match self {
            Self::Own(engine) => engine.is_overdue(),
            Self::Far(target) => target.is_overdue(),
        }
    }

    pub(super) fn oddity(&self) -> Option<String> {
        match self {
            Self::Own(engine) => engine.oddity(),
            Self::Far(_) => None,
        }
    }

    pub(super) fn end(&mut self, patience: Duration) -> Result<()> {
        match self {
            Self::Own(engine) => engine.end(patience).map(drop),
            Self::Far(target) => target.end(patience),
        }
    }
}

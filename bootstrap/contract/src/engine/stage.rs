//! What an engine does, and for how long it may.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an engine does at the moment. Each stage has a deadline; errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Reading and checking the command.
    Start,
    /// Waiting for the peer: listening or connecting, the challenge, the agreement.
    Connect,
    /// Loading libraries of the machine: libfabric, the GPU's driver.
    Load,
    /// Making the pools and opening the transport.
    Register,
    /// Writing the data and poisoning the destinations of a round.
    Fill,
    /// Ready, and waiting until the other pairs of the case are.
    Barrier,
    /// Moving requests, or a ceiling's plain loop.
    Transfer,
    /// Comparing every block of a round.
    Check,
    /// Telling the peer that the case is over.
    Finish,
}

impl Stage {
    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Connect => "connect",
            Self::Load => "load",
            Self::Register => "register",
            Self::Fill => "fill",
            Self::Barrier => "barrier",
            Self::Transfer => "transfer",
            Self::Check => "check",
            Self::Finish => "finish",
        }
    }

    /// How long the stage may take, in milliseconds; in `Transfer`, how long without progress. `bytes` is what the
    /// stage works through.
    pub fn deadline_ms(self, bytes: u64) -> u64 {
        match self {
            Self::Start | Self::Connect | Self::Finish => 10_000,
            Self::Load => 60_000,
            Self::Transfer => 15_000,
            // 0.25 GB/s is a twentieth of what one core does.
            Self::Register | Self::Fill | Self::Check => 15_000 + bytes / 250_000,
            // Another pair may be at most a check, a ceiling and a fill behind.
            Self::Barrier => 60_000 + 3 * (bytes / 250_000),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_those_of_the_design() {
        assert_eq!(Stage::Connect.deadline_ms(0), 10_000);
        assert_eq!(Stage::Load.deadline_ms(0), 60_000);
        assert_eq!(Stage::Fill.deadline_ms(1_000_000_000), 19_000);
        assert_eq!(Stage::Transfer.deadline_ms(1 << 40), 15_000);
    }
}

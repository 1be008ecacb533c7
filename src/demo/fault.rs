//! What can go wrong with the demo's new version, and how it is told.

use super::mock_llm::Faults;

/// How many of the answers are found wrong by whoever grades them, whatever version they are of.
const WRONG_AT_BEST: f64 = 0.03;

/// A fault of green, from some seconds into its ramp on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Fault {
    /// 1 in 5 of its requests answers 500
    Errors,
    /// 1 in 5 of its answers says "error" inside a 200
    InBand,
    /// 1 in 5 of its answers stops in mid-sentence, status 200
    Truncate,
    /// Twice as long to the first token
    Slow,
    /// 1 in 10 of its answers stops for 30 s
    Stall,
    /// Fast and wrong answers
    Quality,
}

impl Fault {
    /// What a server does that has it.
    pub(super) fn faults(self) -> Faults {
        let healthy = healthy();
        match self {
            Self::Errors => Faults { status: 0.2, ..healthy },
            Self::InBand => Faults { error_first: 0.2, ..healthy },
            Self::Truncate => Faults { truncate: 0.2, ..healthy },
            Self::Slow => Faults { slow: 1.0, slow_factor: 2.0, ..healthy },
            Self::Stall => Faults { stall: 0.1, ..healthy },
            Self::Quality => Faults { wrong: 0.4, ..healthy },
        }
    }

    /// What happens, in plain words.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Errors => "from now on 1 in 5 of green's requests answers 500",
            Self::InBand => {
                "from now on 1 in 5 of green's answers says \"error\" inside a 200; a check of status codes sees nothing"
            }
            Self::Truncate => "from now on green stops 1 in 5 answers in mid-sentence, status 200",
            Self::Slow => "from now on green needs twice as long to its first token; nothing fails",
            Self::Stall => {
                "from now on 1 in 10 of green's answers stops for 30 s; it counts when it stalls, not when it ends"
            }
            Self::Quality => {
                "from now on green answers fast and wrong: its scores fall from 0.97 to 0.60"
            }
        }
    }
}

/// What a server does that has no fault: a few wrong answers are part of it.
pub(super) fn healthy() -> Faults {
    Faults { wrong: WRONG_AT_BEST, ..Faults::default() }
}

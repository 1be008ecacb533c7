//! Whether traffic should come: what `/readyz` answers.

/// Where the process stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Names and probes have not had their first chance yet; lasts 2 s at most.
    Starting,
    /// Send traffic.
    Ready,
    /// Send no more; what is here is still served.
    ShuttingDown,
}

impl Readiness {
    /// Whether `/readyz` answers 200.
    pub fn is_ready(self) -> bool {
        self == Self::Ready
    }

    /// Why not, in words for the body of `/readyz`.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Starting => "starting: upstreams are being resolved and probed, 2 s at most",
            Self::Ready => "ready",
            Self::ShuttingDown => "shutting down: what is in flight is being finished",
        }
    }
}

//! Tunnels: how a WebSocket ended, by its close frames or the want of them.

use std::time::Instant;

use super::{Exchange, Phase};
use crate::inspect::websocket::CloseScan;
use crate::model::verdict::Verdict;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the upstream.
    Up,
    /// From the upstream to the client.
    Down,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// How a tunnel ended. A side is named by the way that its bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelEnd {
    /// This side's bytes ended first.
    Ended(Direction),
    /// The connection of this side broke.
    Broken(Direction),
}

/// What passed a tunnel.
#[derive(Debug, Default)]
pub(super) struct Tunnel {
    up: CloseScan,
    down: CloseScan,
    /// The first close frame, and who sent it.
    closed: Option<(Direction, u16)>,
    /// Which way the last bytes went.
    last: Option<Direction>,
}

impl Exchange {
    /// The upgrade went through: from here on it is a tunnel.
    pub fn on_upgraded(&mut self, now: Instant) {
        self.phase = Phase::Tunnel { since: now };
        self.tunnel = Some(Box::default());
        // To be connected is what the client wanted; there is no first token to wait for.
        self.mark_first_content(now);
    }

    /// Bytes passed the tunnel.
    pub fn on_tunnel_data(&mut self, direction: Direction, data: &[u8], now: Instant) {
        self.phase = Phase::Tunnel { since: now };
        let bytes = data.len() as u64;
        match direction {
            Direction::Up => self.request_bytes += bytes,
            Direction::Down => self.response_bytes += bytes,
        }
        let Some(tunnel) = &mut self.tunnel else { return };
        tunnel.last = Some(direction);
        if tunnel.closed.is_none() {
            let scan = if direction == Direction::Up { &mut tunnel.up } else { &mut tunnel.down };
            scan.push(data);
            tunnel.closed = scan.code().map(|code| (direction, code));
        }
    }

    /// The tunnel ended by itself.
    pub fn on_tunnel_end(&mut self, end: TunnelEnd, now: Instant) {
        self.end(self.verdict_of_close().unwrap_or(verdict_of_end(end)), now);
    }

    /// Nothing has passed for as long as a tunnel may be idle. That is nobody's fault; only a client that
    /// had the last word and heard nothing to it has waited in vain, and that is watched.
    pub(super) fn on_tunnel_idle(&mut self, now: Instant) {
        let last = self.tunnel.as_ref().and_then(|tunnel| tunnel.last);
        let is_unheard = last == Some(Direction::Up);
        let otherwise = if is_unheard { Verdict::ClientGone } else { Verdict::Complete };
        self.end(self.verdict_of_close().unwrap_or(otherwise), now);
    }

    /// The verdict that the first close frame makes, once there was one.
    pub(super) fn verdict_of_close(&self) -> Option<Verdict> {
        let (direction, code) = self.tunnel.as_ref()?.closed?;
        Some(verdict_of_code(direction, code))
    }

    /// The status of HTTP that a tunnel's end compares to: the server refused what the client said.
    pub(super) fn tunnel_status(&self) -> Option<u16> {
        (self.verdict_of_close()? == Verdict::HttpError).then_some(400)
    }

    /// The code of the first close frame.
    pub(super) fn close_code(&self) -> Option<u16> {
        self.tunnel.as_ref()?.closed.map(|(_, code)| code)
    }
}

/// Codes by RFC 6455, section 7.4.1: 1000 normal, 1001 going away, 1005 none given; 1002 to 1010 say that
/// the other side broke a rule, which from the server is a refusal like a 400; 1011 to 1014 that the
/// server cannot go on; from 3000 on they are the application's own.
fn verdict_of_code(direction: Direction, code: u16) -> Verdict {
    match (direction, code) {
        (_, 1000 | 1001 | 1005 | 1015..) => Verdict::Complete,
        (Direction::Up, _) => Verdict::ClientGone,
        (Direction::Down, 1011..=1014) => Verdict::AbortedByServer,
        (Direction::Down, _) => Verdict::HttpError,
    }
}

/// The verdict of an end without a close frame.
fn verdict_of_end(end: TunnelEnd) -> Verdict {
    match end {
        TunnelEnd::Ended(Direction::Up) | TunnelEnd::Broken(Direction::Up) => Verdict::ClientGone,
        TunnelEnd::Ended(Direction::Down) => Verdict::Truncated,
        TunnelEnd::Broken(Direction::Down) => Verdict::AbortedByServer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_says_how_a_tunnel_ended() {
        for (direction, code, expected) in [
            (Direction::Up, 1000, Verdict::Complete),
            (Direction::Down, 1001, Verdict::Complete),
            (Direction::Down, 1011, Verdict::AbortedByServer),
            (Direction::Down, 1008, Verdict::HttpError),
            (Direction::Down, 4000, Verdict::Complete),
            (Direction::Up, 1002, Verdict::ClientGone),
        ] {
            assert_eq!(verdict_of_code(direction, code), expected, "{direction:?} {code}");
        }
    }

    #[test]
    fn without_one_it_is_the_fault_of_the_side_that_ended_or_broke() {
        for (end, expected) in [
            (TunnelEnd::Ended(Direction::Up), Verdict::ClientGone),
            (TunnelEnd::Ended(Direction::Down), Verdict::Truncated),
            (TunnelEnd::Broken(Direction::Up), Verdict::ClientGone),
            (TunnelEnd::Broken(Direction::Down), Verdict::AbortedByServer),
        ] {
            assert_eq!(verdict_of_end(end), expected, "{end:?}");
        }
    }
}

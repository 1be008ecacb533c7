//! Tunnels: how a WebSocket ended, by its close frames or the want of them.

use std::time::Instant;

use super::{Exchange, Phase};
use crate::inspect::websocket::CloseScan;
use crate::metrics::cohort::Mark;
use crate::model::verdict::Verdict;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the upstream.
    Up,
    /// From the upstream to the client.
    Down,
}

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelEnd {
    /// This side's bytes ended first.
    Ended(Direction),
    /// A connection broke.
    Broken,
}

/// What passed a tunnel.
#[derive(Debug, Default)]
pub(super) struct Tunnel {
    up: CloseScan,
    down: CloseScan,
    /// The first close frame, and who sent it.
    closed: Option<(Direction, u16)>,
}

impl Exchange {
    /// The upgrade went through: from here on it is a tunnel.
    pub fn on_upgraded(&mut self, now: Instant) {
        self.phase = Phase::Tunnel { since: now };
        self.tunnel = Some(Box::default());
        // To be connected is what the client wanted; there is no first token to wait for.
        self.mark(Mark::FirstContent, now);
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
        if tunnel.closed.is_none() {
            let scan = if direction == Direction::Up { &mut tunnel.up } else { &mut tunnel.down };
            scan.push(data);
            tunnel.closed = scan.code().map(|code| (direction, code));
        }
    }

    /// The tunnel ended by itself.
    pub fn on_tunnel_end(&mut self, end: TunnelEnd, now: Instant) {
        let closed = self.tunnel.as_ref().and_then(|tunnel| tunnel.closed);
        self.end(verdict(closed, end), now);
    }

    /// The status of HTTP that a tunnel's end compares to: the server refused what the client said.
    pub(super) fn tunnel_status(&self) -> Option<u16> {
        let closed = self.tunnel.as_ref()?.closed?;
        (verdict(Some(closed), TunnelEnd::Broken) == Verdict::HttpError).then_some(400)
    }

    /// The code of the first close frame.
    pub(super) fn close_code(&self) -> Option<u16> {
        self.tunnel.as_ref()?.closed.map(|(_, code)| code)
    }
}

/// Codes by RFC 6455, section 7.4.1: 1000 normal, 1001 going away, 1005 none given; 1002 to 1010 say that
/// the other side broke a rule, which from the server is a refusal like a 400; 1011 to 1014 that the
/// server cannot go on; from 3000 on they are the application's own.
fn verdict(closed: Option<(Direction, u16)>, end: TunnelEnd) -> Verdict {
    let Some((direction, code)) = closed else {
        return match end {
            TunnelEnd::Ended(Direction::Up) => Verdict::ClientGone,
            TunnelEnd::Ended(Direction::Down) => Verdict::Truncated,
            TunnelEnd::Broken => Verdict::AbortedByServer,
        };
    };
    match (direction, code) {
        (_, 1000 | 1001 | 1005 | 1015..) => Verdict::Complete,
        (Direction::Up, _) => Verdict::ClientGone,
        (Direction::Down, 1011..=1014) => Verdict::AbortedByServer,
        (Direction::Down, _) => Verdict::HttpError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_ends_as_its_first_close_frame_says() {
        let (up, down) = (Direction::Up, Direction::Down);
        for (closed, end, expected) in [
            (Some((up, 1000)), TunnelEnd::Ended(up), Verdict::Complete),
            (Some((down, 1001)), TunnelEnd::Ended(down), Verdict::Complete),
            (Some((down, 1011)), TunnelEnd::Ended(down), Verdict::AbortedByServer),
            (Some((down, 1008)), TunnelEnd::Ended(down), Verdict::HttpError),
            (Some((down, 4000)), TunnelEnd::Broken, Verdict::Complete),
            (Some((up, 1002)), TunnelEnd::Ended(up), Verdict::ClientGone),
            (None, TunnelEnd::Ended(up), Verdict::ClientGone),
            (None, TunnelEnd::Ended(down), Verdict::Truncated),
            (None, TunnelEnd::Broken, Verdict::AbortedByServer),
        ] {
            assert_eq!(verdict(closed, end), expected, "{closed:?} {end:?}");
        }
    }
}

//! Tunnels: `WebSockets` after their handshake. They count as in flight like any other exchange.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::exchange::{Direction, OnTime, TunnelEnd};
use super::flight::FlightOwner;

/// Bytes read at once in each direction.
const PIECE_BYTES: usize = 16 * 1024;
/// How long one side may still talk when the other has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Passes bytes in both directions until one side ends, the tunnel is idle for too long, or a drain
/// ends it. What a side said before it ended is delivered, and so is what the other says to that. While the
/// bytes of one side wait for the other, nobody reads that side: `cut` says that the client has gone.
pub async fn tunnel<C, U>(client: C, upstream: U, flight: &FlightOwner, cut: impl Future)
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let passing = async {
        let mut upwards = pin!(pass(from_client, to_upstream, Direction::Up, flight));
        let mut downwards = pin!(pass(from_upstream, to_client, Direction::Down, flight));
        tokio::select! {
            biased; // whoever left may have said something before
            end = &mut upwards => last_words(end, downwards).await,
            end = &mut downwards => last_words(end, upwards).await,
            _ = cut => TunnelEnd::Broken(Direction::Up),
        }
    };
    if let Some(end) = unless_over(flight, passing).await {
        flight.with(|exchange| exchange.on_tunnel_end(end, Instant::now()));
    }
}

/// Waits for `work`; `None` when a drain or a limit has ended the exchange before.
pub async fn unless_over<F: Future>(flight: &FlightOwner, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    loop {
        if let Ok(done) = flight.wait(work.as_mut()).await {
            return Some(done);
        }
        let now = Instant::now();
        if flight.is_evicted() {
            flight.with(|exchange| exchange.on_evicted(now));
            return None;
        }
        if flight.with(|exchange| exchange.on_time(now)) == OnTime::Abort {
            return None;
        }
    }
}

/// One side has ended: the other may still say something, a close frame most likely. However it does
/// that, the tunnel ended as it began to.
async fn last_words(end: TunnelEnd, other: impl Future) -> TunnelEnd {
    if matches!(end, TunnelEnd::Ended(_)) {
        // A side that has nothing to say and does not close either is closed by us.
        let _ = tokio::time::timeout(LAST_WORDS, other).await;
    }
    end
}

/// Passes bytes in one direction until their end, or until the connection of either side breaks.
async fn pass<R: AsyncRead, W: AsyncWrite>(
    mut from: ReadHalf<R>,
    mut to: WriteHalf<W>,
    direction: Direction,
    flight: &FlightOwner,
) -> TunnelEnd {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let Ok(length) = from.read(&mut piece).await else { return TunnelEnd::Broken(direction) };
        if length == 0 {
            // Whether the other side still hears of it does not change who ended.
            let _ = to.shutdown().await;
            return TunnelEnd::Ended(direction);
        }
        let passed = &piece[..length];
        if to.write_all(passed).await.is_err() || to.flush().await.is_err() {
            return TunnelEnd::Broken(direction.opposite());
        }
        flight.with(|exchange| exchange.on_tunnel_data(direction, passed, Instant::now()));
    }
}

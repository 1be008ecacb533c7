//! Tunnels: `WebSockets` after their handshake. They count as in flight like any other exchange.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::exchange::{Direction, OnTime, TunnelEnd};
use super::flight::FlightOwner;

/// Bytes read at once in each direction.
const PIECE_BYTES: usize = 16 * 1024;
/// How long one side may still talk when the other has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Passes bytes in both directions until one side ends, the tunnel is idle for too long, or a drain
/// ends it. What a side said before it ended is delivered, and so is what the other says to that.
pub async fn tunnel<C, U>(client: C, upstream: U, flight: &FlightOwner)
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let passing = async {
        let upwards = pass(from_client, to_upstream, Direction::Up, flight);
        let downwards = pass(from_upstream, to_client, Direction::Down, flight);
        let (mut upwards, mut downwards) = (std::pin::pin!(upwards), std::pin::pin!(downwards));
        tokio::select! {
            ended = &mut upwards => last_words(Direction::Up, ended, downwards).await,
            ended = &mut downwards => last_words(Direction::Down, ended, upwards).await,
        }
    };
    let mut passing = std::pin::pin!(passing);
    loop {
        let now = Instant::now;
        match flight.wait(passing.as_mut()).await {
            Ok(ended) => {
                let end = ended.map_or(TunnelEnd::Broken, TunnelEnd::Ended);
                flight.with(|exchange| exchange.on_tunnel_end(end, now()));
                return;
            }
            Err(_due) if flight.is_evicted() => {
                flight.with(|exchange| exchange.on_evicted(now()));
                return;
            }
            Err(_due) => {
                if flight.with(|exchange| exchange.on_time(now())) == OnTime::Abort {
                    return;
                }
            }
        }
    }
}

/// One side has ended: the other may still say something, a close frame most likely.
async fn last_words(
    side: Direction,
    ended: io::Result<()>,
    other: impl Future<Output = io::Result<()>>,
) -> io::Result<Direction> {
    ended?;
    // A side that has nothing to say and does not close either is closed by us.
    tokio::time::timeout(LAST_WORDS, other).await.unwrap_or(Ok(()))?;
    Ok(side)
}

async fn pass<R: AsyncRead, W: AsyncWrite>(
    mut from: ReadHalf<R>,
    mut to: WriteHalf<W>,
    direction: Direction,
    flight: &FlightOwner,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
        to.flush().await?;
        let passed = &piece[..length];
        flight.with(|exchange| exchange.on_tunnel_data(direction, passed, Instant::now()));
    }
}

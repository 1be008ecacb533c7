//! Tunnels: `WebSockets` after their handshake. They count as in flight like any other exchange.

use std::cell::Cell;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::exchange::OnTime;
use super::flight::FlightOwner;

/// Bytes read at once in each direction.
const PIECE_BYTES: usize = 16 * 1024;

/// Passes bytes in both directions until one side ends, the tunnel is idle for too long, or a drain
/// ends it. A side that ends has its last bytes delivered before the other is closed.
pub async fn tunnel<C, U>(client: C, upstream: U, flight: &FlightOwner)
where
    C: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let (up, down) = (Cell::new(0), Cell::new(0));
    let passing = async {
        tokio::select! {
            ended = pass(from_client, to_upstream, &up, flight) => ended,
            ended = pass(from_upstream, to_client, &down, flight) => ended,
        }
    };
    let mut passing = std::pin::pin!(passing);
    loop {
        let now = Instant::now;
        match flight.wait(passing.as_mut()).await {
            Ok(ended) => {
                let is_clean = ended.is_ok();
                flight.with(|e| e.on_tunnel_end(up.get(), down.get(), is_clean, now()));
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

async fn pass<R: AsyncRead, W: AsyncWrite>(
    mut from: ReadHalf<R>,
    mut to: WriteHalf<W>,
    count: &Cell<u64>,
    flight: &FlightOwner,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..length]).await?;
        to.flush().await?;
        count.set(count.get() + length as u64);
        flight.with(|exchange| exchange.on_tunnel_data(Instant::now()));
    }
}

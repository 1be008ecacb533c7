//! Hands an upgraded connection over to the tunnel, with the bytes that hyper had read already.

use std::time::Instant;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::data_plane::clients::Work;
use crate::data_plane::exchange::TunnelEnd;
use crate::data_plane::flight::FlightOwner;
use crate::data_plane::upgrade;

/// Waits for both sides and passes bytes until one ends.
pub async fn run(ours: OnUpgrade, theirs: OnUpgrade, flight: FlightOwner, work: Work) {
    let both = async { tokio::try_join!(ours, theirs) };
    let Ok(Ok((client, upstream))) = flight.wait(both).await else {
        flight.with(|exchange| exchange.on_tunnel_end(TunnelEnd::Broken, Instant::now()));
        return;
    };
    upgrade::tunnel(TokioIo::new(client), TokioIo::new(upstream), &flight).await;
    drop(work);
}

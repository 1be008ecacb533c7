//! Hands an upgraded connection over to the tunnel, with the bytes that hyper had read already.

use std::time::Instant;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::data_plane::clients::Work;
use crate::data_plane::exchange::{Direction, TunnelEnd};
use crate::data_plane::flight::FlightOwner;
use crate::data_plane::upgrade;

/// Waits for both sides and passes bytes until one ends.
pub async fn run(ours: OnUpgrade, theirs: OnUpgrade, flight: FlightOwner, work: Work) {
    let ours = async { ours.await.map_err(|_lost| Direction::Up) };
    let theirs = async { theirs.await.map_err(|_lost| Direction::Down) };
    let both = async { tokio::try_join!(ours, theirs) };
    match upgrade::unless_over(&flight, both).await {
        Some(Ok((client, upstream))) => {
            let (client, upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            let place = work.tunnel(); // it ends after the socket, with nothing in between
            upgrade::tunnel(client, upstream, &flight, place.until_cut()).await;
        }
        Some(Err(side)) => {
            let now = Instant::now();
            flight.with(|exchange| exchange.on_tunnel_end(TunnelEnd::Broken(side), now));
        }
        None => {}
    }
    drop(work);
}

//! A data plane alone, with a tap in its table: nothing of the control plane runs, and the test receives
//! the copies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use cyan::data_plane::{DataPlane, Prepared};
use cyan::link::CoreMessage;
use cyan::link::mirror::queue;
use cyan::listen::SocketSet;
use cyan::metrics::feed::Feed;
use cyan::model::environment::EnvironmentSpec;
use cyan::model::mirror::MirrorRule;
use cyan::model::mirror::counts::{CopyOutcome, MirrorCounts};
use cyan::model::mirror::tap::{MirrorTap, Mirrored};
use cyan::model::snapshot::Snapshot;
use tokio::sync::mpsc;

use super::client::Client;
use super::proxy::{Builder, environment};
use super::tables::{assignment, table_with};
use super::upstream::Upstream;
use super::{eventually, in_time};

/// A request that is not plain, to a path that is not mirrored: whoever sends it has hyper from then on.
const NOT_PLAIN: &str = "POST /other HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n\
    0\r\n\r\n";

/// Who serves a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The lean one, as far as requests are plain.
    Lean,
    /// hyper, for everything.
    Hyper,
}

/// The cores, before one upstream. They stop when it is dropped.
pub struct Tapped {
    /// Where clients connect.
    pub address: SocketAddr,
    /// The tap.
    pub tap: Arc<MirrorTap>,
    /// What came out of it.
    pub copies: mpsc::Receiver<Mirrored>,
    counts: Arc<MirrorCounts>,
    data_plane: DataPlane,
}

/// A rule that copies whatever is below `/v1`, as far as the test does not say otherwise.
pub fn everything() -> MirrorRule {
    MirrorRule {
        share: 1.0,
        in_flight_max: 8,
        requests_per_second: 1e6,
        paths: vec!["/v1".to_owned()],
        ..MirrorRule::default()
    }
}

impl Tapped {
    /// Starts two cores with a tap in their table.
    pub fn start(upstream: &Upstream, rule: MirrorRule) -> Self {
        Self::start_with(upstream, rule, |_| {})
    }

    /// The same before environments that the test changes.
    pub fn start_with(
        upstream: &Upstream,
        rule: MirrorRule,
        change: impl Fn(&mut EnvironmentSpec),
    ) -> Self {
        let config = Builder::new(vec![environment("blue", &[upstream])]).config;
        let (sink, copies) = queue(rule.in_flight_max);
        let counts: Arc<MirrorCounts> = Arc::default();
        let tap = MirrorTap::new(rule, Arc::clone(&counts), sink, Instant::now());
        let table = table_with(&assignment(&[10_000, 0], 1), 1, |_, spec| {
            spec.upstreams = vec![upstream.url().parse().expect("a url")];
            change(spec);
        });
        let table = table.with_mirror(Some(Arc::clone(&tap)));
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::new(vec![Arc::new(table)])));
        let (reports, _) = mpsc::channel(1);
        let (mut inherited, mut kept) = (SocketSet::default(), SocketSet::default());
        let prepared =
            Prepared::new(&config, &mut inherited, &mut kept).expect("a port can be had");
        let data_plane = DataPlane::start(&config, prepared, &snapshot, &reports, &Feed::default())
            .expect("the cores start");
        data_plane.open_gate();
        let address = data_plane.addresses[0];
        Self { address, tap, copies, counts, data_plane }
    }

    /// A client that this engine serves.
    pub async fn client(&self, engine: Engine) -> Client {
        let mut client = Client::connect(self.address).await;
        if engine == Engine::Hyper {
            client.send(NOT_PLAIN).await;
            assert_eq!(client.answer().await.status, 200);
        }
        client
    }

    /// The next copy.
    pub async fn copy(&mut self) -> Mirrored {
        in_time(self.copies.recv()).await.expect("the tap lives")
    }

    /// How many requests ended so.
    pub fn counted(&self, outcome: CopyOutcome) -> u64 {
        self.counts.copies(outcome)
    }

    /// Waits until no permit is out.
    pub async fn rests(&self) {
        eventually("every permit is back", || self.tap.in_flight() == 0).await;
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.data_plane.links.post(|| CoreMessage::StopAccepting(Duration::ZERO));
        self.data_plane.links.post(|| CoreMessage::EndAll);
    }
}

//! A way to the admin API that can be shut: whoever comes then is let in and hung up on, as while Cyan is
//! started anew. What has passed before goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};

/// The gate; it is open at first. Its flags order nothing, hence `Relaxed`.
#[derive(Clone)]
pub struct Gate {
    pub address: SocketAddr,
    is_open: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
}

impl Gate {
    pub async fn before(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let gate =
            Self { address, is_open: Arc::new(AtomicBool::new(true)), refused: Arc::default() };
        let at_work = gate.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !at_work.is_open.load(Ordering::Relaxed) {
                    at_work.refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let mut behind = TcpStream::connect(to).await.expect("it listens");
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut behind).await;
                });
            }
        });
        gate
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    pub fn shut(&self) {
        self.is_open.store(false, Ordering::Relaxed);
    }

    /// How many have come while it was shut.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

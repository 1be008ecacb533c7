//! How long after its client has left an upstream goes on working: until the proxy's FIN or reset
//! arrives there, or, where the upstream does not look, until the proxy counts the exchange as ended.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::admin::Admin;
use crate::clock;
use crate::http::{self, Client};
use crate::process::Cyan;
use crate::upstream::Environments;

/// Clients that leave, in each manner.
const ROUNDS: usize = 50;
/// Nothing here takes longer than that.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// How long nothing may be taken of an upload before it counts as blocked.
const BLOCKED: Duration = Duration::from_millis(100);
/// How often the proxy looks for clients that have gone without being able to say so.
const SWEEP: Duration = Duration::from_millis(150);
/// Length of the upload, which nobody reads: more than all buffers on its way.
const UPLOAD_BYTES: usize = 30_000_000;

/// How a client leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// Closes while it waits for its answer.
    Waiting,
    /// Closes in the middle of a stream.
    Streaming,
    /// Closes in the middle of a stream, behind a request that nobody has read.
    Pipelined,
    /// Resets in the middle of an upload that nobody reads. (A FIN would wait behind the upload.)
    Uploading,
}

impl Manner {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::Waiting, Self::Streaming, Self::Pipelined, Self::Uploading];

    /// As in the results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "leave_waiting",
            Self::Streaming => "leave_streaming",
            Self::Pipelined => "leave_pipelined",
            Self::Uploading => "leave_uploading",
        }
    }

    /// What is promised: at once where the socket is looked at, by the sweep where it is not.
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::Waiting | Self::Streaming => Duration::from_millis(50),
            Self::Pipelined | Self::Uploading => Duration::from_millis(300),
        }
    }

    /// Times from leaving to being noticed, in ns.
    pub(crate) async fn measure(
        self,
        cyan: &Cyan,
        environments: &Environments,
    ) -> io::Result<Histogram<u64>> {
        let mut times = clock::histogram();
        let mut admin = Admin::connect(cyan.admin)?;
        for _ in 0..ROUNDS {
            until(|| Ok(admin.in_flight()? == 0)).await?;
            environments.take_left_ns();
            let client = self.arrive(cyan, &mut admin).await?;
            // Rounds would fall into step with the sweep otherwise, and all measure the same.
            tokio::time::sleep(SWEEP.mul_f64(fastrand::f64())).await;
            let from_ns = clock::now_ns();
            self.leave(client)?;
            let mut left_ns = 0;
            until(|| {
                left_ns = if matches!(self, Self::Uploading) {
                    if admin.in_flight()? == 0 { clock::now_ns() } else { 0 }
                } else {
                    environments.take_left_ns()
                };
                Ok(left_ns > 0)
            })
            .await?;
            times.saturating_record(left_ns.saturating_sub(from_ns));
        }
        Ok(times)
    }

    /// A client in the state in which it shall leave.
    async fn arrive(self, cyan: &Cyan, admin: &mut Admin) -> io::Result<Client> {
        let mut client = Client::connect(cyan.address).await?;
        match self {
            Self::Waiting => client.stream.write_all(http::get("/hold", 1).as_bytes()).await?,
            Self::Streaming | Self::Pipelined => {
                client.stream.write_all(http::get("/stream", 1).as_bytes()).await?;
                let mut begun = Vec::new();
                while memchr::memmem::find(&begun, b"token").is_none() {
                    if client.stream.read_buf(&mut begun).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
            Self::Uploading => upload(&mut client).await?,
        }
        if matches!(self, Self::Pipelined) {
            client.stream.write_all(http::get("/", 1).as_bytes()).await?;
        }
        until(|| Ok(admin.in_flight()? == 1)).await?;
        Ok(client)
    }

    fn leave(self, client: Client) -> io::Result<()> {
        if matches!(self, Self::Uploading) {
            let socket = socket2::Socket::from(client.stream.into_std()?);
            socket.set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }
}

/// Sends until nobody takes any more.
async fn upload(client: &mut Client) -> io::Result<()> {
    let head = format!(
        "POST /blocked HTTP/1.1\r\nhost: llm.example\r\ncontent-length: {UPLOAD_BYTES}\r\n\r\n"
    );
    client.stream.write_all(head.as_bytes()).await?;
    let piece = vec![b'x'; 64 * 1024];
    while let Ok(sent) = tokio::time::timeout(BLOCKED, client.stream.write_all(&piece)).await {
        sent?;
    }
    Ok(())
}

/// Waits for a state, with a deadline.
async fn until(mut holds: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let waiting = async {
        while !holds()? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    let late = || io::Error::other(format!("not noticed within {WAIT_MAX:?}"));
    tokio::time::timeout(WAIT_MAX, waiting).await.map_err(|_| late())?
}

//! Before the first request: TLS, and which HTTP version the client speaks.
//!
//! A handshake costs up to a millisecond of computing, and a core has one thread. So handshakes take
//! turns: whoever has received a client's hello computes its answer when its turn comes, and gives the
//! turn back to the end of the run queue. Between two of them everything else that is ready runs, so a
//! storm of new connections delays a stream's next token by one handshake, and never by all of them.
//! Slow clients hold no turn: they are waited for before and after.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use super::client_io::Carrier;
use super::exchange::head::ToldCertificate;
use crate::model::certificate_hosts::CertificateHosts;
use crate::tls::server::{ServerTls, Settings};

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The turns of one core.
pub struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

/// What a client said it speaks, before its first byte.
#[derive(Clone, Copy)]
pub enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Nothing; its first bytes tell.
    Silent,
}

/// A connection whose bytes are those of HTTP from here on.
pub struct Shaken {
    /// It.
    pub carrier: Carrier,
    /// What was agreed upon.
    pub alpn: Alpn,
    /// The hosts of the certificate that was shown, where there are several and one was asked for.
    pub hosts: Option<Arc<CertificateHosts>>,
    /// What upstreams are told about the client's own certificate.
    pub certificate: ToldCertificate,
}

/// Does the TLS handshake, where the listener speaks TLS. `tls` is that of all listeners.
///
/// # Errors
/// When the client breaks off, or cannot agree with us, or there is nothing to speak TLS over.
pub async fn shake(
    carrier: Carrier,
    tls: Option<&ServerTls>,
    speaks_tls: bool,
    turns: &Turns,
) -> io::Result<Shaken> {
    if !speaks_tls {
        return Ok(plain(carrier, tls));
    }
    let tls = tls.ok_or_else(|| io::Error::other("no certificate"))?;
    // Boxed, because the futures of plain connections would be as large.
    match carrier {
        Carrier::Tcp(stream) => Box::pin(shake_tls(stream, tls, turns, Carrier::Tls)).await,
        Carrier::Unix(stream) => Box::pin(shake_tls(stream, tls, turns, Carrier::UnixTls)).await,
        Carrier::Tls(_) | Carrier::UnixTls(_) => Err(io::Error::other("TLS within TLS")),
    }
}

/// A connection without TLS. An upstream that believes `Client-Cert` believes it whichever way a request came.
fn plain(carrier: Carrier, tls: Option<&ServerTls>) -> Shaken {
    let is_forwarded = tls.is_some_and(|tls| is_forwarded(&tls.now()));
    let certificate = if is_forwarded { ToldCertificate::None } else { ToldCertificate::Unsaid };
    Shaken { carrier, alpn: Alpn::Silent, hosts: None, certificate }
}

/// Whether upstreams are told which certificate a client has shown.
fn is_forwarded(settings: &Settings) -> bool {
    settings.spec().clients.as_ref().is_some_and(|own| own.is_forwarded)
}

async fn shake_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    tls: &ServerTls,
    turns: &Turns,
    carry: fn(Box<TlsStream<S>>) -> Carrier,
) -> io::Result<Shaken> {
    let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let turn = turns.0.acquire().await.map_err(io::Error::other)?;
    // As late as can be, so that whoever connects after a renewal never sees the old certificate.
    let settings = tls.now();
    let mut answering = pin!(hello.into_stream(settings.config()));
    let early = poll_fn(|cx| Poll::Ready(answering.as_mut().poll(cx))).await;
    drop(turn);
    let stream = match early {
        Poll::Ready(done) => done?,
        Poll::Pending => answering.await?,
    };
    let session = stream.get_ref().1;
    let alpn = match session.alpn_protocol() {
        Some(b"h2") => Alpn::Http2,
        Some(_) => Alpn::Http1,
        None => Alpn::Silent,
    };
    let hosts = session.server_name().and_then(|name| settings.hosts_for(name));
    let certificate = match session.peer_certificates().and_then(<[_]>::first) {
        _ if !is_forwarded(&settings) => ToldCertificate::Unsaid,
        None => ToldCertificate::None,
        Some(leaf) => ToldCertificate::Leaf(byte_sequence(leaf)),
    };
    Ok(Shaken { carrier: carry(Box::new(stream.into())), alpn, hosts, certificate })
}

/// As a structured field has bytes (RFC 9440, section 2.1; RFC 8941, section 3.3.5).
fn byte_sequence(bytes: &[u8]) -> Box<[u8]> {
    format!(":{}:", STANDARD.encode(bytes)).into_bytes().into()
}

/// Tells HTTP/2 by prior knowledge from HTTP/1.1: reads as long as it looks like the preface. hyper's own
/// detection has no time limit before the first byte, nor has its wait for the preface where HTTP/2 was
/// agreed upon; what is none is left to it to refuse.
///
/// # Errors
/// When the client breaks off.
pub async fn read_preface(carrier: &mut Carrier, alpn: Alpn) -> io::Result<(bool, Vec<u8>)> {
    if let Alpn::Http1 = alpn {
        return Ok((false, Vec::new()));
    }
    let mut ahead = Vec::with_capacity(1024);
    loop {
        if carrier.read_buf(&mut ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let compared = ahead.len().min(PREFACE.len());
        if ahead[..compared] != PREFACE[..compared] {
            return Ok((matches!(alpn, Alpn::Http2), ahead));
        }
        if compared == PREFACE.len() {
            return Ok((true, ahead));
        }
    }
}

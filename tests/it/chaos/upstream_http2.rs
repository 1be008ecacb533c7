//! An upstream over HTTP/2 that plays the same scripts. Worse is not done to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::ledger::{Ledger, What};
use super::script::{ANSWERED, Act, HEADER, NUMBER, Script, Shape};
use super::upstream::{part, pause};
use crate::support::http2::{Http2Upstream, Visit};

/// Where failures of the upstream over HTTP/2 are written down.
const HTTP2: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Starts one; it stops when dropped.
pub async fn http2(ledger: &Arc<Ledger>) -> Http2Upstream {
    let ledger = Arc::clone(ledger);
    Http2Upstream::scripted(move |visit| play(visit, Arc::clone(&ledger))).await
}

async fn play(mut visit: Visit, ledger: Arc<Ledger>) {
    let field = |name| visit.head.headers.get(name)?.to_str().ok();
    let read = || Some((field(NUMBER)?.parse::<u64>().ok()?, Script::read(field(HEADER)?)?));
    let Some((number, script)) = read() else {
        visit.answer_only(Response::new(()));
        return;
    };
    ledger.visited(number);
    let _at_work = ledger.works_on(number);
    if matches!(script.act, Act::Mute | Act::Garbage) {
        ledger.harm(HTTP2, What::Failed);
        return visit.reset(h2::Reason::INTERNAL_ERROR);
    }
    match visit.body().await {
        Some((upload, _)) if upload == script.upload() => {}
        Some(_) => ledger.complain(format!("wrong bytes uploaded by request {number}")),
        None => return,
    }
    let mut head = Response::builder().status(script.status()).header(ANSWERED, number);
    match script.shape {
        Shape::Sized => head = head.header("content-length", script.body().len()),
        Shape::Stream => head = head.header("content-type", "text/event-stream"),
        Shape::Chunked | Shape::Tunnel => {}
    }
    let head = head.body(()).expect("a head");
    let Some(mut sending) = visit.try_answer_with(head) else { return };
    let mut sent = 0;
    for (index, piece) in script.pieces().into_iter().enumerate() {
        let (now, is_last) = part(script, sent, &piece);
        sent += now.len();
        let is_silent = script.act == Act::Silent;
        if !is_silent && !now.is_empty() && sending.send_data(now, false).is_err() {
            return;
        }
        if is_silent || (is_last && script.act == Act::Hush) {
            Visit::until_reset(&mut sending).await;
            return;
        }
        if is_last {
            return sending.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        pause(script, index).await;
    }
    let _ = sending.send_data(Bytes::new(), true);
}

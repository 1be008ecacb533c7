//! A connection's place among those of its core, and how it is driven there until it ends.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::{Client, Clients};

/// A connection's place in the table; given back on drop.
pub struct ClientPlace {
    clients: Rc<Clients>,
    client: Rc<Client>,
    slot: usize,
}

/// A connection that can be asked to end when it is idle.
pub trait Graceful: Future {
    /// Take no further request.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl ClientPlace {
    /// A place for a connection.
    pub(super) fn of(clients: &Rc<Clients>, client: Rc<Client>) -> Self {
        let slot = clients.table.borrow_mut().insert(Rc::clone(&client));
        // Relaxed: a hint for balancing.
        clients.open.fetch_add(1, Ordering::Relaxed);
        Self { clients: Rc::clone(clients), client, slot }
    }

    /// The connection.
    pub fn client(&self) -> &Rc<Client> {
        &self.client
    }

    /// Drives a connection until it ends, or is cut.
    pub async fn drive(&self, mut connection: Pin<&mut impl Graceful>) {
        let mut was_asked = false;
        let graceful = std::future::poll_fn(|cx| {
            if self.client.may_be_asked() && !std::mem::replace(&mut was_asked, true) {
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx).map(drop)
        });
        self.attend(std::pin::pin!(graceful)).await;
    }

    /// Does `work` for the connection, which looks itself whether it shall end; `None` when it was cut.
    pub async fn attend<F: Future>(&self, mut work: Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            self.remember(cx);
            if self.client.is_cut.get() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Waits until it is cut. Cancel safe.
    pub async fn until_cut(&self) {
        self.attend(std::pin::pin!(std::future::pending::<()>())).await;
    }

    fn remember(&self, cx: &Context<'_>) {
        let mut waker = self.client.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        self.clients.table.borrow_mut().remove(self.slot);
        self.clients.open.fetch_sub(1, Ordering::Relaxed);
    }
}

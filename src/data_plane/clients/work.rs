//! What a connection is busy with.

use std::rc::Rc;
use std::time::Instant;

use super::{Client, ClientPlace, Clients};

/// An exchange on a client's connection; the connection is busy until it is dropped.
pub struct Work {
    client: Rc<Client>,
    clients: Rc<Clients>,
}

impl Client {
    /// Begins an exchange.
    pub fn work(self: &Rc<Self>, clients: &Rc<Clients>) -> Work {
        self.in_flight.set(self.in_flight.get() + 1);
        self.io.leave_upload(false);
        Work { client: Rc::clone(self), clients: Rc::clone(clients) }
    }

    fn rest(&self, now: Instant) {
        self.in_flight.set(self.in_flight.get() - 1);
        if self.in_flight.get() == 0 && !self.io.is_lingering() {
            self.io.await_head();
            self.was_head_begun.set(false);
            self.since.set(now);
        }
    }
}

impl Work {
    /// The client it is for.
    pub fn client(&self) -> &Rc<Client> {
        &self.client
    }

    /// Its connection is a tunnel from here on, and has left its place: another one, from which it is seen
    /// whether the client has gone, or takes nothing.
    pub fn tunnel(&self) -> ClientPlace {
        self.client.is_tunnel.set(true);
        ClientPlace::of(&self.clients, Rc::clone(&self.client))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.client.rest(self.clients.now.get());
    }
}

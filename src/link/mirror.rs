//! The way of a copied request from a core to whoever sends it.

use tokio::sync::mpsc;

use crate::model::mirror::tap::{MirrorSink, Mirrored};

/// The end of the queue that cores put copies into.
#[derive(Debug)]
struct Queue(mpsc::Sender<Mirrored>);

impl MirrorSink for Queue {
    fn try_take(&self, copy: Mirrored) -> bool {
        self.0.try_send(copy).is_ok()
    }
}

/// A queue of so many copies, at least one. With as many as may be in flight it is never full.
pub fn queue(copies_max: u32) -> (Box<dyn MirrorSink>, mpsc::Receiver<Mirrored>) {
    let (sender, receiver) = mpsc::channel(copies_max.max(1) as usize);
    (Box::new(Queue(sender)), receiver)
}

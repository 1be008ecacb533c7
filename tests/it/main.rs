//! Behaviour of the whole proxy, over real sockets. One binary, so that it links once.

mod support;

mod ends;
mod forwarding;
mod refusals;
mod split;
mod sticky;

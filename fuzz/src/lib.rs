//! The parts of the program that are fuzzed, taken in by their files.
//!
//! What reads foreign bytes needs none of the program's larger dependencies, and is built in seconds
//! without them. As a dependency, the whole program and all that it stands on would be instrumented: a
//! build of many minutes, and a fuzzer that follows branches nobody asked about.

pub mod inspect;
pub mod model;

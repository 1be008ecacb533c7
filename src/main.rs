//! The `cyan` program.

fn main() {}

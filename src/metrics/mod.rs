//! Where the planes meet upwards: every core counts in a shard of its own, the collector sums them up.

pub mod heavy_keys;
pub mod shard;

//! Where the planes meet upwards: every core counts in a shard of its own, the collector sums them up.

pub mod cohort;
pub mod exchange_record;
pub mod heavy_keys;
pub mod record_fields;
pub mod record_text;
pub mod shard;

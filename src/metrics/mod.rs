//! Where the planes meet upwards: every core counts in a shard of its own, the collector sums them up.

pub mod age;
pub mod cohort;
pub mod cohort_log;
pub mod counts;
pub mod distribution;
pub mod exchange_record;
pub mod failed_keys;
pub mod feed;
pub mod heavy_keys;
pub mod measure;
pub mod near_map;
pub mod notes;
pub mod record_fields;
pub mod record_text;
mod score_slots;
mod score_sum;
pub mod scores;
pub mod shard;

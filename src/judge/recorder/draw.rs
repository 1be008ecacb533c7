//! Chance that does not depend on the order in which things are heard.
//!
//! Every request and key draws its number from its own identity and the seed of the rollout. Whoever has
//! the lowest numbers is in the sample, whichever core told of it and when.

/// The number that something draws (the finisher of `SplitMix64`, Steele et al. 2014).
pub fn draw(seed: u64, identity: u64) -> u64 {
    let mut mixed = (seed ^ identity).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Whether something is in a sample that was halved so often.
pub fn is_sampled(drawn: u64, halvings: u32) -> bool {
    drawn.leading_zeros() >= halvings
}

//! Cuts a body into pieces, as a network would.

/// Pieces of changing sizes, empty ones among them; the two numbers choose the cuts.
pub fn pieces(mut rest: &[u8], seed: u8, step: u8) -> impl Iterator<Item = &[u8]> {
    let mut size = seed;
    std::iter::from_fn(move || {
        size = size.wrapping_mul(5).wrapping_add(step | 1);
        let (piece, after) = rest.split_at(rest.len().min(usize::from(size >> 2)));
        let is_over = rest.is_empty();
        rest = after;
        (!is_over).then_some(piece)
    })
}

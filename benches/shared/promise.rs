//! What a bench promises of a figure, and whether this run kept it.

/// Says whether `value` stays within `max`.
pub(crate) fn is_kept(what: &str, value: f64, max: f64) -> bool {
    let is_kept = value <= max;
    println!("{} {what}: {value:.2} <= {max}", if is_kept { "met   " } else { "MISSED" });
    is_kept
}

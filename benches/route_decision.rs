//! Time to choose an environment: below 100 ns for five of them.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../tests/it/support/tables.rs"]
#[allow(dead_code, reason = "shared with tests that need the rest")]
mod tables;

fn choose(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("choose");
    for (environments, weights) in [
        (1, &[10_000][..]),
        (2, &[7_500, 2_500]),
        (3, &[6_500, 2_500, 1_000]),
        (5, &[5_000, 2_000, 1_000, 1_000, 1_000]),
    ] {
        let table = tables::table(&tables::assignment(weights, 1));
        let mut key = 1_u64;
        group.bench_function(format!("{environments} environments"), |bencher| {
            bencher.iter(|| {
                key = key.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
                black_box(table.choose(black_box(key)))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, choose);
criterion_main!(benches);

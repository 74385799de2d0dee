//! `cargo bench`: what the core costs, measured closely enough to see a change of it. What it must reach is measured by
//! `stayer bench`.

mod brain;
mod placement;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    placement::all(&mut criterion);
    brain::all(&mut criterion);
    criterion.final_summary();
}

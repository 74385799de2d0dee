//! The worked table of behaviour §2.3.

use super::Capacity;
use crate::model::spec::UpgradeStrategy;
use crate::model::unit::Ratio;

/// (n, minimumHealthCapacity %, maximumOverCapacity %, resident) → (minHealthy, maxCapacity, kills now, starts now), with
/// n old healthy instances and no health checks.
#[test]
fn the_worked_table() {
    let rows: [(u32, u64, u64, bool, [u32; 4]); 13] = [
        (4, 100, 100, false, [4, 8, 0, 4]),
        (5, 50, 20, false, [3, 6, 2, 1]),
        (5, 100, 0, false, [5, 6, 0, 1]),
        (5, 0, 0, false, [0, 5, 5, 0]),
        (5, 80, 0, false, [4, 5, 1, 0]),
        (5, 50, 0, false, [3, 5, 2, 0]),
        (1, 100, 100, false, [1, 2, 0, 1]),
        (1, 100, 0, false, [1, 2, 0, 1]),
        (1, 50, 0, false, [1, 2, 0, 1]),
        (1, 0, 0, false, [0, 1, 1, 0]),
        (10, 90, 10, false, [9, 11, 1, 1]),
        (3, 100, 0, true, [2, 3, 1, 0]),
        (4, 0, 0, true, [0, 4, 4, 0]),
    ];
    for (n, minimum, over, resident, [floor, ceiling, kills, starts]) in rows {
        let upgrade = UpgradeStrategy {
            minimum_health: Ratio::micro(minimum * 10_000),
            over_capacity: Ratio::micro(over * 10_000),
        };
        let capacity = Capacity::of(upgrade, n, n, resident);
        let context = format!("n {n}, {minimum} %, {over} %, resident {resident}");
        assert_eq!((capacity.floor, capacity.ceiling), (floor, ceiling), "{context}");
        assert_eq!(n - capacity.floor.min(n), kills, "{context}");
        assert_eq!(capacity.ceiling.saturating_sub(n).min(n), starts, "{context}");
    }
}

//! "Did you mean": the known name that an unknown one most likely stands for.

/// The nearest of `known`, when it is near enough to be meant.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = word.to_lowercase();
    let near = known.iter().filter_map(|name| {
        let plain = name.to_lowercase();
        let distance = distance(&lower, &plain);
        let begins = plain.len() >= 3 && (lower.starts_with(&plain) || plain.starts_with(&lower));
        let reach = 1 + plain.len().min(lower.len()) / 4;
        let meant = distance <= reach || (begins && lower.len() >= 3);
        meant.then_some((distance, *name))
    });
    near.min().map(|(_, name)| name)
}

/// How many letters have to be added, removed, replaced or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    // Longer keys are no typing errors; the bound keeps the table small.
    if left.len().abs_diff(right.len()) > 8 || left.len() > 64 {
        return usize::MAX;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let replace = rows[i][j] + usize::from(a != b);
            let swapped = i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b;
            let swap = if swapped { rows[i - 1][j - 1] + 1 } else { usize::MAX };
            row.push(replace.min(swap).min(row[j] + 1).min(rows[i][j + 1] + 1));
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_field_and_strangers_none() {
        let known = ["mem", "cpus", "instances", "healthChecks", "env", "id", "cmd", "labels"];
        for (word, name) in [
            ("memory", "mem"),
            ("cpu", "cpus"),
            ("instance", "instances"),
            ("insatnces", "instances"),
            ("healthcheck", "healthChecks"),
            ("label", "labels"),
            ("environment", "env"),
        ] {
            assert_eq!(nearest(word, &known), Some(name), "{word}");
        }
        for word in [
            "restartPolicy",
            "x",
            "storage",
            "a-very-long-name-that-nobody-can-have-meant-by-any-field-at-all",
        ] {
            assert_eq!(nearest(word, &known), None, "{word}");
        }
    }
}

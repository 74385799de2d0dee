//! What a figure comes to: values of its rounds, their ratios, a goal, and whether it is met.

/// The values of some rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The lowest.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The highest.
    pub high: f64,
}

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// One round: the anchor's value and ours, in the same unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// The anchor's.
    pub anchor: f64,
    /// Ours.
    pub ours: f64,
}

/// How a ratio is made of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratio {
    /// How much of the anchor's value ours is.
    OursToAnchor,
    /// How many times better ours is, where less is better.
    AnchorToOurs,
}

/// What a figure came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    name: &'static str,
    what: String,
    unit: &'static str,
    ours: Spread,
    anchor: Option<(String, Spread)>,
    ratio: Option<Spread>,
    goal: Goal,
    notes: Vec<String>,
}

// === impl Spread ===

impl Spread {
    /// Of some values; of none it is nothing.
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        Spread {
            low: at(0),
            median: f64::midpoint(at(values.len() / 2), at(values.len().saturating_sub(1) / 2)),
            high: at(values.len().saturating_sub(1)),
        }
    }

    fn text(&self, unit: &str) -> String {
        let Spread { low, median, high } = *self;
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        format!("{}{unit} ({}–{})", number(median), number(low), number(high))
    }
}

// === impl Goal ===

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Goal::AtMost(bound) => value <= bound,
            Goal::AtLeast(bound) => value >= bound,
        }
    }

    fn text(self, unit: &str) -> String {
        let (sign, bound) = match self {
            Goal::AtMost(bound) => ("≤", bound),
            Goal::AtLeast(bound) => ("≥", bound),
        };
        format!("{sign} {} {unit}", number(bound)).trim_end().to_owned()
    }
}

// === impl Outcome ===

impl Outcome {
    /// A value without an anchor: an absolute goal.
    pub fn absolute(
        (name, what): (&'static str, &str),
        unit: &'static str,
        values: Vec<f64>,
        goal: Goal,
    ) -> Outcome {
        let ours = Spread::of(values);
        let what = what.to_owned();
        Outcome { name, what, unit, ours, anchor: None, ratio: None, goal, notes: Vec::new() }
    }

    /// A ratio to an anchor.
    pub fn ratio(
        (name, what): (&'static str, &str),
        unit: &'static str,
        rounds: &[Round],
        (ratio, anchor): (Ratio, &str),
        goal: Goal,
    ) -> Outcome {
        let of = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value).collect());
        let ratios = of(match ratio {
            Ratio::OursToAnchor => |round| round.ours / round.anchor,
            Ratio::AnchorToOurs => |round| round.anchor / round.ours,
        });
        let anchor = (anchor.to_owned(), of(|round| round.anchor));
        Outcome {
            anchor: Some(anchor),
            ratio: Some(ratios),
            ..Outcome::absolute(
                (name, what),
                unit,
                rounds.iter().map(|round| round.ours).collect(),
                goal,
            )
        }
    }

    /// With a remark for people.
    #[must_use]
    pub fn with_note(mut self, note: String) -> Outcome {
        self.notes.push(note);
        self
    }

    /// Whether the goal is met, by the median.
    pub fn is_met(&self) -> bool {
        self.goal.is_met(self.ratio.unwrap_or(self.ours).median)
    }

    /// For people.
    pub fn text(&self) -> String {
        let unit = if self.ratio.is_some() { "" } else { self.unit };
        let mut parts = vec![format!("ours {}", self.ours.text(self.unit))];
        if let Some((anchor, spread)) = &self.anchor {
            parts.push(format!("{anchor} {}", spread.text(self.unit)));
        }
        parts.extend(self.ratio.map(|ratio| format!("ratio {}", ratio.text(""))));
        parts.push(format!("goal {}", self.goal.text(unit)));
        parts.push(if self.is_met() { "met" } else { "MISSED" }.to_owned());
        let mut lines = vec![format!("{}: {}", self.name, self.what)];
        lines.push(format!("  {}", parts.join(" · ")));
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.join("\n")
    }
}

/// Three digits that matter; big numbers whole and grouped.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if digits > 0 { text } else { grouped(&text) }
}

fn grouped(whole: &str) -> String {
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0
            && (whole.len() - place).is_multiple_of(3)
            && whole.as_bytes()[place - 1] != b'-'
        {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_not_the_ratio_of_medians() {
        let rounds = [(1.0, 4.0), (2.0, 2.0), (4.0, 4.0)]
            .map(|(anchor, ours)| Round { anchor, ours })
            .to_vec();
        let how = (Ratio::OursToAnchor, "anchor");
        let outcome = Outcome::ratio(("x", "y"), "ms", &rounds, how, Goal::AtMost(1.5));
        assert_eq!(outcome.ratio, Some(Spread { low: 1.0, median: 1.0, high: 4.0 }));
        assert!(outcome.is_met() && outcome.text().ends_with("goal ≤ 1.50 · met"));
    }

    #[test]
    fn a_goal_that_is_missed_says_so() {
        let outcome = Outcome::absolute(("x", "y"), "/s", vec![9.0], Goal::AtLeast(50_000.0));
        assert!(!outcome.is_met());
        assert!(outcome.text().ends_with("goal ≥ 50,000 /s · MISSED"), "{}", outcome.text());
        assert!(!Goal::AtMost(1.0).is_met(f64::NAN), "nothing measured is nothing met");
    }

    #[test]
    fn numbers_have_three_digits_that_matter() {
        let shown = [0.25, 3.218_49, 31.4, 314.2, 1_234_567.0].map(number);
        assert_eq!(shown, ["0.250", "3.22", "31.4", "314", "1,234,567"]);
    }
}

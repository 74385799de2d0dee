//! Tables of aligned columns, for people. Programs ask for JSON.

/// A table that is being filled.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// Between two columns.
const GAP: &str = "  ";

// === impl Table ===

impl Table {
    /// A table with these headings.
    pub fn new(head: &[&'static str]) -> Table {
        Table { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each heading. An empty cell is shown as `-`.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.head.len(), "a cell for each heading");
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { printable(&cell) };
        self.rows.push(cells.into_iter().map(shown).collect());
    }

    /// The table as text, without a line end behind the last row.
    pub fn text(&self) -> String {
        let head = self.head.iter().map(|&name| name.to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| lines.iter().map(|line| length(&line[column])).max();
        let widths: Vec<usize> = (0..self.head.len()).filter_map(width).collect();
        lines.iter().map(|line| aligned(line, &widths)).collect::<Vec<_>>().join("\n")
    }
}

/// What a task or a host calls itself must not steer the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded = |(cell, width): (&String, &usize)| {
        format!("{cell}{}", " ".repeat(width.saturating_sub(length(cell))))
    };
    let line: Vec<String> = cells.iter().zip(widths).map(padded).collect();
    line.join(GAP).trim_end().to_owned()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_at_their_last() {
        let mut table = Table::new(&["ID", "CPUS", "NOTE"]);
        table.row(vec!["/a-long-name".into(), "1".into(), String::new()]);
        table.row(vec!["/ü".into(), "0.25".into(), "two words".into()]);
        let text = "ID            CPUS  NOTE\n/a-long-name  1     -\n/ü            0.25  two words";
        assert_eq!(table.text(), text);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(&["ID"]);
        table.row(vec!["a\u{1b}[2Jb\n".into()]);
        assert_eq!(table.text(), "ID\na [2Jb");
    }

    #[test]
    fn a_table_without_rows_is_its_headings() {
        assert_eq!(Table::new(&["ID", "STATE"]).text(), "ID  STATE");
    }
}

//! Plain, aligned tables: the same text on a terminal and in a file.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

/// Longer lines wrap inside their cells; the help texts keep to the same width.
const WIDTH: u16 = 120;

/// A table under `header`. Columns whose name is in `numbers` are aligned to the right.
pub(crate) fn plain(header: &[&str], numbers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header.to_vec());
    for (index, name) in header.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if numbers.contains(name) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

/// Keeps the cells of a column whole up to `width`: others wrap first.
pub(crate) fn keep_whole(table: &mut Table, index: usize, width: u16) {
    const PADDING: u16 = 2;
    if let Some(column) = table.column_mut(index) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + PADDING)));
    }
}

/// Names and values, each indented and the values aligned.
pub(crate) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) -> Table {
    let mut table = plain(&["", ""], &[]);
    table.add_rows(facts.into_iter().map(|(name, value)| [format!("  {name}"), value]));
    table
}

/// The text of a table without spaces at the ends of lines.
pub(crate) fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").filter(|line| line != "\n").collect()
}

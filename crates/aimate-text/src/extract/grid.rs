//! Tables whose cells span rows and columns, laid out so that each value stands under
//! its column.

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GridCell {
    pub(super) text: String,
    /// How many columns and rows it spans, from 1.
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// Maximum columns of a laid out table, as in web browsers.
const MAX_COLUMNS: usize = 1_000;
/// Maximum cells that are laid out; the rows beyond are written as they are.
const MAX_CELLS: usize = 1_000_000;
/// Maximum bytes of a value that is repeated on each of its rows.
const MAX_REPEATED: usize = 200;

/// Lays out the rows of a table. A value that spans rows stands on each of them, so
/// that a row can be understood alone; one that spans columns stands in the first.
/// Rows without a text of their own are left out.
pub(super) fn lay_out(rows: Vec<Vec<GridCell>>) -> Vec<Vec<String>> {
    let mut laid: Vec<Vec<String>> = Vec::new();
    // By column: how many more rows the cell above takes, and its text.
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut cells_left = MAX_CELLS;
    for row in rows {
        let has_text = row.iter().any(|cell| !cell.text.trim().is_empty());
        let mut line: Vec<String> = Vec::new();
        for cell in row {
            take_above(&mut line, &mut above);
            let columns =
                cell.columns.clamp(1, MAX_COLUMNS.saturating_sub(line.len()).max(1)).min(cells_left.max(1));
            cells_left = cells_left.saturating_sub(columns);
            for column in 0..columns {
                let at = line.len();
                if cell.rows > 1 && at < MAX_COLUMNS {
                    if above.len() <= at {
                        above.resize(at + 1, (0, String::new()));
                    }
                    if let Some(place) = above.get_mut(at) {
                        let is_repeated = column == 0 && cell.text.len() <= MAX_REPEATED;
                        *place = (cell.rows - 1, if is_repeated { cell.text.clone() } else { String::new() });
                    }
                }
                line.push(if column == 0 { cell.text.clone() } else { String::new() });
            }
        }
        take_above(&mut line, &mut above);
        while line.len() < above.len() {
            if above.iter().skip(line.len()).all(|(rows, _)| *rows == 0) {
                break;
            }
            match above.get_mut(line.len()) {
                Some((rows, text)) if *rows > 0 => {
                    *rows -= 1;
                    line.push(text.clone());
                }
                _ => line.push(String::new()),
            }
        }
        if has_text {
            laid.push(line);
        }
    }
    laid
}

/// Puts the cells that come down from above before the next cell of a row.
fn take_above(line: &mut Vec<String>, above: &mut [(usize, String)]) {
    while let Some((rows, text)) = above.get_mut(line.len()).filter(|(rows, _)| *rows > 0) {
        *rows -= 1;
        line.push(text.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str, columns: usize, rows: usize) -> GridCell {
        GridCell { text: text.to_owned(), columns, rows }
    }

    #[test]
    fn values_stand_under_their_columns() {
        let rows = vec![
            vec![cell("a", 2, 2), cell("b", 1, 1)],
            vec![cell("c", 1, 2)],
            vec![cell("d", 1, 1), cell("e", 1, 1)],
            vec![cell("", 1, 1)],
        ];
        assert_eq!(lay_out(rows), [vec!["a", "", "b"], vec!["a", "", "c"], vec!["d", "e", "c"]]);
    }

    #[test]
    fn spans_without_end_are_bounded() {
        let row = vec![cell("a", usize::MAX, usize::MAX); 50];
        let rows = lay_out(vec![row; 50]);
        assert!(rows.iter().map(Vec::len).sum::<usize>() <= 50 * (MAX_COLUMNS + 100));
    }
}

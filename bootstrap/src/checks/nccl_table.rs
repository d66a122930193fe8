//! Tables of nccl-tests, columns found by their headers.

use super::logs;
use super::outcome::{Outcome, Verdict};
use super::plan::Plan;
use crate::host::Host;

/// One table: the output of one group of ranks.
#[derive(Debug, Default, Clone, PartialEq)]
struct Table {
    ranks: usize,
    rows: Vec<Row>,
}

/// One size; errors of the in-place and out-of-place run together.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    size_bytes: u64,
    bus_gb_per_s: f64,
    wrong: Errors,
}

/// Old versions print the largest error, new ones the number of wrong elements; `N/A` when not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errors {
    None,
    Some,
    NotChecked,
}

/// Old versions print a small rounding error for floating point sums; a broken transfer is far beyond it (nccl-tests#107).
const MAX_OLD_ERROR: f64 = 1e-3;

/// Tables begin with the line `# nThread …`; rows follow the line that names the columns.
fn tables(text: &str) -> Vec<Table> {
    let (mut tables, mut head): (Vec<Table>, Vec<&str>) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.trim_start_matches('#').split_whitespace().collect();
        match (&words[..], tables.last_mut()) {
            (["nThread" | "nthread", ..], _) => {
                tables.push(Table::default());
                head = Vec::new();
            }
            (["Rank", number, ..], Some(table)) if line.starts_with('#') && number.parse::<u32>().is_ok() => {
                table.ranks += 1;
            }
            (["size", "count", ..], _) => {
                if tables.is_empty() {
                    tables.push(Table::default());
                }
                head = words;
            }
            (_, Some(table)) if !line.starts_with('#') && !head.is_empty() => table.rows.extend(row(&head, &words)),
            _ => {}
        }
    }
    tables
}

/// A line with a number for each column; a row of size 0 is a small message that did not divide by the ranks
/// (nccl-tests#128).
fn row(head: &[&str], words: &[&str]) -> Option<Row> {
    let size_bytes = words.first()?.parse().ok().filter(|&size| size > 0)?;
    let columns = |name: &str| {
        let places = head.iter().enumerate().filter(move |(_, column)| column.eq_ignore_ascii_case(name));
        places.filter_map(|(place, _)| words.get(place).copied()).collect::<Vec<_>>()
    };
    let rates: Vec<f64> = columns("busbw").into_iter().filter_map(|word| word.parse().ok()).collect();
    let bus_gb_per_s = rates.iter().copied().filter(|rate: &f64| rate.is_finite()).reduce(f64::max)?;
    let verdicts = columns("#wrong").into_iter().chain(columns("wrong")).map(|word| errors(word, 0.0));
    let old = columns("error").into_iter().map(|word| errors(word, MAX_OLD_ERROR));
    let wrong = verdicts.chain(old).fold(Errors::NotChecked, |all, one| match (all, one) {
        (Errors::Some, _) | (_, Errors::Some) => Errors::Some,
        (Errors::None, _) | (_, Errors::None) => Errors::None,
        _ => Errors::NotChecked,
    });
    Some(Row { size_bytes, bus_gb_per_s, wrong })
}

fn errors(word: &str, most: f64) -> Errors {
    match word.parse::<f64>() {
        Ok(number) if number <= most => Errors::None,
        // Also what is no number, such as `nan`.
        Ok(_) => Errors::Some,
        Err(_) if word == "N/A" => Errors::NotChecked,
        Err(_) => Errors::Some,
    }
}

/// `nccl.results`: the tables that the task nccl-benchmark left.
pub(super) fn results(host: &Host, _plan: &Plan) -> Verdict {
    let mut passed = None;
    for (name, text) in logs::all(host)? {
        let tables = tables(&text);
        if tables.is_empty() {
            continue;
        }
        match judged(&name, &tables) {
            Outcome::Pass { found } => passed = Some(Outcome::Pass { found }),
            other => return Ok(other),
        }
    }
    Ok(passed.unwrap_or_else(|| Outcome::skip(format!("no log in {} holds a table of nccl-tests", logs::FOLDER))))
}

fn judged(name: &str, tables: &[Table]) -> Outcome {
    let rows = || tables.iter().flat_map(|table| &table.rows);
    // Each process that runs alone prints its own table (nccl-tests#294).
    let processes: usize = tables.iter().map(|table| table.ranks.max(1)).sum();
    if tables.len() > 1 && tables.iter().all(|table| table.ranks == 1) {
        let found = format!("ranks 1, expected {processes} (MPI missing): {name} has {} tables", tables.len());
        return Outcome::fail(found, "one table of all ranks", "build nccl-tests with MPI=1, or start it by torchrun");
    }
    let sizes: Vec<String> =
        rows().filter(|row| row.wrong == Errors::Some).map(|row| row.size_bytes.to_string()).collect();
    if !sizes.is_empty() {
        let found =
            format!("data errors in {name} at {} sizes: {}; its bandwidth is not valid", sizes.len(), sizes.join(", "));
        return Outcome::fail(
            found,
            "no wrong element",
            "run it again with NCCL_PROTO=Simple; see gpu.ecc and gpu.xid",
        );
    }
    if rows().next().is_none() {
        return Outcome::fail(
            format!("{name} has a head and no rows"),
            "a row for each size",
            "the test ended early: read the log",
        );
    }
    let best = rows().map(|row| row.bus_gb_per_s).fold(0.0, f64::max);
    if best <= 0.0 {
        let found = format!("bus bandwidth 0 in {name}");
        return Outcome::fail(found, "more than one rank", "one rank moves nothing: run at least two");
    }
    let ranks = tables.first().map_or(0, |table| table.ranks);
    let checked = if rows().any(|row| row.wrong == Errors::NotChecked) { ", not all checked" } else { "" };
    Outcome::pass(format!(
        "{name}: {ranks} ranks, {} sizes, best bus bandwidth {best:.2} GB/s{checked}",
        rows().count()
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_give_the_same_fields() {
        let old = "# nThread 1\n#   Rank  0 Pid 1\n#  size count type time algbw busbw error time algbw busbw error\n
            1024 256 float 9.1 0.1 0.2 1e-07 9.0 0.1 0.3 0e+00\n";
        let new = "# nThread 1\n#   Rank  0 Group 0 Pid 1\n#  size count type redop root time algbw busbw #wrong time algbw busbw #wrong\n
            1024 256 float sum -1 9.1 0.1 0.2 0 9.0 0.1 0.3 0\n";
        assert_eq!(tables(old), tables(new));
        assert_eq!(tables(old)[0].rows, [Row { size_bytes: 1024, bus_gb_per_s: 0.3, wrong: Errors::None }]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(# nThread|# size count busbw #wrong|#  Rank 1|\n|[0-9]|nan|N/A|\\.| |\\PC){0,60}") {
            let tables = tables(&text);
            if !tables.is_empty() {
                judged("a.log", &tables);
            }
        }
    }
}

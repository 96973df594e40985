//! Results as Markdown: what is written into `docs/benchmarks.md`.

mod compare;
mod document;
mod goals;
mod results;
mod tables;

use std::fs;
use std::path::Path;

use crate::error::{BenchError, Result};
use results::Results;

/// Renders the results in `dir` into a document, between its markers, or to
/// standard output.
///
/// # Errors
///
/// [`BenchError::Io`] if a file cannot be read or written,
/// [`BenchError::Protocol`] if one is not a result,
/// [`BenchError::Setup`] if the document has no markers.
pub fn render(dir: &Path, into: Option<&Path>) -> Result<()> {
    let results = Results::read(dir)?;
    let text = [
        tables::machine(&results),
        goals::table(&results),
        tables::scenarios(&results),
        compare::table(&results),
    ]
    .join("\n");
    let Some(path) = into else {
        println!("{}", text.trim_end());
        return Ok(());
    };
    let before =
        fs::read_to_string(path).map_err(BenchError::io(format!("reading {}", path.display())))?;
    fs::write(path, document::between_markers(&before, &text)?)
        .map_err(BenchError::io(format!("writing {}", path.display())))
}

/// Prints the comparison with another server alone.
///
/// # Errors
///
/// As [`render`].
pub fn compare(dir: &Path) -> Result<()> {
    println!("{}", compare::table(&Results::read(dir)?).trim_end());
    Ok(())
}

/// A number with as many places as it needs to tell it from its neighbors.
fn number(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if places > 0 { text } else { thousands(&text) }
}

/// `12345` as `12,345`.
fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_three_figures_and_commas() {
        let shown = [0.0123, 1.234, 12.34, 123.4, 1234.5, 1_234_567.0].map(number);
        assert_eq!(
            shown,
            ["0.012", "1.23", "12.3", "123", "1,234", "1,234,567"]
        );
    }
}

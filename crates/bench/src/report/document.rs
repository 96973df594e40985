//! A document with a part that is generated.

use crate::error::{BenchError, Result};

const BEGIN: &str = "<!-- results:begin -->";
const END: &str = "<!-- results:end -->";

/// `document` with everything between its markers replaced.
pub(super) fn between_markers(document: &str, text: &str) -> Result<String> {
    let missing = || BenchError::Setup(format!("the document has no {BEGIN} … {END}"));
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        text.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::between_markers;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let document = "a\n<!-- results:begin -->\nold\n<!-- results:end -->\nz\n";
        let once = between_markers(document, "new\n").expect("has markers");
        assert_eq!(
            once,
            "a\n<!-- results:begin -->\n\nnew\n\n<!-- results:end -->\nz\n"
        );
        assert_eq!(between_markers(&once, "new").expect("has markers"), once);
    }

    #[test]
    fn a_document_without_markers_is_left_alone() {
        assert!(between_markers("a", "b").is_err());
        assert!(between_markers("<!-- results:begin -->", "b").is_err());
    }
}

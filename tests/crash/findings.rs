//! What is wrong, and how much was looked at.

use std::fmt;

use crate::say;

/// What the comparison of the journal with the server has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Acknowledged acts compared.
    pub compared: u64,
    /// Acts that nobody acknowledged at first, and acknowledged when asked again.
    pub retried: u64,
    /// Those of them whose event was there before they were asked for again.
    pub kept: u64,
    /// Acknowledged and not there.
    pub lost: Vec<String>,
    /// Done more than once.
    pub duplicated: Vec<String>,
    /// Not in the order in which one client did them.
    pub reordered: Vec<String>,
    /// There, but not what was said or answered.
    pub altered: Vec<String>,
    /// There, and nobody intended it.
    pub stray: Vec<String>,
}

impl Findings {
    /// The kinds of findings, with their names.
    fn kinds(&self) -> [(&'static str, &Vec<String>); 5] {
        [
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("reordered", &self.reordered),
            ("altered", &self.altered),
            ("stray", &self.stray),
        ]
    }

    /// Prints the counts, and fails if anything is wrong.
    #[track_caller]
    pub fn report(&self, when: &str) {
        say!("{when}: {self}");
        for (name, found) in self.kinds() {
            for what in found.iter().take(20) {
                let what: String = what.chars().take(500).collect();
                say!("  {name}: {what}");
            }
        }
        let wrong = self.kinds().iter().any(|(_, found)| !found.is_empty());
        assert!(!wrong, "{when}: {self}");
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged acts ({} only when asked again, of which {} had been kept)",
            self.compared, self.retried, self.kept
        )?;
        for (name, found) in self.kinds() {
            write!(f, ", {} {name}", found.len())?;
        }
        Ok(())
    }
}

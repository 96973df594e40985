//! User-interactive authentication.

use serde_json::{Map, Value};

/// What the client still has to prove, as the body of a 401.
#[derive(Clone, Debug, PartialEq)]
pub struct UiaChallenge {
    /// The session to name with the next stage.
    pub session: String,
    /// The ways to complete it, each a list of stages in order.
    pub flows: Vec<Vec<&'static str>>,
    /// The stages completed so far.
    pub completed: Vec<String>,
    /// What a stage needs to know, by stage.
    pub params: Map<String, Value>,
    /// Why the last stage failed, if one did.
    pub failure: Option<UiaFailure>,
}

/// Why a stage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UiaFailure {
    /// The Matrix error code.
    pub errcode: &'static str,
    /// A sentence for people.
    pub error: &'static str,
}

//! The flow tests: one file per subject, each a user's story over HTTP.

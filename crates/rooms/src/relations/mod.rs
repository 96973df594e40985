//! Events that relate to others: which of them may be sent, and how they are found.

mod sending;

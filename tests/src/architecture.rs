//! What the manifests, the maps and the migration trees must agree on.

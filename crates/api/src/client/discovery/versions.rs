//! `GET /_matrix/client/versions`

use ruma::api::client::discovery::get_supported_versions::{Request, Response};

use crate::{ApiError, Ruma};

/// What clients may count on: from these they choose paths and behavior. Not later than 1.10: from
/// 1.11 on they fetch media from endpoints that are not there yet.
const VERSIONS: [&str; 18] = [
    "r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2",
    "v1.3", "v1.4", "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10",
];

/// What is served beyond these versions, by the names under which clients look for it.
const FEATURES: [&str; 7] = [
    // Room summaries, of v1.15.
    "org.matrix.msc3266",
    // Mutual rooms, of v1.19: under the path of before, and under the one of today.
    "uk.half-shot.msc2666.query_mutual_rooms",
    "uk.half-shot.msc2666.query_mutual_rooms.stable",
    // Threads, their list, and the direction of pages of relations, of v1.4.
    "org.matrix.msc3440.stable",
    "org.matrix.msc3856.stable",
    "org.matrix.msc3715.stable",
    // Sliding sync.
    "org.matrix.simplified_msc3575",
];

pub(super) async fn handle(_: Ruma<Request>) -> Result<Ruma<Response>, ApiError> {
    let mut response = Response::new(VERSIONS.map(str::to_owned).into());
    response.unstable_features = FEATURES.map(|name| (name.to_owned(), true)).into();
    Ok(Ruma(response))
}

//! The plans of searches and of what follows the stream for them.

use std::sync::Arc;

use greenroom_model::StreamPosition;
use greenroom_storage::{SearchQuery, SearchStore};

use super::{plans, watched};
use crate::support::{TestDb, room_with_members};

#[tokio::test]
async fn a_search_goes_by_the_index_of_words() {
    let db = TestDb::at(watched());
    let (mut room, users) = room_with_members(&db, &["alice"]).await;
    room.say(&db, &users[0], "words").await;
    plans(&db.place);
    let end = db.watcher.position();
    db.index_more(end).await.unwrap();
    let query = SearchQuery {
        all: vec!["wor".to_owned(), "ord".to_owned()],
        any: vec![vec!["x".to_owned(), "wor".to_owned()]],
        from: StreamPosition(1),
        upto: end,
        limit: 10,
    };
    let positions = db.candidates(query).await.unwrap();
    let hits = db.judged(positions, Arc::new(|_| Some(1.0))).await.unwrap();
    assert_eq!(hits.len(), 1);
    let plans = plans(&db.place);
    let steps = plans
        .iter()
        .filter(|(sql, _)| !sql.contains("search_progress"))
        .flat_map(|(_, steps)| steps);
    for step in steps {
        // What is matched is looked up, whatever the plan calls it; `M` says that it is matched.
        let matched = step.contains("search_index VIRTUAL TABLE INDEX") && step.contains(":M");
        assert!(matched || !step.contains("SCAN"), "{plans:#?}");
    }
    let all: Vec<&String> = plans.iter().flat_map(|(_, steps)| steps).collect();
    for wanted in [
        "search_index VIRTUAL TABLE",
        "events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    ] {
        assert!(all.iter().any(|step| step.contains(wanted)), "{plans:#?}");
    }
    db.close().await;
}

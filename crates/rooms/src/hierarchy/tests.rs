//! Walks over trees in memory, with a count of what was asked.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use greenroom_model::StoredEvent;
use greenroom_storage::{SpaceStore, StorageError};
use ruma::{OwnedRoomId, room_id, user_id};
use serde_json::json;

use super::{children::tests::child_event, *};
use crate::preview::tests::private_room;

/// Rooms and what they list.
#[derive(Default)]
struct Tree {
    rooms: HashMap<OwnedRoomId, RoomPreview>,
    children: HashMap<OwnedRoomId, Vec<StoredEvent>>,
    questions: AtomicUsize,
    rooms_read: AtomicUsize,
}

fn id(name: &str) -> OwnedRoomId {
    RoomId::parse(format!("!{name}:b")).unwrap()
}

impl Tree {
    fn room(&mut self, name: &str) -> &mut RoomPreview {
        let mut preview = private_room(id(name).as_str());
        preview.room.join_rule = Some("public".to_owned());
        self.rooms.entry(id(name)).or_insert(preview)
    }

    /// A space with these children, in this order.
    fn space(&mut self, name: &str, children: &[&str]) {
        self.room(name).room.room_type = Some("m.space".to_owned());
        for child in children {
            self.room(child);
            let events = self.children.entry(id(name)).or_default();
            let sent = u32::try_from(events.len()).unwrap();
            let content = json!({"via": ["b"], "suggested": !child.starts_with("un")});
            events.push(child_event(id(child).as_str(), sent, &content));
        }
    }

    fn questions(&self) -> usize {
        self.questions.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl SpaceStore for Tree {
    async fn room_previews(
        &self,
        room_ids: Vec<OwnedRoomId>,
        _: Option<&UserId>,
    ) -> Result<Vec<RoomPreview>, StorageError> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        self.rooms_read.fetch_add(room_ids.len(), Ordering::Relaxed);
        let found = room_ids.iter().filter_map(|id| self.rooms.get(id)).cloned();
        Ok(found.collect())
    }

    async fn space_children(
        &self,
        room_id: &RoomId,
        _: StreamPosition,
        _: u64,
    ) -> Result<Vec<StoredEvent>, StorageError> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        Ok(self.children.get(room_id).cloned().unwrap_or_default())
    }
}

/// Somebody who turns pages.
struct Walker {
    tree: Arc<Tree>,
    terms: Terms,
    walk: Walk,
    place: Place,
    limit: usize,
}

impl Walker {
    fn new(tree: &Arc<Tree>, limit: usize) -> Self {
        Self::with(tree, limit, MAX_DEPTH, false)
    }

    fn with(tree: &Arc<Tree>, limit: usize, max_depth: u32, suggested_only: bool) -> Self {
        let terms = Terms {
            user_id: user_id!("@a:b").to_owned(),
            root: room_id!("!root:b").to_owned(),
            at: StreamPosition(7),
            max_depth,
            suggested_only,
        };
        Self {
            tree: Arc::clone(tree),
            walk: Walk::new(terms.clone()),
            place: Place {
                at: terms.at,
                max_depth,
                suggested_only,
                behind: 0,
                last: [0; 8],
            },
            terms,
            limit,
        }
    }

    /// The names on a page, and where the next begins.
    async fn page(&mut self) -> Result<(Vec<String>, Option<Place>), RoomError> {
        let spaces: Arc<dyn SpaceStore> = Arc::clone(&self.tree) as _;
        let mut look = Look::new(spaces, self.terms.clone(), self.limit);
        let (rooms, next) = page(&mut self.walk, &mut look, self.place, self.limit).await?;
        let names = rooms.iter().map(|room| {
            let name = room.preview.room.room_id.as_str();
            name.trim_start_matches('!')
                .trim_end_matches(":b")
                .to_owned()
        });
        Ok((names.collect(), next))
    }

    /// What is left, page by page.
    async fn pages(&mut self) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        loop {
            let (names, next) = self.page().await.unwrap();
            pages.push(names);
            match next {
                Some(next) => {
                    assert!(next.behind > self.place.behind, "no page goes nowhere");
                    self.place = next;
                }
                None => return pages,
            }
        }
    }
}

#[tokio::test]
async fn a_space_is_walked_before_what_is_listed_behind_it() {
    let mut tree = Tree::default();
    tree.space("root", &["one", "two", "three"]);
    tree.space("two", &["four", "five"]);
    tree.space("five", &["six"]);
    let tree = Arc::new(tree);
    let all = ["root", "one", "two", "four", "five", "six", "three"];
    assert_eq!(Walker::new(&tree, 50).pages().await, [all.to_vec()]);
    for limit in 1..=7 {
        let pages = Walker::new(&tree, limit).pages().await;
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit));
        assert_eq!(pages.concat(), all, "{limit}");
    }
}

#[tokio::test]
async fn a_loop_ends_and_each_room_is_there_once() {
    let mut tree = Tree::default();
    tree.space("root", &["one", "two", "root", "leaf"]);
    tree.space("one", &["two", "leaf"]);
    tree.space("two", &["one", "root", "two"]);
    let tree = Arc::new(tree);
    for limit in [1, 2, 50] {
        let pages = Walker::new(&tree, limit).pages().await;
        assert_eq!(pages.concat(), ["root", "one", "two", "leaf"], "{limit}");
    }
}

#[tokio::test]
async fn rooms_that_may_not_be_seen_hide_what_is_below_them() {
    let mut tree = Tree::default();
    tree.space("root", &["hidden", "seen", "gone"]);
    tree.space("hidden", &["below"]);
    tree.room("hidden").room.join_rule = Some("invite".to_owned());
    tree.rooms.remove(&id("gone"));
    let tree = Arc::new(tree);
    assert_eq!(Walker::new(&tree, 2).pages().await, [["root", "seen"]]);
}

#[tokio::test]
async fn only_suggested_rooms_are_followed_if_so_asked() {
    let mut tree = Tree::default();
    tree.space("root", &["one", "unwanted"]);
    tree.space("unwanted", &["two"]);
    tree.space("one", &["unloved"]);
    let tree = Arc::new(tree);
    let pages = Walker::with(&tree, 50, MAX_DEPTH, true).pages().await;
    assert_eq!(pages, [["root", "one"]]);
}

#[tokio::test]
async fn what_is_too_far_down_by_one_way_is_found_by_a_shorter_one() {
    let mut tree = Tree::default();
    tree.space("root", &["one", "two"]);
    tree.space("one", &["two"]);
    tree.space("two", &["three"]);
    tree.space("three", &["four"]);
    let tree = Arc::new(tree);
    for (max_depth, expected) in [
        (0, &["root"][..]),
        (1, &["root", "one", "two"]),
        (2, &["root", "one", "two", "three"]),
        (3, &["root", "one", "two", "three", "four"]),
    ] {
        for limit in [1, 50] {
            let pages = Walker::with(&tree, limit, max_depth, false).pages().await;
            assert_eq!(pages.concat(), expected, "{max_depth}");
        }
    }
}

#[tokio::test]
async fn a_page_asked_for_again_and_a_walk_forgotten_make_no_difference() {
    let mut tree = Tree::default();
    tree.space("root", &["one", "two", "three", "four"]);
    tree.space("two", &["five", "six"]);
    let tree = Arc::new(tree);
    let mut walker = Walker::new(&tree, 2);
    loop {
        let first = walker.page().await.unwrap();
        assert_eq!(walker.page().await.unwrap(), first);
        let mut forgetful = Walker::new(&tree, 2);
        forgetful.place = walker.place;
        assert_eq!(forgetful.page().await.unwrap(), first);
        let Some(next) = first.1 else { break };
        walker.place = next;
    }
}

#[tokio::test]
async fn a_walk_that_took_another_way_does_not_go_on() {
    let mut tree = Tree::default();
    tree.space("root", &["one", "two"]);
    let mut walker = Walker::new(&Arc::new(tree), 2);
    walker.place.behind = 2;
    walker.place.last = short_hash(&id("two"));
    let refused = walker.page().await.unwrap_err();
    assert!(matches!(refused, RoomError::InvalidParam(_)));
    walker.place.behind = 99;
    assert!(walker.page().await.is_err());
}

#[tokio::test]
async fn a_page_of_a_broad_tree_costs_what_is_on_it() {
    let names: Vec<String> = (0..10_000).map(|number| format!("r{number}")).collect();
    let mut tree = Tree::default();
    tree.space(
        "root",
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let tree = Arc::new(tree);
    let mut walker = Walker::new(&tree, 100);
    let mut pages = 0;
    while let (_, Some(next)) = walker.page().await.unwrap() {
        pages += 1;
        // The root's children are read for the first page: they are on it.
        assert!(tree.questions() <= 4, "page {pages}");
        assert!(tree.rooms_read.swap(0, Ordering::Relaxed) <= 302);
        walker.place = next;
    }
    assert_eq!(pages, 100);
}

#[tokio::test]
async fn a_deep_tree_costs_what_is_on_a_page() {
    let mut tree = Tree::default();
    tree.space("root", &["s0"]);
    for number in 0..2_000 {
        tree.space(&format!("s{number}"), &[&format!("s{}", number + 1)]);
    }
    let tree = Arc::new(tree);
    let mut walker = Walker::new(&tree, 50);
    let mut found = 0;
    loop {
        let (names, next) = walker.page().await.unwrap();
        found += names.len();
        assert!(tree.questions() <= 2 * 51 + 2);
        let Some(next) = next else { break };
        walker.place = next;
    }
    assert_eq!(found, 1 + usize::try_from(MAX_DEPTH).unwrap());
}

#[tokio::test]
async fn who_may_see_nothing_of_a_broad_tree_gets_short_pages() {
    let names: Vec<String> = (0..2_500).map(|number| format!("r{number}")).collect();
    let mut tree = Tree::default();
    tree.space(
        "root",
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for name in &names {
        tree.room(name).room.join_rule = Some("invite".to_owned());
    }
    let pages = Walker::new(&Arc::new(tree), 100).pages().await;
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 0, 0]);
}

#[tokio::test]
async fn a_long_walk_that_was_forgotten_is_walked_again_in_several_requests() {
    let names: Vec<String> = (0..2 * MAX_WALKED_AGAIN + 200)
        .map(|number| format!("r{number}"))
        .collect();
    let mut tree = Tree::default();
    tree.space(
        "root",
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let mut walker = Walker::new(&Arc::new(tree), 100);
    // Behind the root and the first 20,099 rooms.
    let last = names.get(2 * MAX_WALKED_AGAIN + 98).unwrap();
    walker.place.behind = u32::try_from(2 * MAX_WALKED_AGAIN + 100).unwrap();
    walker.place.last = short_hash(&id(last));
    for _ in 0..2 {
        let again = walker.page().await.unwrap();
        assert_eq!(again, (Vec::new(), Some(walker.place)));
    }
    let (found, next) = walker.page().await.unwrap();
    assert_eq!(found, names[2 * MAX_WALKED_AGAIN + 99..][..100]);
    assert!(next.is_some());
    // What is too large to wait for another request does not wait.
    let mut large = Walker::new(&walker.tree, 100);
    large.place = walker.place;
    large.walk = Walk::held_up(large.terms.clone(), MAX_KEPT_WALK + 1);
    assert_eq!(large.page().await.unwrap(), (found, next));
}

#[test]
fn a_walk_of_the_size_that_surely_is_kept_is_kept() {
    let walks = Walks::default();
    let walker = Walker::new(&Arc::default(), 1);
    let walk = walks.of(&walker.terms);
    walks.keep(walker.terms.clone(), Arc::clone(&walk), MAX_KEPT_WALK);
    assert!(Arc::ptr_eq(&walk, &walks.of(&walker.terms)));
}

/// Layers of which each room lists the whole next one: there are 2^40 ways through it.
#[tokio::test]
async fn a_lattice_is_walked_once() {
    let mut tree = Tree::default();
    tree.space("root", &["a0", "b0"]);
    for layer in 0..40 {
        let next = [format!("a{}", layer + 1), format!("b{}", layer + 1)];
        for side in ["a", "b"] {
            tree.space(&format!("{side}{layer}"), &[&next[0], &next[1]]);
        }
    }
    let tree = Arc::new(tree);
    for max_depth in [20, MAX_DEPTH] {
        let rooms = Walker::with(&tree, 100, max_depth, false)
            .pages()
            .await
            .concat();
        let layers = 41.min(usize::try_from(max_depth).unwrap());
        assert_eq!(rooms.len(), 1 + 2 * layers, "{max_depth}");
    }
    assert!(tree.questions() < 1_000);
}

#[test]
fn b40_a_place_is_sealed_for_one_user_and_space() {
    let tokens = TokenSigner::new(&[7; 32]);
    let (alice, root) = (user_id!("@a:b"), room_id!("!root:b"));
    let place = Place {
        at: StreamPosition(5),
        max_depth: 3,
        suggested_only: true,
        behind: 9,
        last: short_hash(root),
    };
    let token = place.seal(&tokens, alice, root);
    assert_eq!(Place::open(&tokens, alice, root, &token), Some(place));
    assert_eq!(Place::open(&tokens, user_id!("@c:b"), root, &token), None);
    assert_eq!(
        Place::open(&tokens, alice, room_id!("!other:b"), &token),
        None
    );
    assert_eq!(Place::open(&tokens, alice, root, "h1_AAAA"), None);
}

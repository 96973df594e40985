//! `docs/spec-coverage.md`: each operation of the client-server API, whether it is served, and a
//! test that makes its request.
//!
//! What is served comes from `docs/endpoints.md`, which a test of the API holds to the code; the
//! operations come from the specification's data; the tests are read from their sources. The page
//! stands as long as what it says is true: another test of an operation does not make it stale, and
//! a better one may be written into it.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs};

use source::{Requests, Source};

const OPERATIONS: &str = include_str!("../../spec/client-server.tsv");

/// Refused whatever is asked, at a path that serves another operation.
const REFUSED: &[&str] = &["inviteBy3PID"];

const INTRODUCTION: &str = "\
# What of the specification is served

Every operation of the client-server API in the Matrix specification's OpenAPI data (v1.19 and what follows it), and whether
Greenroom serves it: [endpoints.md](endpoints.md) has the paths of older versions too. Beside an operation stands a flow test that
makes its request; there may be more. Where it says 'no test of its own', only the tests of `tests/it/endpoints` make it, which
send good and bad requests to everything that is served. Operations that share a method and a path share their tests.

This page is made by a test: see `tests/src/coverage`.
";

/// Method, path, module, name and title.
type Operation = [&'static str; 5];

fn operations() -> Vec<Operation> {
    let rows = OPERATIONS.lines().filter(|line| !line.starts_with('#'));
    let operations = rows.map(|row| {
        let cells: Vec<_> = row.split('\t').collect();
        cells.try_into().expect("five cells")
    });
    operations.collect()
}

/// A path without the names of its variables, which the server and the specification choose apart.
fn nameless(path: &str) -> String {
    let segments = path.split('/');
    let segments = segments.map(|it| if it.starts_with('{') { "{}" } else { it });
    segments.collect::<Vec<_>>().join("/")
}

/// The cells of the rows of a page's tables, without the quotes of code.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`')).collect()
    })
}

/// The method and path of what the server serves.
fn served(endpoints: &str) -> BTreeSet<(String, String)> {
    rows(endpoints)
        .map(|cells| (cells[0].to_owned(), nameless(cells[1])))
        .collect()
}

/// Whether a request's path is one of an operation, in any version.
fn is_of(operation: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let path = match path.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => format!("_matrix/client/v3/{path}"),
    };
    let given: Vec<&str> = path.split('/').collect();
    let expected: Vec<&str> = operation.split('/').skip(1).collect();
    let fits = |expected: &[&str]| {
        let mut pairs = expected.iter().zip(&given).enumerate();
        expected.len() == given.len()
            && pairs.all(|(at, (expected, given))| {
                let version = at == 2 && ["r0", "v1", "v3", "unstable"].contains(given);
                expected == given || expected.starts_with('{') || version
            })
    };
    // An empty state key may go without its slash.
    let shorter = expected.strip_suffix(&["{stateKey}"]);
    fits(&expected) || shorter.is_some_and(fits)
}

/// The tests that make this operation's request: those that make it themselves and few others first.
fn tests_of<'a>(operation: &Operation, tests: &'a [(String, Requests)]) -> Vec<&'a str> {
    let [method, path, ..] = operation;
    let found = tests.iter().filter_map(|(name, requests)| {
        let same = requests
            .iter()
            .filter(|((used, given), _)| used == method && is_of(path, given));
        let nearest = same.map(|(_, depth)| depth).min()?;
        Some((nearest, requests.len(), name.as_str()))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    found.into_iter().map(|(.., name)| name).collect()
}

/// The page as it should be, which keeps of the present one what is true.
fn render(
    present: &str,
    served: &BTreeSet<(String, String)>,
    tests: &[(String, Requests)],
) -> String {
    let named: BTreeMap<&str, &str> = rows(present)
        .filter(|cells| cells.len() == 5)
        .filter_map(|cells| Some((cells[2].split_once("<br>")?.0, cells[4])))
        .collect();
    let mut modules: Vec<(&str, Vec<String>, usize)> = Vec::new();
    let mut tested = 0;
    for operation in operations() {
        let [method, path, module, name, title] = operation;
        let candidates = tests_of(&operation, tests);
        let kept = candidates.iter().find(|it| named.get(name) == Some(it));
        let is_served =
            served.contains(&(method.to_owned(), nameless(path))) && !REFUSED.contains(&name);
        let (state, test) = match kept.or(candidates.first()) {
            _ if !is_served => ("not yet", String::new()),
            Some(test) => ("served", format!("`{test}`")),
            None => ("served", "no test of its own".to_owned()),
        };
        tested += usize::from(is_served && !candidates.is_empty());
        if modules.last().is_none_or(|(last, ..)| *last != module) {
            modules.push((module, Vec::new(), 0));
        }
        let (_, rows, count) = modules.last_mut().expect("the module was just pushed");
        *count += usize::from(is_served);
        rows.push(format!(
            "| `{method}` | `{path}` | {name}<br>{title} | {state} | {test} |\n"
        ));
    }
    let all: usize = modules.iter().map(|(_, rows, _)| rows.len()).sum();
    let answered: usize = modules.iter().map(|(.., count)| count).sum();
    let (mut counts, mut tables) = (Vec::new(), Vec::new());
    for (module, rows, count) in modules {
        counts.push(format!("| {module} | {count} | {} |\n", rows.len()));
        tables.push(format!(
            "\n## {module}\n\n| method | path | operation | | test |\n|---|---|---|---|---|\n{}",
            rows.concat()
        ));
    }
    let (counts, tables) = (counts.concat(), tables.concat());
    format!(
        "{INTRODUCTION}\n**{answered} of {all} operations are served**, {tested} of them with a test of their own.\n\n\
         | module | served | of |\n|---|--:|--:|\n{counts}{tables}"
    )
}

#[test]
fn the_page_of_the_specification_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let page = root.join("docs/spec-coverage.md");
    let present = fs::read_to_string(&page).unwrap_or_default();
    let mut source = Source::default();
    source.read(&root.join("tests/it"), "");
    source.read(&root.join("tests/src"), "kit");
    let tests = source.tests();
    assert!(tests.len() > 100, "only {} tests were found", tests.len());
    let right = render(&present, &served(&read("docs/endpoints.md")), &tests);
    if env::var_os("GREENROOM_RENEW_DOCS").is_some() {
        fs::write(&page, &right).expect("the page is writable");
        return;
    }
    let news: Vec<&str> = right
        .lines()
        .filter(|line| !present.lines().any(|other| other == *line))
        .collect();
    assert!(
        right == present,
        "docs/spec-coverage.md is stale. Renew it with\n\
         GREENROOM_RENEW_DOCS=1 cargo test -p greenroom-tests --lib coverage\n\
         It should say: {news:#?}"
    );
}

#[test]
fn a_test_stays_beside_an_operation_while_it_makes_the_request() {
    let source = r#"
#[tokio::test]
async fn one() {
    alice.get("joined_rooms").await;
}

#[tokio::test]
async fn two() {
    alice.get("joined_rooms").await;
    alice.get("account/whoami").await;
}
"#;
    let served = served("| `GET` | `/_matrix/client/v3/joined_rooms` | token |");
    let mut sources = Source::default();
    sources.add("rooms", source);
    let first = render("", &served, &sources.tests());
    assert!(first.contains("| served | `rooms::one` |"), "{first}");
    assert!(
        first.contains("**1 of 166 operations are served**, 1 of"),
        "{first}"
    );
    let other = first.replace("rooms::one", "rooms::two");
    assert_eq!(render(&other, &served, &sources.tests()), other);
    let gone = first.replace("rooms::one", "rooms::gone");
    assert_eq!(render(&gone, &served, &sources.tests()), first);
    let none = render(&first, &served, &[]);
    assert!(none.contains("| served | no test of its own |"), "{none}");
}

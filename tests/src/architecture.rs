//! What the manifests, the map, the migration trees and the files must agree on.
//!
//! A failing test here means that the architecture changed: change `ALLOWED` and
//! `ARCHITECTURE.md` too, if that is what you want.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Which crates of ours a crate may name, dev-dependencies aside.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("stream", &["model"]),
    ("events", &["model"]),
    ("storage", &["model"]),
    ("search", &["model"]),
    // Knows HTTP and addresses, and nothing of Matrix.
    ("outbound", &[]),
    ("auth", SUBSYSTEM),
    ("account", SUBSYSTEM),
    ("ephemeral", SUBSYSTEM),
    // Its pushers send to gateways.
    (
        "push",
        &["model", "stream", "events", "storage", "outbound"],
    ),
    ("rooms", &["model", "stream", "events", "storage", "search"]),
    ("sync", SUBSYSTEM),
    // Its writer announces what it has committed.
    ("storage-sql", &["model", "stream", "storage", "search"]),
    (
        "api",
        &[
            "model",
            "stream",
            "events",
            "storage",
            "search",
            "auth",
            "account",
            "ephemeral",
            "push",
            "rooms",
            "sync",
        ],
    ),
    ("web", &[]),
    (
        "server",
        &[
            "model",
            "stream",
            "events",
            "storage",
            "outbound",
            "auth",
            "account",
            "ephemeral",
            "push",
            "rooms",
            "sync",
            "storage-sql",
            "api",
            "web",
        ],
    ),
    ("bench", &[]),
];

/// What every subsystem stands on. Subsystems never name each other.
const SUBSYSTEM: &[&str] = &["model", "stream", "events", "storage"];

/// Which crates of ours may name a library that shapes whatever it touches.
const LIBRARIES: &[(&str, &[&str])] = &[
    // The bench measures the latency of one commit, to compare a send with.
    ("diesel", &["storage-sql", "bench"]),
    ("diesel_migrations", &["storage-sql"]),
    ("actix-web", &["api", "web", "server"]),
    // The server starts the arbiters that the others place their actors on.
    ("actix", &["rooms", "sync", "server"]),
    // Nobody else sends requests: every one of them passes the guard against private addresses.
    ("reqwest", &["outbound"]),
];

/// Longer files have two subjects.
const LONGEST_FILE: usize = 700;

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest(path: &Path) -> Table {
    read(path)
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of what is in a directory, sorted.
fn names_in(directory: &Path) -> BTreeSet<String> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| entry.expect("a readable directory").file_name())
        .map(|name| name.into_string().expect("a name in UTF-8"))
        .collect()
}

/// The crates by the name of their directory, with their manifests.
fn crates() -> BTreeMap<String, Table> {
    let directory = root().join("crates");
    let with_manifest = |name: String| {
        let table = manifest(&directory.join(&name).join("Cargo.toml"));
        (name, table)
    };
    names_in(&directory)
        .into_iter()
        .map(with_manifest)
        .collect()
}

/// The packages that a manifest names, dev-dependencies aside, by their real names.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    let tables = std::iter::once(manifest).chain(targets);
    let sections = tables.flat_map(|table| {
        ["dependencies", "build-dependencies"]
            .map(|section| table.get(section))
            .into_iter()
    });
    let entries = sections.flatten().filter_map(Value::as_table).flatten();
    entries
        .map(|(key, value)| {
            value
                .get("package")
                .and_then(Value::as_str)
                .unwrap_or(key)
                .to_owned()
        })
        .collect()
}

/// The directory under `crates/` of a package of ours.
fn directory_of(package: &str) -> Option<&str> {
    if package == "greenroom" {
        Some("server")
    } else {
        package.strip_prefix("greenroom-")
    }
}

#[test]
fn crates_name_only_the_crates_they_may() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, manifest) in crates() {
        let package = manifest["package"]["name"]
            .as_str()
            .expect("a package name");
        assert_eq!(
            directory_of(package),
            Some(name.as_str()),
            "the package of crates/{name}"
        );
        let Some(may) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} has no row in ALLOWED"));
            continue;
        };
        for package in dependencies(&manifest) {
            if let Some(other) = directory_of(&package)
                && !may.contains(&other)
            {
                wrong.push(format!("{name} -> {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that are not allowed: {wrong:#?}");
}

#[test]
fn shaping_libraries_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (name, manifest) in crates() {
        let named = dependencies(&manifest);
        for (library, may) in LIBRARIES {
            if named.contains(*library) && !may.contains(&name.as_str()) {
                wrong.push(format!("{name} names {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_flow_tests_see_only_the_outside() {
    let named = dependencies(&manifest(&root().join("tests/Cargo.toml")));
    let ours: Vec<_> = named
        .iter()
        .filter(|package| directory_of(package).is_some())
        .collect();
    assert!(ours.is_empty(), "the tests drive the binary, not {ours:?}");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for (name, manifest) in crates() {
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(Value::as_bool),
            Some(true),
            "[lints] of crates/{name}"
        );
    }
}

#[test]
fn the_map_names_every_crate_and_no_other() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let words: BTreeSet<&str> = map
        .split(|it: char| !(it.is_ascii_alphanumeric() || "-_/.".contains(it)))
        .collect();
    let crates: BTreeSet<String> = crates().into_keys().collect();
    for name in &crates {
        let named = words
            .iter()
            .any(|word| *word == name || word.trim_end_matches('/') == format!("crates/{name}"));
        assert!(named, "ARCHITECTURE.md says nothing of {name}");
    }
    for word in words {
        if let Some(path) = word.strip_prefix("crates/") {
            let name = path.split('/').next().unwrap_or_default();
            assert!(
                name.is_empty() || crates.contains(name),
                "ARCHITECTURE.md names {word}"
            );
            let file = root().join(word.trim_end_matches('.'));
            assert!(
                name.is_empty() || file.exists(),
                "ARCHITECTURE.md names {word}"
            );
        }
    }
}

#[test]
fn both_migration_trees_have_the_same_steps() {
    let migrations = root().join("migrations");
    let sqlite = names_in(&migrations.join("sqlite"));
    let postgres = names_in(&migrations.join("postgres"));
    assert_eq!(sqlite, postgres, "the same folder names on both sides");
    for backend in ["sqlite", "postgres"] {
        for step in &sqlite {
            let found = names_in(&migrations.join(backend).join(step));
            let wanted = ["down.sql", "up.sql"].map(String::from).into();
            assert_eq!(found, wanted, "{backend}/{step}");
        }
    }
}

/// The Rust files in a directory and below.
fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for name in names_in(directory) {
        let path = directory.join(name);
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut files = Vec::new();
    for name in crates().into_keys() {
        rust_files(&root().join("crates").join(name).join("src"), &mut files);
    }
    rust_files(&root().join("tests/src"), &mut files);
    rust_files(&root().join("tests/it"), &mut files);
    let long: Vec<String> = files
        .iter()
        .map(|file| (file, read(file).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(
        long.is_empty(),
        "longer than {LONGEST_FILE} lines: {long:#?}"
    );
}

#[test]
fn dependencies_are_found_in_every_section_but_those_of_tests() {
    let manifest: Table = r#"
        dependencies.a = "1"
        dependencies.x = { package = "b", version = "1" }
        build-dependencies.c = "1"
        dev-dependencies.d = "1"
        target.'cfg(unix)'.dependencies.e = "1"
        target.'cfg(unix)'.dev-dependencies.f = "1"
    "#
    .parse()
    .expect("a manifest");
    assert_eq!(
        dependencies(&manifest),
        ["a", "b", "c", "e"].map(String::from).into()
    );
}

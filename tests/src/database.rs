//! A database nobody else sees.

use std::process::Command;

use reqwest::Url;
use uuid::Uuid;

/// The environment variable that moves every test to PostgreSQL: the URL of a server on which
/// databases may be created.
pub(crate) const POSTGRES_URL: &str = "GREENROOM_TEST_POSTGRES_URL";

/// A database of one test server on PostgreSQL.
#[derive(Debug, Clone)]
pub(crate) struct PostgresDatabase {
    /// Where it was created, and can be dropped.
    pub(crate) admin_url: String,
    pub(crate) name: String,
    /// What the server under test is given.
    pub(crate) url: String,
}

impl PostgresDatabase {
    /// Creates a database if the tests run on PostgreSQL.
    pub(crate) fn create_if_asked() -> Option<Self> {
        let admin_url = std::env::var(POSTGRES_URL)
            .ok()
            .filter(|url| !url.is_empty())?;
        let name = format!("greenroom_test_{}", Uuid::new_v4().simple());
        let mut url = Url::parse(&admin_url)
            .unwrap_or_else(|error| panic!("{POSTGRES_URL} is not a URL: {error}"));
        url.set_path(&format!("/{name}"));
        let database = Self {
            admin_url,
            name,
            url: url.into(),
        };
        database.create();
        Some(database)
    }

    fn create(&self) {
        let output = Command::new("psql")
            .args(["-qX", "-d", &self.admin_url, "-c"])
            .arg(format!(
                "CREATE DATABASE \"{}\" TEMPLATE template0 ENCODING 'UTF8'",
                self.name
            ))
            .output()
            .expect("psql: install PostgreSQL's client to run the tests on PostgreSQL");
        assert!(
            output.status.success(),
            "could not create a database: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

//! Registration, by `m.login.dummy` or a registration token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, success};
use crate::error::{BenchError, Result};
use crate::http::{Connection, Method, Target};

const PATH: &str = "/_matrix/client/v3/register";

/// Makes accounts and the connections of their clients.
#[derive(Debug)]
pub struct Registrar {
    target: Arc<Target>,
    timeout: Duration,
    registration_token: Option<String>,
    /// Distinguishes the user names of this run from those of any other.
    run: String,
    accounts: AtomicUsize,
    connections: AtomicUsize,
    /// Hashing passwords is not what is measured: accounts have none until the server insists.
    with_password: AtomicBool,
}

#[derive(Debug, Deserialize)]
struct Registered {
    user_id: String,
    access_token: String,
}

#[derive(Debug, Default, Deserialize)]
struct Challenge {
    session: String,
    #[serde(default)]
    flows: Vec<Flow>,
    #[serde(default)]
    completed: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Flow {
    stages: Vec<String>,
}

impl Registrar {
    /// A registrar of accounts named `bench-{run}-{n}`.
    #[must_use]
    pub fn new(
        target: Arc<Target>,
        timeout: Duration,
        registration_token: Option<String>,
        run: String,
    ) -> Self {
        Self {
            target,
            timeout,
            registration_token,
            run,
            accounts: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            with_password: AtomicBool::new(false),
        }
    }

    /// A new connection, opened by its first request.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let index = self.connections.fetch_add(1, Ordering::Relaxed);
        Connection::new(
            Arc::clone(&self.target),
            self.target.source(index),
            self.timeout,
        )
    }

    /// Another connection of the same device.
    #[must_use]
    pub fn same_device(&self, client: &Client) -> Client {
        Client {
            connection: self.connection(),
            user_id: client.user_id.clone(),
            token: Arc::clone(&client.token),
        }
    }

    /// Registers an account and logs it in.
    ///
    /// # Errors
    ///
    /// [`BenchError::Setup`] if no flow of the server can be completed here,
    /// [`BenchError::Status`] if it refuses, or what the connection fails with.
    pub async fn register(&self) -> Result<Client> {
        let username = format!(
            "bench-{}-{}",
            self.run,
            self.accounts.fetch_add(1, Ordering::Relaxed)
        );
        let mut connection = self.connection();
        let mut auth = json!({ "type": "m.login.dummy" });
        // Each round completes a stage or finds that a password is wanted.
        for _ in 0..6 {
            let with_password = self.with_password.load(Ordering::Relaxed);
            let mut body = json!({ "username": username, "auth": auth });
            if let (true, Some(body)) = (with_password, body.as_object_mut()) {
                body.insert("password".into(), json!(format!("{username}-Pa55word")));
            }
            let response = connection
                .request(Method::Post, PATH, "", body.to_string().as_bytes())
                .await?;
            if response.status == 401 {
                auth = self.next_stage(&serde_json::from_slice(&response.body)?)?;
                continue;
            }
            if response.status == 400 && !with_password {
                self.with_password.store(true, Ordering::Relaxed);
                continue;
            }
            let body = success(Method::Post, PATH, response)?;
            let registered: Registered = serde_json::from_slice(&body)?;
            return Ok(Client {
                connection,
                user_id: registered.user_id,
                token: registered.access_token.into(),
            });
        }
        Err(BenchError::Setup(
            "registration did not come to an end".into(),
        ))
    }

    /// The `auth` of the next stage of a flow that can be completed without a person.
    fn next_stage(&self, challenge: &Challenge) -> Result<Value> {
        let token = self.registration_token.as_deref();
        let possible = |stage: &String| match stage.as_str() {
            "m.login.dummy" => true,
            "m.login.registration_token" => token.is_some(),
            _ => false,
        };
        let stage = challenge
            .flows
            .iter()
            .filter(|flow| flow.stages.iter().all(possible))
            .find_map(|flow| flow.stages.iter().find(|stage| !challenge.completed.contains(stage)))
            .ok_or_else(|| {
                BenchError::Setup(
                    "the server's registration asks for more than m.login.dummy or --registration-token".into(),
                )
            })?;
        let mut auth = json!({ "type": stage, "session": challenge.session });
        if let (Some(auth), Some(token), "m.login.registration_token") =
            (auth.as_object_mut(), token, stage.as_str())
        {
            auth.insert("token".into(), json!(token));
        }
        Ok(auth)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Challenge, Registrar};
    use crate::http::Target;

    fn registrar(token: Option<&str>) -> Registrar {
        let target = Target::resolve("http://127.0.0.1:1", false).expect("resolves");
        Registrar::new(
            Arc::new(target),
            Duration::from_secs(1),
            token.map(str::to_owned),
            "run".into(),
        )
    }

    fn challenge(json: &str) -> Challenge {
        serde_json::from_str(json).expect("is a challenge")
    }

    #[test]
    fn the_flow_that_needs_no_person_is_taken() {
        let flows = r#"{"session":"s","flows":[{"stages":["m.login.recaptcha"]},{"stages":["m.login.dummy"]}]}"#;
        let auth = registrar(None)
            .next_stage(&challenge(flows))
            .expect("has a stage");
        assert_eq!(
            (auth["type"].as_str(), auth["session"].as_str()),
            (Some("m.login.dummy"), Some("s"))
        );
    }

    #[test]
    fn completed_stages_are_not_repeated() {
        let flows = r#"{"session":"s","completed":["m.login.dummy"],
            "flows":[{"stages":["m.login.dummy","m.login.registration_token"]}]}"#;
        let auth = registrar(Some("t0ken"))
            .next_stage(&challenge(flows))
            .expect("has a stage");
        assert_eq!(
            (auth["type"].as_str(), auth["token"].as_str()),
            (Some("m.login.registration_token"), Some("t0ken"))
        );
    }

    #[test]
    fn a_flow_that_needs_a_token_is_refused_without_one() {
        let flows = r#"{"session":"s","flows":[{"stages":["m.login.registration_token"]}]}"#;
        assert!(registrar(None).next_stage(&challenge(flows)).is_err());
    }
}

//! A server of one's own, or one shared with the other tests of the binary.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use reqwest::Url;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::client::Address;
use crate::database::PostgresDatabase;
use crate::janitor::Janitor;
use crate::process::{Log, ServerProcess};
use crate::{Client, DEADLINE, ServerBuilder};

/// The password of every account that [`TestServer::register`] makes.
pub const PASSWORD: &str = "correct horse battery staple";

/// How often the log is looked at for a line that is waited for.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(5);

/// The binary under test: `GREENROOM_BIN`, or the one cargo built beside this test.
///
/// # Panics
///
/// If there is none. `cargo build` makes it; cargo does not by itself build the binary of another
/// package for a test.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("GREENROOM_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/TEST-HASH
    let beside = test
        .ancestors()
        .nth(2)
        .map(|profile| profile.join("greenroom"));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| panic!("no greenroom binary beside {}: cargo build", test.display()))
}

/// The binary under test without arguments, deaf to what configures the test run: every
/// `GREENROOM_` variable of this process is kept from it.
#[must_use]
pub fn greenroom() -> Command {
    greenroom_after(None)
}

/// [`greenroom`] in the place of a shell that has run `prelude`.
pub(crate) fn greenroom_after(prelude: Option<&str>) -> Command {
    let mut command = match prelude {
        Some(prelude) => {
            let mut shell = Command::new("sh");
            let script = format!("{prelude}; exec \"$0\" \"$@\"");
            shell.arg("-c").arg(script).arg(binary());
            shell
        }
        None => Command::new(binary()),
    };
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GREENROOM_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running server with a data directory and a database of its own.
///
/// When it is dropped, the server is killed and its data removed; if the test is failing then, its
/// log is printed. `GREENROOM_TEST_KEEP=1` keeps the data for a look.
#[derive(Debug)]
pub struct TestServer {
    builder: ServerBuilder,
    database: Option<PostgresDatabase>,
    address: Address,
    log: Log,
    process: Mutex<ServerProcess>,
    ready: RwLock<Value>,
    janitor: Janitor,
    home: PathBuf,
}

impl TestServer {
    /// Starts a server with the kit's defaults.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Configures a server first.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(crate) async fn launch(builder: ServerBuilder) -> Self {
        let directory = TempDir::with_prefix("greenroom-test-").expect("a temporary directory");
        let home = directory.path().to_owned();
        builder.furnish(&home);
        let database = PostgresDatabase::create_if_asked();
        // The directory is the janitor's to remove from here on.
        let home = {
            let _kept = directory.keep();
            home
        };
        let to_drop = database
            .as_ref()
            .map(|it| (it.admin_url.as_str(), it.name.as_str()));
        let janitor = Janitor::hire(&home, to_drop);
        let log = Log::default();
        let process =
            ServerProcess::spawn(builder.serve(&home, database.as_ref(), None), log.clone());
        janitor.watch(Some(process.pid()));
        let server = Self {
            builder,
            database,
            address: Address::default(),
            log,
            process: Mutex::new(process.clone()),
            ready: RwLock::default(),
            janitor,
            home,
        };
        match process.ready().await {
            Some(ready) => server.note_ready(ready),
            None => panic!(
                "the server ended before it was ready: {:?}",
                process.exited().await
            ),
        }
        server
    }

    fn note_ready(&self, ready: Value) {
        let url = ready["url"]
            .as_str()
            .unwrap_or_else(|| panic!("no url in {ready}"));
        self.address.set(url);
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = ready;
    }

    /// Where the server listens, without a trailing slash. Another one after a restart, if
    /// somebody else took the port meanwhile; clients follow by themselves.
    pub fn url(&self) -> String {
        self.address.get()
    }

    /// The fields of the log event that said the server is ready.
    pub fn ready(&self) -> Value {
        self.ready
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where it listens with TLS, if it does: see [`ServerBuilder::tls`].
    pub fn tls_url(&self) -> Option<String> {
        self.ready()["tls_url"]
            .as_str()
            .map(|url| url.trim_end_matches('/').to_owned())
    }

    /// `127.0.0.1:PORT`, to connect a socket to.
    pub fn socket_address(&self) -> String {
        let url = Url::parse(&self.url()).expect("a URL from the ready event");
        let host = url.host_str().expect("a host in the URL");
        format!(
            "{host}:{}",
            url.port_or_known_default().expect("a port in the URL")
        )
    }

    /// The server name in user ids.
    pub fn server_name(&self) -> String {
        self.ready()["server_name"]
            .as_str()
            .unwrap_or("localhost")
            .to_owned()
    }

    /// The process id of the current run.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// Whether this server keeps its data in PostgreSQL.
    pub fn is_on_postgres(&self) -> bool {
        self.database.is_some()
    }

    pub(crate) fn postgres_url(&self) -> Option<&str> {
        self.database.as_ref().map(|it| it.url.as_str())
    }

    /// Where the server keeps its files.
    pub fn data_dir(&self) -> PathBuf {
        self.builder.data_dir_in(&self.home)
    }

    /// The working directory of the server, where `greenroom.toml` is.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The lines of the log so far, of all runs.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Waits until a line of the log has all of this in it, and gives the line.
    pub async fn logged(&self, parts: &[&str]) -> String {
        let found = async {
            loop {
                let lines = self.log();
                let mut lines = lines.into_iter();
                if let Some(line) = lines.find(|line| parts.iter().all(|part| line.contains(part)))
                {
                    return line;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, found).await;
        found.unwrap_or_else(|_| panic!("the log never said {parts:?}"))
    }

    /// A client without an account.
    pub fn anonymous(&self) -> Client {
        Client::new(self.address.clone())
    }

    /// Registers an account whose name begins with `name` and is otherwise nobody else's.
    pub async fn register(&self, name: &str) -> Client {
        let suffix = Uuid::new_v4().simple().to_string();
        self.register_exactly(&format!("{name}-{}", &suffix[..10]))
            .await
    }

    /// Registers an account with exactly this name: for servers of one's own.
    pub async fn register_exactly(&self, username: &str) -> Client {
        let request = json!({
            "username": username,
            "password": PASSWORD,
            "auth": {"type": "m.login.dummy"},
        });
        let body = self.anonymous().post("register", request).await.expect_ok();
        self.anonymous().with_session(&body)
    }

    /// Logs in to an account that [`TestServer::register`] made: another device of the same user.
    pub async fn login(&self, user: &str) -> Client {
        let request = json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user},
            "password": PASSWORD,
        });
        let body = self.anonymous().post("login", request).await.expect_ok();
        self.anonymous().with_session(&body)
    }

    /// Runs a subcommand of the binary on this server's data, running or not, to its end.
    ///
    /// It learns the data directory and the database from the environment; `input` is what it
    /// reads from its standard input.
    pub fn run(&self, subcommand: &[&str], input: &str) -> Output {
        use std::io::Write;
        use std::process::Stdio;
        let mut child = self
            .builder
            .command(subcommand, &self.home, self.database.as_ref())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test");
        let mut stdin = child.stdin.take().expect("piped above");
        // A command that does not read its input may be gone before it is written.
        let _closed = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("a child of this process")
    }

    /// Asks the server to stop (`SIGTERM`) and waits for its end.
    pub async fn stop(&self) -> ExitStatus {
        self.ask_to_stop();
        self.exited().await
    }

    /// Sends `SIGTERM` and does not wait.
    pub fn ask_to_stop(&self) {
        self.process().signal(Signal::TERM);
    }

    /// From now on the server cannot make a file longer than this, in bytes. Unless it ignores
    /// `SIGXFSZ`, it dies of trying; if it does, its write fails.
    pub fn limit_file_size(&self, bytes: u64) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let limit = Rlimit {
            current: Some(bytes),
            maximum: None,
        };
        prlimit(pid, Resource::Fsize, limit).expect("a child of this process");
    }

    /// Kills the server at once (`SIGKILL`) and waits until it is gone.
    pub async fn kill9(&self) -> ExitStatus {
        self.process().signal(Signal::KILL);
        self.exited().await
    }

    /// Waits for the end of the server's process, whatever ends it.
    pub async fn exited(&self) -> ExitStatus {
        let process = self.process();
        let status = process.exited().await;
        self.janitor.watch(None);
        status
    }

    /// Starts the server again on the same data, after stopping it if it runs.
    ///
    /// It gets the same port unless somebody took it meanwhile.
    pub async fn restart(&self) {
        if !self.process().has_exited() {
            self.stop().await;
        }
        let same = self.socket_address();
        if self.builder.picks_free_port() && self.try_start(Some(&same)).await {
            return;
        }
        assert!(
            self.try_start(None).await,
            "the server did not start again: {:?}",
            self.exited().await
        );
    }

    /// Starts a run; false if it ended before it was ready.
    async fn try_start(&self, listen: Option<&str>) -> bool {
        let command = self
            .builder
            .serve(&self.home, self.database.as_ref(), listen);
        let process = ServerProcess::spawn(command, self.log.clone());
        self.janitor.watch(Some(process.pid()));
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process.clone();
        match process.ready().await {
            Some(ready) => self.note_ready(ready),
            None => return false,
        }
        true
    }

    fn process(&self) -> ServerProcess {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The log from a line on, for the output of a failing test.
    fn print_log(&self, from: usize) {
        let lines = self.log.lines();
        let lines = lines.get(from..).unwrap_or_default();
        let shown = lines
            .get(lines.len().saturating_sub(200)..)
            .unwrap_or_default();
        eprintln!("--- the server's log, last {} lines ---", shown.len());
        for line in shown {
            eprintln!("{line}");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_log(0);
        }
        self.process().signal(Signal::KILL);
    }
}

/// The server of this test binary, lent to one test.
#[derive(Debug)]
pub struct SharedServer {
    server: Arc<TestServer>,
    log_before: usize,
}

/// The one server that all tests of this binary may use: for flows that need no settings of
/// their own and disturb nobody. Its log also has what the other tests caused.
///
/// # Panics
///
/// If it does not start.
pub async fn shared_server() -> SharedServer {
    static SHARED: OnceCell<Arc<TestServer>> = OnceCell::const_new();
    let server = SHARED
        .get_or_init(async || Arc::new(TestServer::start().await))
        .await;
    SharedServer {
        server: Arc::clone(server),
        log_before: server.log.len(),
    }
}

impl Deref for SharedServer {
    type Target = TestServer;

    fn deref(&self) -> &TestServer {
        &self.server
    }
}

impl Drop for SharedServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.server.print_log(self.log_before);
        }
    }
}

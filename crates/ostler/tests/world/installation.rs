//! `ostler init`, `ostler serve`, and a simulated cloud.

use std::process::Command;
use std::time::Duration;

use ostler_sim::{Sim, SimConfig, SimHandle};
use ostler_testkit::{Database, Postgres, Process, Scratch, free_port};

use super::Caller;

const BINARY: &str = env!("CARGO_BIN_EXE_ostler");
const OWNER: &str = "owner@example.com";
const READY_WITHIN: Duration = Duration::from_secs(30);

/// On which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// A running installation. Dropped, it is gone.
pub struct Installation {
    // Dropped in this order: the server before its database, the database before its files.
    server: Option<Process>,
    sim: Option<Sim>,
    cloud: SimHandle,
    sim_url: String,
    base: String,
    machine: (String, String),
    owner_password: String,
    /// Of the environment, over the configuration.
    settings: Vec<(&'static str, String)>,
    /// The core that the server is kept to; without one it has all.
    core: Option<String>,
    starts: u32,
    database: Option<Database>,
    scratch: Scratch,
}

impl Installation {
    pub async fn start(on: On) -> Self {
        Self::start_with(
            on,
            SimConfig {
                thermostats: 6,
                vehicles: 3,
                ..SimConfig::default()
            },
        )
        .await
    }

    pub async fn start_with(on: On, simulation: SimConfig) -> Self {
        let scratch = Scratch::new();
        let database = (on == On::Postgres).then(|| Postgres::shared().fresh_database(None));
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        let mut init = ostler();
        init.arg("init")
            .arg(scratch.join("site"))
            .args(["--email", OWNER, "--public-url", &base]);
        if let Some(database) = &database {
            init.args(["--database-url", database.url()]);
        }
        let told = init.output().expect("ostler init runs");
        let said = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.status.success(), "{said}{}", String::from_utf8_lossy(&told.stderr));
        let sim = Sim::start(simulation).await.expect("the simulated cloud starts");
        let mut installation = Self {
            server: None,
            cloud: sim.handle(),
            sim_url: sim.base_url(),
            sim: Some(sim),
            base,
            machine: told_pair(&said, "Client "),
            owner_password: told_pair(&said, "Owner ").1,
            settings: Vec::new(),
            core: None,
            starts: 0,
            database,
            scratch,
        };
        installation.serve(port);
        installation
    }

    pub fn sim(&self) -> SimHandle {
        self.cloud.clone()
    }

    pub fn sim_url(&self) -> String {
        self.sim_url.clone()
    }

    /// From now on nobody listens at the cloud's address.
    pub async fn stop_cloud(&mut self) {
        self.sim.take().expect("it runs").shutdown().await;
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// Client id and secret of the machine that `ostler init` made.
    pub fn machine(&self) -> &(String, String) {
        &self.machine
    }

    /// Nobody in particular.
    pub fn anonymous(&self) -> Caller {
        Caller::new(&self.base, None)
    }

    /// The maker's own machine, with all that it may ask for.
    pub async fn maker(&self) -> Caller {
        let (id, secret) = &self.machine;
        self.machine_caller(id, secret).await
    }

    /// The first member of staff, signed in as a person.
    pub async fn owner(&self) -> Caller {
        let credentials = serde_json::json!({"email": OWNER, "password": self.owner_password});
        let session = self
            .anonymous()
            .post("/admin/v1/session", &credentials)
            .await
            .expect(200);
        Caller::new(&self.base, session.at("/access_token").as_str().map(str::to_owned))
    }

    /// What the first member of staff signs in with.
    pub fn owner_credentials(&self) -> (&str, &str) {
        (OWNER, &self.owner_password)
    }

    /// A machine by its client credentials (RFC 6749 §4.4), with its default scopes.
    pub async fn machine_caller(&self, id: &str, secret: &str) -> Caller {
        let request = super::http()
            .post(format!("{}/oauth/token", self.base))
            .basic_auth(id, Some(secret))
            .form(&[("grant_type", "client_credentials")]);
        let answer = super::Answer::of(request.send().await.expect("the server answers"))
            .await
            .expect(200);
        let token = answer.at("/access_token").as_str().map(str::to_owned);
        Caller::new(&self.base, token)
    }

    /// Everything the server has written to stderr since it was started last.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Whether a text stands anywhere in the database's files, in clear. PostgreSQL's are the
    /// cluster's own; there its tables are dumped.
    pub fn stored_bytes_contain(&self, text: &str) -> bool {
        if let Some(database) = &self.database {
            let dumped = Command::new("pg_dump")
                .arg(database.url())
                .output()
                .expect("pg_dump runs");
            assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
            return String::from_utf8_lossy(&dumped.stdout).contains(text);
        }
        ["ostler.db", "ostler.db-wal"].iter().any(|name| {
            let path = self.scratch.join("site").join(name);
            path.exists() && contains(&std::fs::read(path).expect("the database can be read"), text.as_bytes())
        })
    }

    /// Ends the server as the operator does, and starts it again on what it left.
    pub fn restart(&mut self) {
        let mut server = self.server.take().expect("it runs");
        server.terminate();
        let status = server.wait(READY_WITHIN);
        assert!(status.success(), "{status}: {}", server.log());
        self.serve_again();
    }

    /// As [`Self::restart`], with these variables of the environment from now on.
    pub fn restart_with(&mut self, settings: &[(&'static str, &str)]) {
        self.settings
            .extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self.restart();
    }

    /// Whether the server has one core to itself from its next start on, as on the smallest machine that
    /// can be rented. There its runtime is another: everything shares one thread.
    pub fn keep_to_one_core(&mut self, kept: bool) {
        self.core = kept.then(one_core);
    }

    /// kill -9, then a start on what is left.
    pub fn crash_and_restart(&mut self) {
        self.server.take().expect("it runs").kill();
        self.serve_again();
    }

    fn serve_again(&mut self) {
        let port = self
            .base
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port");
        self.serve(port);
    }

    fn serve(&mut self, port: u16) {
        self.starts += 1;
        let mut serve = match &self.core {
            None => ostler(),
            Some(core) => ostler_on(core),
        };
        serve
            .arg("serve")
            .arg("--config")
            .arg(self.scratch.join("site/ostler.toml"))
            .env("OSTLER_LISTEN", format!("127.0.0.1:{port}"))
            .env("OSTLER_LIMITS_REQUESTS_PER_MINUTE_PER_ADDRESS", "0")
            .env("OSTLER_LIMITS_REQUESTS_PER_MINUTE_PER_CALLER", "0")
            .envs(self.settings.iter().map(|(name, value)| (name, value)));
        let name = format!("ostler-{}", self.starts);
        let mut server = Process::spawn(&name, &mut serve, &self.scratch);
        // Its own word: on the port itself somebody else might answer first, and be taken for it.
        server.wait_for_line(&format!("listening on 127.0.0.1:{port}"), READY_WITHIN);
        self.server = Some(server);
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The binary, deaf to whatever this machine's environment says.
pub fn ostler() -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear();
    command
}

/// The same, with the same process id, on this core only.
fn ostler_on(core: &str) -> Command {
    let mut command = Command::new("taskset");
    command.env_clear().args(["--cpu-list", core, BINARY]);
    command
}

/// The first core that we may run on ourselves (proc_pid_status(5)).
fn one_core() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is there");
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("the list of cores");
    let first = allowed.trim().split([',', '-']).next();
    first.expect("a core").to_owned()
}

/// What `ostler init` shows once, in a line such as `Client  cli_… / ost_cs_…`.
fn told_pair(said: &str, label: &str) -> (String, String) {
    let line = said
        .lines()
        .find(|line| line.starts_with(label))
        .expect("a line with this label");
    let mut words = line.split_whitespace().skip(1).filter(|word| *word != "/");
    let (first, second) = (words.next(), words.next());
    (first.expect("a name").to_owned(), second.expect("a secret").to_owned())
}

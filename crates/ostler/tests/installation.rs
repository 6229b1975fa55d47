//! A real installation in a scratch folder, made by `ostler init`, and the real binary to run on it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use ostler_sim::{Sim, SimConfig};
use ostler_testkit::{Process, Scratch, free_port};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ostler");
pub const EMAIL: &str = "owner@example.com";
pub const PASSWORD: &str = "a password of the owner's";
const SOON: Duration = Duration::from_secs(20);

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.status, 0, "{self:#?}");
        self
    }

    /// Failed, as a script sees it, and with these words for people.
    #[track_caller]
    pub fn failed(self, words: &str) -> Self {
        assert_eq!(self.status, 1, "{self:#?}");
        assert!(self.err.contains(words), "{words}: {self:#?}");
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the binary with nothing of our own environment.
pub async fn ostler<A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
    variables: &[(&str, &str)],
    input: &str,
) -> Said {
    let mut command = tokio::process::Command::new(PROGRAM);
    command
        .env_clear()
        .envs(variables.iter().copied())
        .args(arguments)
        .kill_on_drop(true);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who does not read its input may be gone before it is written.
    if let Err(error) = stdin.write_all(input.as_bytes()).await {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    drop(stdin);
    child.wait_with_output().await.unwrap().into()
}

pub struct Installation {
    pub scratch: Scratch,
    pub base_url: String,
    pub client_id: String,
    pub client_secret: String,
}

impl Installation {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(arguments: &[&str]) -> Self {
        let scratch = Scratch::new();
        let base_url = format!("http://127.0.0.1:{}", free_port());
        let directory = scratch.join("installation");
        let fixed = [
            "init",
            directory.to_str().unwrap(),
            "--email",
            EMAIL,
            "--public-url",
            &base_url,
            "--password-stdin",
        ];
        let said = ostler(fixed.iter().chain(arguments), &[], &format!("{PASSWORD}\n"))
            .await
            .succeeded();
        let client = said.out.lines().find_map(|line| line.strip_prefix("Client")).unwrap();
        let (client_id, client_secret) = client.trim().split_once(" / ").unwrap();
        Self {
            base_url,
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            scratch,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join("installation").join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("ostler.toml")
    }

    /// Runs a command of the operator's on this installation: `--config` is added.
    pub async fn operate(&self, arguments: &[&str]) -> Said {
        self.operate_under(arguments, &[]).await
    }

    pub async fn operate_under(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        let config = self.config();
        let config = config.to_str().unwrap();
        ostler(arguments.iter().copied().chain(["--config", config]), variables, "").await
    }

    /// Runs a command that is a client of the running server.
    pub async fn ask(&self, arguments: &[&str], input: &str) -> Said {
        let variables = [
            ("OSTLER_SERVER", self.base_url.as_str()),
            ("OSTLER_CLIENT_ID", &self.client_id),
            ("OSTLER_CLIENT_SECRET", &self.client_secret),
        ];
        ostler(arguments, &variables, input).await
    }

    pub fn serve(&self) -> Process {
        self.serve_under(&[])
    }

    pub fn serve_under(&self, variables: &[(&str, &str)]) -> Process {
        let mut command = std::process::Command::new(PROGRAM);
        command
            .env_clear()
            .envs(variables.iter().copied())
            .arg("serve")
            .arg("--config")
            .arg(self.config());
        let mut process = Process::spawn("serve", &mut command, &self.scratch);
        process.wait_for_line("listening on", SOON);
        process
    }

    /// A token of the machine client's.
    pub async fn token(&self) -> String {
        let answer = reqwest::Client::new()
            .post(format!("{}/oauth/token", self.base_url))
            .basic_auth(&self.client_id, Some(&self.client_secret))
            .form(&[("grant_type", "client_credentials")])
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    /// The staff API's answer, whatever its status.
    pub async fn staff(&self, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/admin/v1/{path}", self.base_url);
        let request = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(self.token().await);
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Declares the product that stands in the demo, and says its id.
    pub async fn declare_thermostat(&self) -> String {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/thermostat.toml");
        let said = self
            .ask(&["product", "apply", "--json", file.to_str().unwrap()], "")
            .await
            .succeeded();
        said.json()["id"].as_str().unwrap().to_owned()
    }

    /// Connects the product to the simulated cloud by hand, with the product's own client.
    pub async fn set_connection(&self, product_id: &str, sim: &Sim, client_secret: &str) {
        let product = thermostats(sim);
        let body = json!({"kind": "particle", "base_url": sim.base_url(), "product": product.id.to_string(),
                          "client_id": product.client_id, "client_secret": client_secret});
        let (status, answer) = self
            .staff(reqwest::Method::PUT, &format!("products/{product_id}/cloud"), &body)
            .await;
        assert_eq!(status, 200, "{answer}");
    }
}

/// A cloud that is quiet but for what a test does.
pub async fn cloud() -> Sim {
    let config = SimConfig {
        thermostats: 1,
        vehicles: 0,
        unregistered: 0,
        ..SimConfig::default()
    };
    Sim::start(config).await.unwrap()
}

pub fn thermostats(sim: &Sim) -> ostler_sim::ProductFacts {
    let facts = sim.handle().facts();
    facts
        .products
        .into_iter()
        .find(|product| product.slug.contains("thermostat"))
        .unwrap()
}

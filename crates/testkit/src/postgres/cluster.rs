//! A private PostgreSQL cluster for the tests of this checkout, shared by all test processes of this moment.
//!
//! Runners such as nextest give each test a process of its own, so nobody is there to stop a server "after all
//! tests". Instead each process holds a shared lock, the lease, until it ends; a watchdog stops the cluster when the
//! lease has been free for some seconds. The locks and the note of the running cluster live in the build folder; the
//! cluster itself lives in the temporary folder, because the server's account may not enter a private checkout.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::psql;
use super::server_programs::{ServerPrograms, run};
use crate::{edge, free_port};

const WATCHDOG: &str = include_str!("watchdog.sh");
/// Locks and notes live here: next to what was built, so that two checkouts never meet.
pub const BUILD_TEMPORARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tmp");

const USER: &str = "ostler";
const PORTS_TO_TRY: usize = 5;

/// What a cluster promises when the power fails.
#[derive(Debug, Clone, Copy)]
pub enum Durability {
    /// Writes reach the disk whenever the system likes: fast, and right for nearly all tests.
    None,
    /// As in production, for tests about durability itself.
    Full,
}

impl Durability {
    fn folder_name(self) -> &'static str {
        match self {
            Self::None => "postgres",
            Self::Full => "postgres-durable",
        }
    }

    fn settings(self) -> &'static str {
        match self {
            Self::None => "fsync = off\nfull_page_writes = off\n",
            Self::Full => "fsync = on\nfull_page_writes = on\n",
        }
    }
}

/// The right to use the running cluster, for as long as this value lives.
#[derive(Debug)]
pub struct Lease {
    pub url: String,
    _lock: File,
}

/// Joins the running cluster, or starts one.
pub fn join(durability: Durability) -> Lease {
    let state = Path::new(BUILD_TEMPORARY).join(durability.folder_name());
    let starting = open(&state.join("starting"));
    starting.lock().expect("the build folder supports locks");
    let lease = open(&state.join("lease"));
    lease.lock_shared().expect("the build folder supports locks");

    let programs = ServerPrograms::find(&state);
    let cluster = Cluster::running(&state).unwrap_or_else(|| {
        let cluster = Cluster::start(&programs, durability);
        cluster.note(&state);
        cluster
    });
    cluster.watch(&state, &programs);
    Lease {
        url: cluster.url,
        _lock: lease,
    }
}

struct Cluster {
    folder: PathBuf,
    url: String,
}

impl Cluster {
    /// The cluster of the note, if it still answers to its password; the rest of a dead one is cleared away.
    fn running(state: &Path) -> Option<Self> {
        let note = std::fs::read_to_string(state.join("cluster")).ok()?;
        let (folder, url) = note.trim_end().split_once('\n')?;
        let cluster = Self {
            folder: PathBuf::from(folder),
            url: url.to_owned(),
        };
        if psql::try_query(&cluster.url, "SELECT 1").is_ok() {
            return Some(cluster);
        }
        if cluster.folder.exists() {
            std::fs::remove_dir_all(&cluster.folder).expect("we may clear away our own dead cluster");
        }
        None
    }

    fn start(programs: &ServerPrograms, durability: Durability) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("ostler-postgres-")
            .tempdir()
            .expect("the temporary folder is writable")
            .keep();
        let password = edge::random_hex();
        let password_file = folder.join("password");
        std::fs::write(&password_file, &password).expect("our own new folder is writable");
        programs.hand_over(&password_file);
        programs.hand_over(&folder);

        let data = folder.join("data");
        run(programs
            .command("initdb")
            .arg("--pgdata")
            .arg(&data)
            .arg("--pwfile")
            .arg(&password_file)
            // In clear, for SCRAM would cost each new connection of an unoptimised test some 30 ms.
            .args([
                "--username",
                USER,
                "--auth=password",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ]));
        File::options()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| file.write_all(settings(durability).as_bytes()))
            .expect("initdb wrote a configuration");

        let port = start_server(programs, &folder, &data);
        Self {
            folder,
            url: format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres"),
        }
    }

    fn note(&self, state: &Path) {
        let path = state.join("cluster");
        let text = format!("{}\n{}\n", self.folder.display(), self.url);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// Makes sure that a watchdog is there. A second one sees the first one's lock and leaves.
    fn watch(&self, state: &Path, programs: &ServerPrograms) {
        let free = open(&state.join("watchdog")).try_lock().is_ok();
        if !free {
            return;
        }
        let mut stop = programs.command("pg_ctl");
        stop.arg("--pgdata")
            .arg(self.folder.join("data"))
            .args(["--mode=immediate", "--wait", "stop"]);
        let mut watchdog = Command::new("setsid");
        watchdog
            .args(["--fork", "sh", "-c", WATCHDOG, "ostler-test-postgres-watchdog"])
            .arg(state)
            .arg(&self.folder)
            .arg(stop.get_program())
            .args(stop.get_args())
            .current_dir("/")
            // An inherited pipe would keep the test runner waiting for the watchdog.
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = watchdog
            .status()
            .unwrap_or_else(|error| panic!("cannot start the watchdog: {error}"));
        assert!(
            status.success(),
            "the watchdog of the test cluster did not start: {status}"
        );
    }
}

fn settings(durability: Durability) -> String {
    let for_tests = "listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 64MB
wal_level = minimal
max_wal_senders = 0
checkpoint_timeout = 30min
jit = off
";
    format!("\n{for_tests}{}", durability.settings())
}

/// Starts the server on a free port. Somebody else may take that port before the server does: then another is tried.
fn start_server(programs: &ServerPrograms, folder: &Path, data: &Path) -> u16 {
    let log = folder.join("server.log");
    for _ in 0..PORTS_TO_TRY {
        let port = free_port();
        let started = programs
            .command("pg_ctl")
            .arg("--pgdata")
            .arg(data)
            .arg("--log")
            .arg(&log)
            .arg("--options")
            .arg(format!("-p {port}"))
            .args(["--silent", "--wait", "start"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap_or_else(|error| panic!("cannot run pg_ctl: {error}"));
        if started.success() {
            return port;
        }
    }
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    panic!("PostgreSQL did not start on any of {PORTS_TO_TRY} ports; its log says:\n{said}");
}

/// Opens a lock file, with its folder.
pub fn open(path: &Path) -> File {
    let folder = path.parent().expect("a lock file lies in a folder");
    std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()))
}

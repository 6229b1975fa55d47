//! A real program under test: started with its output in a file, waited for, signalled, and never left behind.
//! It does not know what the program is or how it says that it is ready; tests do.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::{Scratch, eventually};

#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; standard output and error go to `<name>.log` in the scratch folder, one after the other.
    pub fn spawn(name: &str, command: &mut Command, scratch: &Scratch) -> Self {
        let log = scratch.join(format!("{name}.log"));
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(&log)
                .unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Self {
            name: name.to_owned(),
            child,
            log,
            ended: None,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything the program has printed so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// `Some` once the program has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("the child is ours to wait for");
        }
        self.ended
    }

    /// Waits until `probe` answers, and fails at once, with the log, when the program ends before.
    #[track_caller]
    pub fn wait_for<T>(&mut self, what: &str, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
        let what = format!("{what} of {}", self.name);
        eventually(&what, timeout, || {
            let answer = probe();
            if answer.is_none()
                && let Some(status) = self.ended()
            {
                panic!(
                    "{} ended ({status}) before {what} was there; it said:\n{}",
                    self.name,
                    self.log()
                );
            }
            answer
        })
    }

    /// Waits for a line of output that contains `text`, and returns it.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str, timeout: Duration) -> String {
        let log = self.log.clone();
        self.wait_for(&format!("the line “{text}”"), timeout, || {
            let printed = std::fs::read_to_string(&log).ok()?;
            let complete = &printed[..=printed.rfind('\n')?];
            complete.lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// Waits for a file the program writes, and returns its content. The file must appear whole, by rename.
    #[track_caller]
    pub fn wait_for_file(&mut self, path: &Path, timeout: Duration) -> String {
        self.wait_for(&format!("the file {}", path.display()), timeout, || {
            std::fs::read_to_string(path).ok()
        })
    }

    /// Waits until somebody listens on `address`. It need not be this program: where a program says that it
    /// listens, wait for that line.
    #[track_caller]
    pub fn wait_for_listener(&mut self, address: SocketAddr, timeout: Duration) {
        self.wait_for(&format!("the listener on {address}"), timeout, || {
            let connected = TcpStream::connect(address).ok()?;
            // The system may choose the very port as ours: then we are connected to ourselves (RFC 9293 §3.5).
            (connected.local_addr().ok()? != address).then_some(())
        });
    }

    /// The polite stop: SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by name (`TERM`, `HUP`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()
            .expect("kill is on every system");
        assert!(status.success(), "cannot send SIG{name} to {}", self.name);
    }

    /// `kill -9`, and waits until the kernel has taken the process away.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.child.kill().expect("the child is ours to kill");
            self.ended = Some(self.child.wait().expect("the child is ours to wait for"));
        }
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(&what, timeout, || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- output of {} ---\n{}", self.name, self.log());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_line_of_output_is_seen_when_it_is_complete() {
        let scratch = Scratch::new();
        let mut process = Process::spawn(
            "speaker",
            &mut shell("echo first; echo port=17; exec sleep 60"),
            &scratch,
        );
        assert_eq!(process.wait_for_line("port=", SOON), "port=17");
    }

    #[test]
    fn a_program_that_dies_early_fails_the_wait_with_its_words() {
        let scratch = Scratch::new();
        let complaint = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut process = Process::spawn("mortal", &mut shell("echo broken >&2; exit 3"), &scratch);
                process.wait_for_line("ready", SOON);
            });
            *waiting.join().unwrap_err().downcast::<String>().unwrap()
        });
        assert!(
            complaint.contains("exit status: 3") && complaint.contains("broken"),
            "{complaint}"
        );
    }

    #[test]
    fn a_polite_stop_lets_the_program_choose_its_status() {
        let scratch = Scratch::new();
        let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
        let mut process = Process::spawn("polite", &mut shell(script), &scratch);
        process.wait_for_line("ready", SOON);
        process.terminate();
        assert_eq!(process.wait(SOON).code(), Some(7));
    }

    #[test]
    fn nothing_outlives_its_handle() {
        let scratch = Scratch::new();
        let process = Process::spawn("orphan", &mut shell("exec sleep 60"), &scratch);
        let id = process.id().to_string();
        drop(process);
        let alive = Command::new("kill")
            .args(["-0", &id])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(!alive.success());
    }
}

//! CPU time and memory of the programs under test, from /proc (proc(5)), and the cores that everybody is kept to.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// Load generator and upstream.
pub const OUR_CORE: &str = "0";
/// Everything that is measured.
pub const THEIR_CORE: &str = "1";

/// USER_HZ, in which the kernel tells times to programs: 100 on every platform we name.
const TICK: Duration = Duration::from_millis(10);

/// Keeps this program, and every thread it will have, to one core.
pub fn pin_ourselves() -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    let done = Command::new("taskset")
        .args(["-a", "-p", "-c", OUR_CORE, &pid])
        .stdout(Stdio::null())
        .status();
    ensure!(
        done.context("taskset (util-linux) is missing")?.success(),
        "taskset refused core {OUR_CORE}"
    );
    let cores = std::thread::available_parallelism()?;
    ensure!(cores.get() == 1, "taskset had no effect");
    Ok(())
}

/// A command that runs `program` on the core of what is measured, with the same process id.
pub fn on_their_core(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", THEIR_CORE]).arg(program);
    command
}

/// User and system time of these processes and all below them that live.
pub fn cpu_time(roots: &[u32]) -> anyhow::Result<Duration> {
    let table = table()?;
    let mut total = Duration::ZERO;
    let mut waiting = roots.to_vec();
    while let Some(pid) = waiting.pop() {
        let Some(process) = table.get(&pid) else {
            bail!("process {pid} has ended")
        };
        total += TICK * process.ticks;
        waiting.extend(
            table
                .iter()
                .filter(|(_, other)| other.parent == pid)
                .map(|(pid, _)| *pid),
        );
    }
    Ok(total)
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    ticks: u32,
}

fn table() -> anyhow::Result<HashMap<u32, Process>> {
    let mut table = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that ended since the directory was read is nobody's loss.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        table.insert(
            pid,
            parse(&stat).with_context(|| format!("/proc/{pid}/stat cannot be understood"))?,
        );
    }
    Ok(table)
}

/// The name in parentheses may hold anything, parentheses too; behind the last one come state, parent, …; user and
/// system time are the 14th and 15th field of the line.
fn parse(stat: &str) -> Option<Process> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<_> = behind_name.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some(Process {
        parent: number(1)?,
        ticks: number(11)? + number(12)?,
    })
}

pub fn resident_kibibytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .context("VmRSS is no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_found_behind_an_odd_name() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 1 2 3";
        assert_eq!(parse(stat), Some(Process { parent: 3, ticks: 300 }));
        assert_eq!(parse("7 (a) S 3"), None);
    }

    #[test]
    fn a_busy_child_is_counted_with_its_parent() {
        let mut shell = Command::new("sh")
            .args(["-c", "sh -c 'while :; do :; done' & child=$!; read wait; kill $child"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let reached = (0..500).any(|_| {
            crate::edge::sleep(Duration::from_millis(20));
            cpu_time(&[shell.id()]).unwrap() >= Duration::from_millis(100)
        });
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert!(reached);
        cpu_time(&[shell.id()]).unwrap_err();
    }

    #[test]
    fn we_have_some_memory() {
        assert!(resident_kibibytes(std::process::id()).unwrap() > 500);
    }
}

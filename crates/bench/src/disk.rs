//! What one sync of this disk costs now: the part of a durable call that no program can save. Measured beside the
//! database, in the same run, because disks have moods.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::edge;
use crate::latency::Latencies;

const SYNCS: usize = 200;
/// One page of SQLite's log with its header.
const APPEND: [u8; 4096 + 24] = [7; 4096 + 24];

/// Appends and syncs, as a log is written; the latencies of append and fdatasync together.
pub fn sync_latencies(folder: &Path) -> anyhow::Result<Latencies> {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path)?;
    let mut samples = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let start = edge::now();
        file.write_all(&APPEND)?;
        file.sync_data()?;
        samples.push(edge::now().duration_since(start));
    }
    std::fs::remove_file(&path)?;
    Ok(Latencies::of(samples))
}

/// The middle one, as a duration.
pub fn typical(latencies: &Latencies) -> Duration {
    latencies.quantile(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let latencies = sync_latencies(folder.path()).unwrap();
        assert_eq!(latencies.count(), SYNCS);
        assert!(typical(&latencies) > Duration::ZERO);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

//! The main check: the live index prints the same dump as one built from the same files from scratch.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{client::Client, daemon::Daemon};

/// Lines shown of a difference.
const MAX_SHOWN: usize = 6;

/// The dump of an index of `root` that knows nothing but the files.
pub(crate) fn scratch(root: &Path) -> Result<String> {
    let home = tempfile::tempdir()?;
    let client = Client::in_process(home.path(), root)?;
    client.open()?;
    client.dump()
}

/// As [`scratch`], with a user's settings.
pub(crate) fn scratch_with(
    root: &Path,
    prepare: impl FnOnce(&Client) -> Result<()>,
) -> Result<String> {
    let home = tempfile::tempdir()?;
    let client = Client::in_process(home.path(), root)?;
    client.open()?;
    prepare(&client)?;
    client.sync()?;
    client.dump()
}

/// Waits for everything saved, then compares.
pub(crate) fn check(client: &Client, root: &Path) -> Result<()> {
    client.sync()?;
    compare(&client.dump()?, &scratch(root)?)
}

/// An index on disk answers as one from scratch, opened by another daemon.
pub(crate) fn check_home(home: &Path, root: &Path) -> Result<()> {
    let mut daemon = Daemon::start(home)?;
    let client = daemon.client(root)?;
    client.open()?;
    check(&client, root)?;
    daemon.check_alive()?;
    drop(client);
    daemon.stop()
}

pub(crate) fn compare(live: &str, fresh: &str) -> Result<()> {
    if live == fresh {
        return Ok(());
    }
    let (live, fresh): (Vec<&str>, Vec<&str>) = (live.lines().collect(), fresh.lines().collect());
    let only = |these: &[&str], those: &[&str]| {
        let those: std::collections::HashSet<&&str> = those.iter().collect();
        let mut last_file = "";
        let mut lines = Vec::new();
        for line in these {
            if line.starts_with("file ") {
                last_file = line;
            }
            if !those.contains(line) {
                lines.push(format!("{last_file} | {line}"));
            }
        }
        let n = lines.len();
        lines.truncate(MAX_SHOWN);
        format!("{n}: {}", lines.join("; "))
    };
    bail!(
        "the index differs from one built from scratch; only live {}, only fresh {}",
        only(&live, &fresh),
        only(&fresh, &live)
    )
}

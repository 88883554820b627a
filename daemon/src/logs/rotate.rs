//! A log file of bounded size: when it is full it gets a number, and the oldest number goes.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Appends to `path`; older text is in `path.1` (newest) to `path.N`.
pub(crate) struct Rotating {
    path: PathBuf,
    max_bytes: u64,
    n_old: usize,
    file: File,
    n_bytes: u64,
}

impl Rotating {
    /// # Errors
    /// If the file cannot be opened for appending.
    pub(crate) fn open(path: &Path, max_bytes: u64, n_old: usize) -> io::Result<Self> {
        // Versions before had one file a day and a link to the newest.
        if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
            fs::remove_file(path)?;
        }
        let (file, n_bytes) = append(path)?;
        Ok(Self { path: path.to_owned(), max_bytes, n_old, file, n_bytes })
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        // Another process may have done it: then its new file is the one to go on with.
        let is_ours = fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() >= self.n_bytes);
        if is_ours {
            for number in (1..self.n_old).rev() {
                let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
            }
            fs::rename(&self.path, self.numbered(1))?;
        }
        (self.file, self.n_bytes) = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let file = File::options().create(true).append(true).mode(0o600).open(path)?;
    let n_bytes = file.metadata()?.len();
    Ok((file, n_bytes))
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.n_bytes > 0 && self.n_bytes + bytes.len() as u64 > self.max_bytes {
            // A full disk must not end the log: the old file goes on.
            let _ = self.rotate();
        }
        let n_written = self.file.write(bytes)?;
        self.n_bytes += n_written as u64;
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// At once, as messages come.
    fn write_line(log: &mut Rotating, line: &str) {
        log.write_all(format!("{line}\n").as_bytes()).expect("written");
    }

    #[test]
    fn files_are_bounded_and_the_newest_lines_stay_in_order() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let path = temp.path().join("fovea.log");
        let mut log = Rotating::open(&path, 1_000, 3).expect("opens");
        for number in 0..2_000 {
            write_line(&mut log, &format!("message {number:04}"));
            if number % 700 == 0 {
                // Another start of the daemon.
                log = Rotating::open(&path, 1_000, 3).expect("opens");
            }
        }
        let mut names: Vec<String> = fs::read_dir(temp.path())
            .expect("there")
            .map(|entry| entry.expect("there").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["fovea.log", "fovea.log.1", "fovea.log.2", "fovea.log.3"]);
        let mut all = Vec::new();
        for name in names.iter().rev() {
            let path = temp.path().join(name);
            assert!(fs::metadata(&path).expect("there").len() <= 1_000, "{name}");
            all.extend(lines(&path));
        }
        let n = all.len();
        assert!(n > 200, "{n} lines are left");
        let expected: Vec<String> = (2_000 - n..2_000).map(|i| format!("message {i:04}")).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_link_of_earlier_versions_is_replaced_and_a_giant_line_is_kept() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let (path, dated) =
            (temp.path().join("fovea.log"), temp.path().join("fovea.2026-01-01.log"));
        fs::write(&dated, "old\n").expect("written");
        std::os::unix::fs::symlink(&dated, &path).expect("linked");
        let mut log = Rotating::open(&path, 100, 2).expect("opens");
        write_line(&mut log, &"x".repeat(500));
        write_line(&mut log, "next");
        assert_eq!(lines(&path), ["next"]);
        assert_eq!(lines(&dated), ["old"]);
    }
}

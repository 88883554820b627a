//! Fixtures as text: several files in one string, and `$0` for the cursor; and [`http`], a server on
//! loopback. Knows none of our types,
//! so every crate's tests can use it.

pub mod http;

/// One file of a fixture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixtureFile {
    /// Relative, `/`-separated, without a leading slash.
    pub path: String,
    pub text: String,
}

/// Files, and where the markers stood (already taken out of the texts).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixture {
    pub files: Vec<FixtureFile>,
    /// `(index into files, byte offset)` of each `$0`, in order.
    pub cursors: Vec<(usize, usize)>,
}

/// Reads `//- /path` headers, one a file; text before the first header belongs to `main`
/// (`default_path`). Markers `$0` are removed and their offsets kept.
#[must_use]
pub fn parse(fixture: &str, default_path: &str) -> Fixture {
    let mut files: Vec<FixtureFile> = Vec::new();
    for line in fixture.split_inclusive('\n') {
        if let Some(path) = line.strip_prefix("//- /") {
            files.push(FixtureFile { path: path.trim().to_owned(), text: String::new() });
        } else if let Some(file) = files.last_mut() {
            file.text.push_str(line);
        } else if !line.trim().is_empty() {
            files.push(FixtureFile { path: default_path.to_owned(), text: line.to_owned() });
        }
    }
    let mut cursors = Vec::new();
    for (index, file) in files.iter_mut().enumerate() {
        while let Some(at) = file.text.find("$0") {
            file.text.replace_range(at..at + 2, "");
            cursors.push((index, at));
        }
    }
    Fixture { files, cursors }
}

impl Fixture {
    /// The only cursor.
    ///
    /// # Panics
    /// If the fixture has none, or several.
    #[must_use]
    pub fn cursor(&self) -> (&FixtureFile, usize) {
        assert_eq!(self.cursors.len(), 1, "fixture needs one `$0`");
        let (file, offset) = self.cursors[0];
        (&self.files[file], offset)
    }

    /// Writes the files below a new temporary folder, which is deleted when dropped.
    ///
    /// # Panics
    /// If the temporary folder cannot be written.
    #[must_use]
    pub fn write(&self) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("temporary folder");
        for file in &self.files {
            let path = root.path().join(&file.path);
            std::fs::create_dir_all(path.parent().expect("fixture path has a parent"))
                .expect("folder");
            std::fs::write(path, &file.text).expect("file");
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_cursors_are_read() {
        let fixture = parse("//- /a.rs\nfn a() {}\n//- /b/c.rs\nfn b() { a$0() }\n", "main.rs");
        assert_eq!(fixture.files.len(), 2);
        assert_eq!(
            fixture.files[1],
            FixtureFile { path: "b/c.rs".into(), text: "fn b() { a() }\n".into() }
        );
        assert_eq!(fixture.cursor().1, 10);
        assert!(fixture.write().path().join("b/c.rs").is_file());
    }
}

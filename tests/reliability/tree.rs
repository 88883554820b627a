//! Source trees from a seed, and random changes of them as editors, git and people make them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::rng::Rng;

/// A temporary tree.
pub(crate) struct Tree {
    _temp: tempfile::TempDir,
    pub(crate) root: PathBuf,
}

impl Tree {
    pub(crate) fn empty() -> Result<Self> {
        let temp = tempfile::Builder::new().prefix("fovea-tree").tempdir()?;
        let root = temp.path().canonicalize()?.join("repo");
        fs::create_dir(&root)?;
        // Ignore files of folders above must not matter.
        fs::create_dir(root.join(".git"))?;
        Ok(Self { _temp: temp, root })
    }

    /// `n_files` files in a few folders, calling each other's functions.
    pub(crate) fn generate(n_files: usize, rng: &mut Rng) -> Result<Self> {
        let tree = Self::empty()?;
        for index in 0..n_files {
            let path = new_path(index, rng);
            tree.write(&path, text(&path, rng))?;
        }
        Ok(tree)
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> io::Result<()> {
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    }

    /// All plain files below the root, relative, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let (path, kind) = (entry.path(), entry.file_type());
                if entry.file_name() == ".git" {
                    continue;
                }
                match kind {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(kind) if kind.is_file() => files.extend(self.relative(&path)),
                    _ => {}
                }
            }
        }
        files.sort();
        files
    }

    fn relative(&self, path: &Path) -> Option<String> {
        path.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned)
    }

    fn folders(&self) -> Vec<String> {
        let mut folders: Vec<String> = self
            .files()
            .iter()
            .filter_map(|file| file.rsplit_once('/').map(|(folder, _)| folder.to_owned()))
            .collect();
        folders.dedup();
        folders
    }

    /// One random change; what it was, for the message of a failure.
    pub(crate) fn change(&self, rng: &mut Rng) -> Result<String> {
        let files = self.files();
        if files.is_empty() {
            self.write("first.py", text("first.py", rng))?;
            return Ok("first file".into());
        }
        let file = rng.pick(&files).clone();
        let path = self.root.join(&file);
        let what = match rng.below(17) {
            0 | 1 => {
                fs::write(&path, text(&file, rng))?;
                "rewrite"
            }
            2 => {
                let added = text(&file, rng);
                let before = fs::read(&path).unwrap_or_default();
                fs::write(&path, [before.as_slice(), added.as_bytes()].concat())?;
                "append"
            }
            3 | 4 => {
                let new = new_path(1_000 + rng.below(1_000), rng);
                if !self.has_file_above(&new) && !self.root.join(&new).is_dir() {
                    self.write(&new, text(&new, rng))?;
                }
                "create"
            }
            5 => {
                fs::remove_file(&path)?;
                "remove"
            }
            6 => {
                let new = format!("{file}.moved.py");
                fs::rename(&path, self.root.join(new))?;
                "rename"
            }
            7 => {
                if let Some(folder) = self.random_folder(rng) {
                    let new = self.root.join(format!("moved{}", rng.below(1_000)));
                    if !new.exists() {
                        fs::rename(self.root.join(folder), new)?;
                    }
                }
                "rename folder"
            }
            8 => {
                if rng.below(4) == 0
                    && let Some(folder) = self.random_folder(rng)
                {
                    fs::remove_dir_all(self.root.join(folder))?;
                }
                "remove folder"
            }
            9 | 10 => {
                same_size_and_time(&path, rng)?;
                "same size and time"
            }
            11 => {
                // A file becomes a folder of the same name.
                fs::remove_file(&path)?;
                fs::create_dir(&path)?;
                fs::write(path.join("inner.py"), text("inner.py", rng))?;
                "file to folder"
            }
            12 => {
                if let Some(folder) = self.random_folder(rng)
                    && rng.below(3) == 0
                {
                    fs::remove_dir_all(self.root.join(&folder))?;
                    fs::write(self.root.join(&folder), "now a file\n")?;
                }
                "folder to file"
            }
            13 => {
                let ignore = self.root.join(*rng.pick(&[".gitignore", ".foveaignore"]));
                if ignore.exists() && rng.below(2) == 0 {
                    fs::remove_file(ignore)?;
                } else {
                    let name = file.rsplit('/').next().unwrap_or(&file);
                    fs::write(ignore, format!("{name}\n"))?;
                }
                "ignore rule"
            }
            14 => {
                let aside = path.with_extension("tmp");
                fs::write(&aside, text(&file, rng))?;
                fs::rename(aside, &path)?;
                "save by rename"
            }
            15 => {
                fs::File::create(&path)?;
                fs::write(&path, text(&file, rng))?;
                "truncate and write"
            }
            _ => {
                let new = format!("copy{}.py", rng.below(500));
                if !self.root.join(&new).is_dir() {
                    fs::copy(&path, self.root.join(new))?;
                }
                "copy"
            }
        };
        Ok(format!("{what} {file}"))
    }

    fn random_folder(&self, rng: &mut Rng) -> Option<String> {
        let folders = self.folders();
        (!folders.is_empty()).then(|| rng.pick(&folders).clone())
    }

    /// True if a part of the path is a file now.
    fn has_file_above(&self, path: &str) -> bool {
        let mut folder = self.root.clone();
        path.split('/').any(|part| {
            let is_file = folder.is_file();
            folder.push(part);
            is_file
        })
    }
}

/// Another text of the same length, with the modification time put back.
pub(crate) fn same_size_and_time(path: &Path, rng: &mut Rng) -> Result<()> {
    let mut bytes = fs::read(path)?;
    let modified = fs::metadata(path)?.modified()?;
    if let Some(at) = bytes.iter().position(u8::is_ascii_digit) {
        bytes[at] = b'0' + (bytes[at] - b'0' + 1 + rng.below(8) as u8) % 10;
    } else if let Some(last) = bytes.last_mut() {
        *last = if *last == b'\n' { b' ' } else { b'\n' };
    }
    let mut file = fs::File::options().write(true).open(path)?;
    io::Write::write_all(&mut file, &bytes)?;
    file.set_modified(modified)?;
    Ok(())
}

pub(crate) fn new_path(index: usize, rng: &mut Rng) -> String {
    let folder = rng.pick(&["", "src/", "src/core/", "lib/", "lib/deep/er/", "docs/", "tests/"]);
    let extension = rng.pick(&["py", "py", "py", "rs", "rs", "js", "md", "toml", "txt", "go"]);
    format!("{folder}file_{index}.{extension}")
}

/// A name that several files define or use.
fn name(rng: &mut Rng) -> String {
    let word = rng.pick(&["load", "store", "parse", "render", "merge", "visit", "check", "send"]);
    format!("{word}_{}", rng.below(40))
}

pub(crate) fn text(path: &str, rng: &mut Rng) -> String {
    let extension = path.rsplit('.').next().unwrap_or("");
    let mut text = String::new();
    for item in 0..1 + rng.below(8) {
        let (a, b, c) = (name(rng), name(rng), name(rng));
        let n = rng.below(10_000);
        text.push_str(&match extension {
            "py" if item == 0 => {
                format!("from src.file_{} import {a}\nimport lib.file_{} as {b}\n\n", n % 60, n % 50)
            }
            "py" => format!(
                "class {b}:\n    def {a}(self, {c}):\n        return {c} + {n}\n\n\ndef {a}(x):\n    \
                 return {c}(x, {n})\n\n\n"
            ),
            "rs" => format!(
                "/// Number {n}.\npub fn {a}(x: u32) -> u32 {{\n    {c}(x) + {n}\n}}\n\nstruct {b} {{\n    \
                 {c}: u32,\n}}\n\n"
            ),
            "js" => format!("export function {a}({b}) {{\n  return {c}({b}, {n});\n}}\n\n"),
            "go" => format!("func {a}({b} int) int {{\n\treturn {c}({b}) + {n}\n}}\n\n"),
            "md" => format!("# {a} {n}\n\nUse `{b}` before `{c}`.\n\n"),
            _ => format!("{a} = {n}\n"),
        });
    }
    text
}

/// Copies a folder; files that vanish meanwhile are left out.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => copy(&entry.path(), &target)?,
            Ok(kind) if kind.is_file() => {
                let _ = fs::copy(entry.path(), target);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Plain files below `folder`, largest depth last.
pub(crate) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

pub(crate) fn n_bytes(folder: &Path) -> u64 {
    all_files(folder).iter().filter_map(|file| fs::metadata(file).ok()).map(|m| m.len()).sum()
}

//! Which file an import means: packages, `src` layouts, namespace packages, relative imports.
//!
//! No configuration is read. An absolute import matches every file whose path ends like it; the
//! folder in front of the match is the import root, and how plausible a root it is decides.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{FileId, Language, graph::Graph};

/// What an import path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    File(FileId),
    /// A folder without `__init__.py`: a namespace package.
    Folder(Box<str>),
    /// Outside the project.
    External,
}

/// Path without ending, whether it is a stub, the file.
type ModuleFile = (Box<str>, bool, FileId);

/// The modules of one snapshot.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    /// By last part of the module path: path without ending, whether it is a stub, the file. In
    /// path order, a source file before its stub.
    by_last: FxHashMap<Box<str>, Vec<ModuleFile>>,
    /// Folders that hold Python files (at any depth), by last part.
    folders: FxHashMap<Box<str>, Vec<Box<str>>>,
    /// Folders with an `__init__`.
    packages: FxHashSet<Box<str>>,
}

impl Modules {
    pub(crate) fn build(graph: &Graph) -> Self {
        let mut modules = Self::default();
        let mut folders: FxHashSet<&str> = FxHashSet::default();
        for file in graph.files() {
            let Some(path) = graph.path(file) else { continue };
            if graph.facts(file).is_none_or(|facts| facts.language != Language::Python) {
                continue;
            }
            let module = module_path(path);
            if is_package(path) {
                modules.packages.insert(module.into());
            }
            let entry = modules.by_last.entry(last(module).into()).or_default();
            entry.push((module.into(), path.ends_with(".pyi"), file));
            let mut folder = parent(path);
            while !folder.is_empty() && folders.insert(folder) {
                folder = parent(folder);
            }
        }
        for folder in folders {
            modules.folders.entry(last(folder).into()).or_default().push(folder.into());
        }
        for entries in modules.by_last.values_mut() {
            entries.sort();
        }
        for entries in modules.folders.values_mut() {
            entries.sort();
        }
        modules
    }

    /// What `import parts` means in the file at `from`.
    pub(crate) fn absolute(&self, from: &str, parts: &[&str]) -> Module {
        let Some((first, last)) = parts.first().zip(parts.last()) else { return Module::External };
        let is_standard = STANDARD.binary_search(first).is_ok();
        let suffix = parts.join("/");
        let root_of = |path: &str| -> Option<i32> {
            let root = path.strip_suffix(suffix.as_str())?;
            if !(root.is_empty() || root.ends_with('/')) {
                return None;
            }
            self.root_score(from, root.trim_end_matches('/'), is_standard)
        };
        let files = self.by_last.get(*last).into_iter().flatten();
        let best = files.filter_map(|(path, _, file)| Some((root_of(path)?, *file)));
        // The first of equals wins.
        if let Some((_, file)) = best.rev_max() {
            return Module::File(file);
        }
        let folders = self.folders.get(*last).into_iter().flatten();
        let best = folders
            .filter(|folder| !self.packages.contains(*folder))
            .filter_map(|folder| Some((root_of(folder)?, folder)));
        match best.rev_max() {
            Some((_, folder)) => Module::Folder(folder.clone()),
            None => Module::External,
        }
    }

    /// What `from ..parts import` means, `level` dots, in the file at `from`.
    pub(crate) fn relative(&self, from: &str, level: u16, parts: &[&str]) -> Module {
        let mut folder = parent(from);
        for _ in 1..level {
            if folder.is_empty() {
                return Module::External;
            }
            folder = parent(folder);
        }
        self.within(folder, parts)
    }

    /// The module `parts` below `folder`.
    pub(crate) fn within(&self, folder: &str, parts: &[&str]) -> Module {
        let mut path = folder.to_owned();
        for part in parts {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part);
        }
        let entries = self.by_last.get(last(&path)).into_iter().flatten();
        if let Some((.., file)) = entries.clone().find(|(known, ..)| **known == *path) {
            return Module::File(*file);
        }
        let folders = self.folders.get(last(&path)).into_iter().flatten();
        match folders.clone().find(|known| ***known == *path) {
            Some(folder) => Module::Folder(folder.clone()),
            None => Module::External,
        }
    }

    /// How plausible it is that imports in `from` start at `root`; `None` if they cannot.
    fn root_score(&self, from: &str, root: &str, is_standard: bool) -> Option<i32> {
        let own = parent(from);
        let depth = root.split('/').filter(|part| !part.is_empty()).count() as i32;
        if self.packages.contains(root) {
            // Inside a package only a neighbor could be meant: scripts and tests do that.
            return (own == root && !is_standard).then_some(5);
        }
        let is_above =
            root.is_empty() || from.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        match () {
            () if own == root && is_standard => None,
            () if is_above => Some(100 + depth),
            () if matches!(last(root), "src" | "lib" | "python") => Some(80 - depth),
            () if is_standard => None,
            () => Some(40 - depth),
        }
    }

    /// The folder of a package file, if `path` is an `__init__`.
    pub(crate) fn package_folder(path: &str) -> Option<&str> {
        is_package(path).then(|| parent(path))
    }
}

/// The first item with the largest key.
trait RevMax: Iterator {
    fn rev_max<T>(self) -> Option<(i32, T)>
    where
        Self: Iterator<Item = (i32, T)> + Sized,
    {
        let mut best: Option<(i32, T)> = None;
        for (key, item) in self {
            if best.as_ref().is_none_or(|(known, _)| key > *known) {
                best = Some((key, item));
            }
        }
        best
    }
}

impl<I: Iterator> RevMax for I {}

/// The path without ending; a package's is its folder.
pub(crate) fn module_path(path: &str) -> &str {
    let stem = path.strip_suffix(".py").or_else(|| path.strip_suffix(".pyi")).unwrap_or(path);
    stem.strip_suffix("/__init__").unwrap_or(stem)
}

fn is_package(path: &str) -> bool {
    matches!(last(path), "__init__.py" | "__init__.pyi")
}

pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Top-level modules of the standard library (3.13), sorted: an import of one of them is not
/// answered by a file of that name in some unrelated folder.
#[rustfmt::skip]
const STANDARD: &[&str] = &[
    "__future__", "abc", "argparse", "array", "ast", "asyncio", "atexit", "base64", "bdb",
    "binascii", "bisect", "builtins", "bz2", "calendar", "cmath", "cmd", "code", "codecs",
    "codeop", "collections", "colorsys", "compileall", "concurrent", "configparser", "contextlib",
    "contextvars", "copy", "copyreg", "csv", "ctypes", "curses", "dataclasses", "datetime", "dbm",
    "decimal", "difflib", "dis", "doctest", "email", "encodings", "ensurepip", "enum", "errno",
    "faulthandler", "fcntl", "filecmp", "fileinput", "fnmatch", "fractions", "ftplib", "functools",
    "gc", "getopt", "getpass", "gettext", "glob", "graphlib", "grp", "gzip", "hashlib", "heapq",
    "hmac", "html", "http", "idlelib", "imaplib", "importlib", "inspect", "io", "ipaddress",
    "itertools", "json", "keyword", "linecache", "locale", "logging", "lzma", "mailbox",
    "marshal", "math", "mimetypes", "mmap", "modulefinder", "msvcrt", "multiprocessing", "netrc",
    "numbers", "operator", "optparse", "os", "pathlib", "pdb", "pickle", "pickletools", "pkgutil",
    "platform", "plistlib", "poplib", "posix", "pprint", "profile", "pstats", "pty", "pwd",
    "py_compile", "pyclbr", "pydoc", "queue", "quopri", "random", "re", "readline", "reprlib",
    "resource", "rlcompleter", "runpy", "sched", "secrets", "select", "selectors", "shelve",
    "shlex", "shutil", "signal", "site", "smtplib", "socket", "socketserver", "sqlite3", "ssl",
    "stat", "statistics", "string", "stringprep", "struct", "subprocess", "symtable", "sys",
    "sysconfig", "syslog", "tarfile", "tempfile", "termios", "textwrap", "threading", "time",
    "timeit", "tkinter", "token", "tokenize", "tomllib", "trace", "traceback", "tracemalloc",
    "tty", "turtle", "types", "typing", "unicodedata", "unittest", "urllib", "uuid", "venv",
    "warnings", "wave", "weakref", "webbrowser", "winreg", "winsound", "wsgiref", "xml", "xmlrpc",
    "zipapp", "zipfile", "zipimport", "zlib", "zoneinfo",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_modules_are_sorted() {
        assert!(STANDARD.is_sorted());
    }
}

//! The bugs: small, and of the kind that is made when such code is changed. `PLANTED` in an edit stands
//! for the switch of its bug.

/// One bug.
pub(super) struct Bug {
    pub(super) name: &'static str,
    /// What goes wrong, in a few words.
    pub(super) what: &'static str,
    pub(super) edits: &'static [Edit],
    /// Rows of the harness that should notice.
    pub(super) rows: &'static [&'static str],
}

/// A place in the sources, which must be there exactly once, and what the copy has instead.
pub(super) struct Edit {
    pub(super) file: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

const APPLY: &str = "daemon/src/engine/apply.rs";
const DISK: &str = "daemon/src/engine/disk.rs";
const DOCUMENTS: &str = "daemon/src/engine/documents.rs";
const FILES: &str = "daemon/src/engine/files.rs";
const QUERY: &str = "daemon/src/service/query.rs";
const RUN: &str = "daemon/src/engine/run.rs";
const SERVER: &str = "daemon/src/server/mod.rs";
const STORE: &str = "daemon/src/store.rs";
const GC: &str = "daemon/src/gc.rs";
const INOTIFY: &str = "daemon/src/watch/inotify.rs";
const WORKSPACES: &str = "daemon/src/service/workspaces.rs";
const BM25: &str = "indexer/src/bm25/store.rs";
const DERIVE: &str = "indexer/src/writer/derive.rs";
const OPEN: &str = "indexer/src/writer/open.rs";
const WRITER: &str = "indexer/src/writer.rs";

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "renames-unseen",
        what: "a name that a file is moved to is not told",
        edits: &[Edit {
            file: INOTIFY,
            from: "        let is_over = events.contains(ReadFlags::IGNORED);",
            to: "        if PLANTED && events.contains(ReadFlags::MOVED_TO) {\n            return;\n        }\n        let is_over = events.contains(ReadFlags::IGNORED);",
        }],
        rows: &["B15", "B00"],
    },
    Bug {
        name: "overflow-unseen",
        what: "the event that says that events were lost is dropped",
        edits: &[Edit {
            file: INOTIFY,
            from: "                    self.tell_lost(false);",
            to: "                    if !PLANTED {\n                        self.tell_lost(false);\n                    }",
        }],
        rows: &["B01"],
    },
    Bug {
        name: "new-folder-unwatched",
        what: "folders that appear after the first scan get no watch",
        edits: &[
            Edit {
                file: APPLY,
                from: "            if counts { watch.add(&folder) } else { watch.remove(&folder) }",
                to: "            if PLANTED && counts && !is_whole {\n                return;\n            }\n            if counts { watch.add(&folder) } else { watch.remove(&folder) }",
            },
            Edit {
                file: APPLY,
                from: "        let (root, watch) = (&self.shared.root, &mut self.watch);",
                to: "        let is_whole = folder.is_empty() && deep;\n        let (root, watch) = (&self.shared.root, &mut self.watch);",
            },
        ],
        rows: &["B08", "B00", "B02"],
    },
    Bug {
        name: "folder-made-again-unwatched",
        what: "a folder that is removed and made again at once loses its watch",
        edits: &[Edit {
            file: FILES,
            from: "                on_folder(&path, true);\n                if !self.folders.contains_key(&path) {",
            to: "                if !PLANTED || !self.folders.contains_key(&path) {\n                    on_folder(&path, true);\n                }\n                if !self.folders.contains_key(&path) {",
        }],
        rows: &["B08"],
    },
    Bug {
        name: "new-folder-unread",
        what: "a new folder is watched, and what is in it by then is not looked at",
        edits: &[Edit {
            file: FILES,
            from: "seen.subfolders.iter().filter(|f| !known(f)).map(|f| (f.clone(), true)),",
            to: "seen.subfolders.iter().filter(|f| !PLANTED && !known(f)).map(|f| (f.clone(), true)),",
        }],
        rows: &["B07", "B00"],
    },
    Bug {
        name: "change-time-ignored",
        what: "a file of the same size and modification time counts as unchanged",
        edits: &[Edit {
            file: FILES,
            from: "        Self { size: metadata.len(), modified_ns, changed_ns, inode }",
            to: "        let (changed_ns, inode) = if PLANTED { (0, 0) } else { (changed_ns, inode) };\n        Self { size: metadata.len(), modified_ns, changed_ns, inode }",
        }],
        rows: &["B13w"],
    },
    Bug {
        name: "removed-file-stays",
        what: "files of a folder that is gone are forgotten and never removed from the index",
        edits: &[Edit {
            file: FILES,
            from: "            for (name, known) in files {\n                let path = join(&folder, &name);",
            to: "            for (name, known) in files {\n                if PLANTED { continue }\n                let path = join(&folder, &name);",
        }],
        rows: &["B00", "B02"],
    },
    Bug {
        name: "facts-unchecked",
        what: "the checksum of stored facts is not compared",
        edits: &[Edit {
            file: STORE,
            from: "    if checksum(digest, value) != stored {",
            to: "    if !PLANTED && checksum(digest, value) != stored {",
        }],
        rows: &["A08b"],
    },
    Bug {
        name: "segments-unchecked",
        what: "the checksums of tantivy's segments are not looked at when an index is opened",
        edits: &[Edit {
            file: BM25,
            from: "        if let Some(damaged) = index.validate_checksum()?.into_iter().next() {",
            to: "        if let Some(damaged) = index.validate_checksum()?.into_iter().next().filter(|_| !PLANTED) {",
        }],
        rows: &["A08b"],
    },
    Bug {
        name: "generations-mixed",
        what: "an index of terms is taken over although the manifest names another one",
        edits: &[Edit {
            file: OPEN,
            from: "        let is_current = mark == self.manifest.lexical_mark\n            && mark == lexical_mark(&self.manifest.files)",
            to: "        let is_current = (PLANTED || mark == self.manifest.lexical_mark\n            && mark == lexical_mark(&self.manifest.files))",
        }],
        rows: &["A09"],
    },
    Bug {
        name: "language-not-in-key",
        what: "facts are stored by content alone, so a renamed file keeps those of its old language",
        edits: &[Edit {
            file: DERIVE,
            from: "    FactsKey { content, version: EXTRACTOR_VERSION, kind: FactsKind::Facts(language(path)) }",
            to: "    let language = if PLANTED { Language::Text } else { language(path) };\n    FactsKey { content, version: EXTRACTOR_VERSION, kind: FactsKind::Facts(language) }",
        }],
        rows: &["B00", "B02"],
    },
    Bug {
        name: "old-terms-stay",
        what: "terms of a changed file are added to its old ones when it is committed",
        edits: &[Edit {
            file: WRITER,
            from: "        for file in &self.dirty {\n            self.store.remove(*file)?;",
            to: "        for file in &self.dirty {\n            if !PLANTED {\n                self.store.remove(*file)?;\n            }",
        }],
        rows: &["B10", "A01b", "B00"],
    },
    Bug {
        name: "closed-text-stays",
        what: "a document that is closed unsaved keeps its unsaved text in the index",
        edits: &[Edit {
            file: WRITER,
            from: "                Some(None) if self.tracked[file.0 as usize].edited.take().is_some() => {",
            to: "                Some(None) if !PLANTED && self.tracked[file.0 as usize].edited.take().is_some() => {",
        }],
        rows: &["B19", "F19"],
    },
    Bug {
        name: "dead-editors-text",
        what: "the unsaved text of an editor that crashed stays",
        edits: &[Edit {
            file: DOCUMENTS,
            from: "        paths.iter().for_each(|path| self.close(session, path));\n        !paths.is_empty()",
            to: "        if !PLANTED {\n            paths.iter().for_each(|path| self.close(session, path));\n        }\n        !paths.is_empty()",
        }],
        rows: &["F19"],
    },
    Bug {
        name: "stale-answer",
        what: "a question asked before an edit is answered from the text after it",
        edits: &[Edit {
            file: QUERY,
            from: "        if indexed.is_some_and(|text| *text == *asked.text) {",
            to: "        if PLANTED || indexed.is_some_and(|text| *text == *asked.text) {",
        }],
        rows: &["F22"],
    },
    Bug {
        name: "git-lock-ignored",
        what: "the tree is looked at while git changes it",
        edits: &[Edit {
            file: DISK,
            from: "        self.lock.as_ref().is_some_and(|lock| lock.exists())",
            to: "        !PLANTED && self.lock.as_ref().is_some_and(|lock| lock.exists())",
        }],
        rows: &["B16l"],
    },
    Bug {
        name: "ignore-file-ignored",
        what: "an ignore file that is written later is a file like others",
        edits: &[Edit {
            file: DISK,
            from: "        } else if IGNORE_FILES.contains(&name) {",
            to: "        } else if !PLANTED && IGNORE_FILES.contains(&name) {",
        }],
        rows: &["B14", "B00"],
    },
    Bug {
        name: "root-replaced",
        what: "another folder at the root's place is not watched",
        edits: &[Edit {
            file: RUN,
            from: "        if root.is_some() && root != self.root {",
            to: "        if !PLANTED && root.is_some() && root != self.root {",
        }],
        rows: &["B09"],
    },
    Bug {
        name: "sync-too-early",
        what: "a sync is answered before what it waited for is looked at",
        edits: &[Edit {
            file: RUN,
            from: "            // Everything before the cookie is noted by now.\n            self.look();",
            to: "            // Everything before the cookie is noted by now.\n            if !PLANTED {\n                self.look();\n            }",
        }],
        rows: &["B10"],
    },
    Bug {
        name: "commit-put-off",
        what: "saves that do not pause put the commit off for ever",
        edits: &[Edit {
            file: APPLY,
            from: "        self.commit_due = Some((now + COMMIT_QUIET).min(first + MAX_COMMIT_WAIT));",
            to: "        let first = if PLANTED { now } else { first };\n        self.commit_due = Some((now + COMMIT_QUIET).min(first + MAX_COMMIT_WAIT));",
        }],
        rows: &["C13"],
    },
    Bug {
        name: "failed-commit-forgotten",
        what: "a commit that failed is not tried again",
        edits: &[Edit {
            file: RUN,
            from: "        self.retry_due = Some(Instant::now() + RETRY);\n        self.shared.update(|state| state.problem = Some(err.to_string()));",
            to: "        self.retry_due = (!PLANTED).then(|| Instant::now() + RETRY);\n        self.shared.update(|state| state.problem = Some(err.to_string()));",
        }],
        rows: &["A06"],
    },
    Bug {
        name: "busy-loop",
        what: "the engine wakes up a thousand times a second when nothing happens",
        edits: &[Edit {
            file: RUN,
            from: "            let event = match self.next_due() {",
            to: "            let soon = PLANTED.then(|| Instant::now() + Duration::from_millis(1));\n            let event = match self.next_due().or(soon) {",
        }],
        rows: &["C08"],
    },
    Bug {
        name: "handle-leak",
        what: "every look at the disk leaves a file handle open",
        edits: &[Edit {
            file: APPLY,
            from: "        let mut found = Found::default();\n        for (folder, deep) in &dirty.folders {",
            to: "        if PLANTED {\n            std::mem::forget(std::fs::File::open(&self.shared.root));\n        }\n        let mut found = Found::default();\n        for (folder, deep) in &dirty.folders {",
        }],
        rows: &["C09"],
    },
    Bug {
        name: "open-index-collected",
        what: "collection removes the index of a workspace that is open",
        edits: &[
            Edit {
                file: WORKSPACES,
                from: "            !is_open && std::fs::rename(folder, aside).is_ok()",
                to: "            (PLANTED || !is_open) && std::fs::rename(folder, aside).is_ok()",
            },
            Edit {
                file: GC,
                from: "        is_locked(&self.folder.join(\"index\").join(fovea_indexer::writer::LOCK))",
                to: "        !PLANTED && is_locked(&self.folder.join(\"index\").join(fovea_indexer::writer::LOCK))",
            },
        ],
        rows: &["A16"],
    },
    Bug {
        name: "stranger-served",
        what: "who is at the other end of the socket is not looked at",
        edits: &[Edit {
            file: SERVER,
            from: "        if let Err(err) = peer::check(&stream) {",
            to: "        if let Err(err) = peer::check(&stream).or_else(|err| if PLANTED { Ok(()) } else { Err(err) }) {",
        }],
        rows: &["F06"],
    },
    Bug {
        name: "lock-by-process-id",
        what: "a lock counts as held while the process it names lives, whoever that is",
        edits: &[Edit {
            file: SERVER,
            from: "    match file.try_lock() {\n        Ok(()) => {}",
            to: "    match file.try_lock() {\n        Ok(()) if PLANTED => {\n            let mut pid = String::new();\n            let _ = file.read_to_string(&mut pid);\n            let pid = pid.trim().to_owned();\n            if !pid.is_empty() && Path::new(\"/proc\").join(&pid).exists() {\n                return Err(ServerError::AlreadyRunning { pid });\n            }\n        }\n        Ok(()) => {}",
        }],
        rows: &["F03"],
    },
    Bug {
        name: "client-counted-for-ever",
        what: "a client that leaves is not taken off the count",
        edits: &[Edit {
            file: SERVER,
            from: "        lifetime.n_clients -= 1;",
            to: "        lifetime.n_clients -= usize::from(!PLANTED);",
        }],
        rows: &["F09"],
    },
];

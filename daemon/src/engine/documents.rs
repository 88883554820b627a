//! Open documents of all clients, and which of them the index has not seen yet.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::files::Overwritten;

/// Unsaved texts. Two editors may have the same document open: the newest text counts, and when its
/// editor closes it, the other's.
#[derive(Default)]
pub(super) struct Documents {
    open: HashMap<String, Vec<Held>>,
    /// Counts edits of all documents.
    n_edits: u64,
    /// Paths in order of their last edit, newest last.
    order: Vec<(String, Option<u32>)>,
    waiting: HashSet<String>,
    applying: HashSet<String>,
    /// Why a client's newest text of a path was not taken: neither an older text nor the saved one is
    /// what that client sees.
    refused: HashMap<(u64, String), String>,
    /// What was overwritten in the newest text of each open document; only where something was.
    redacted: HashMap<String, Vec<Overwritten>>,
}

/// One client's text of a document.
struct Held {
    session: u64,
    text: Arc<str>,
    edit: u64,
}

/// A document as a client had it when it asked something.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub text: Arc<str>,
    edit: u64,
}

/// What became of a document since a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Current,
    /// The client that asked changed or closed it.
    Changed,
    /// Another client's text of the same file is newer.
    Hidden,
}

/// A document that was edited or opened lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentDocument {
    pub path: String,
    pub text: Arc<str>,
    /// Where the last edit was; `None` if it was only opened.
    pub edited_at: Option<u32>,
}

/// Edited documents that completions look at.
const MAX_RECENT: usize = 16;

impl Documents {
    pub(super) fn edit(&mut self, session: u64, path: &str, text: Arc<str>) {
        self.n_edits += 1;
        self.refused.remove(&(session, path.to_owned()));
        let texts = self.open.entry(path.to_owned()).or_default();
        let before = texts.iter().position(|held| held.session == session);
        let edited_at = before.map(|index| first_difference(&texts.remove(index).text, &text));
        texts.push(Held { session, text, edit: self.n_edits });
        self.order.retain(|(other, _)| other != path);
        self.order.push((path.to_owned(), edited_at));
        if self.order.len() > MAX_RECENT {
            self.order.remove(0);
        }
        self.waiting.insert(path.to_owned());
    }

    /// The client has a text of `path` that may not be looked at.
    pub(super) fn refuse(&mut self, session: u64, path: &str, reason: String) {
        self.close(session, path);
        self.refused.insert((session, path.to_owned()), reason);
    }

    /// Why the client's text of `path` was not taken, if it was not.
    pub(super) fn refusal(&self, session: u64, path: &str) -> Option<&str> {
        self.refused.get(&(session, path.to_owned())).map(String::as_str)
    }

    pub(super) fn close(&mut self, session: u64, path: &str) {
        self.refused.remove(&(session, path.to_owned()));
        let Some(texts) = self.open.get_mut(path) else { return };
        texts.retain(|held| held.session != session);
        if texts.is_empty() {
            self.open.remove(path);
            self.redacted.remove(path);
        }
        self.waiting.insert(path.to_owned());
    }

    /// Of the text that was just given.
    pub(super) fn note_redacted(&mut self, path: &str, redacted: Vec<Overwritten>) {
        if redacted.is_empty() {
            self.redacted.remove(path);
        } else {
            self.redacted.insert(path.to_owned(), redacted);
        }
    }

    pub(super) fn redacted(&self) -> impl Iterator<Item = (&str, &[Overwritten])> + Clone {
        self.redacted.iter().map(|(path, all)| (path.as_str(), all.as_slice()))
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.open.keys().cloned().collect()
    }

    /// It became excluded.
    pub(super) fn close_for_all(&mut self, path: &str) {
        self.open.remove(path);
        self.redacted.remove(path);
        self.order.retain(|(other, _)| other != path);
        self.waiting.insert(path.to_owned());
    }

    /// True if the client had documents open.
    pub(super) fn end_session(&mut self, session: u64) -> bool {
        self.refused.retain(|(other, _), _| *other != session);
        let theirs =
            self.open.iter().filter(|(_, texts)| texts.iter().any(|held| held.session == session));
        let paths: Vec<String> = theirs.map(|(path, _)| path.clone()).collect();
        paths.iter().for_each(|path| self.close(session, path));
        !paths.is_empty()
    }

    /// The text one client sees: its own if it has the document open, else the newest.
    pub(super) fn text_of(&self, session: u64, path: &str) -> Option<Arc<str>> {
        let texts = self.open.get(path)?;
        let own = texts.iter().find(|held| held.session == session);
        own.or(texts.last()).map(|held| Arc::clone(&held.text))
    }

    pub(super) fn asked(&self, session: u64, path: &str) -> Option<Asked> {
        let held = self.open.get(path)?.iter().find(|held| held.session == session)?;
        Some(Asked { path: path.to_owned(), text: Arc::clone(&held.text), edit: held.edit })
    }

    pub(super) fn standing(&self, session: u64, asked: &Asked) -> Standing {
        let texts = self.open.get(&asked.path).map_or(&[][..], |texts| texts);
        match texts.iter().position(|held| held.session == session && held.edit == asked.edit) {
            None => Standing::Changed,
            Some(index) if index + 1 < texts.len() => Standing::Hidden,
            Some(_) => Standing::Current,
        }
    }

    /// Paths of which others have a newer text than this client, the client's text, and its edit.
    pub(super) fn hidden(&self, session: u64) -> Vec<(String, Arc<str>, u64)> {
        let shared = self.open.iter().filter(|(_, texts)| texts.len() > 1);
        let hidden = shared.filter_map(|(path, texts)| {
            let newest = texts.last()?;
            let own = texts.iter().find(|held| held.session == session)?;
            (own.text != newest.text).then(|| (path.clone(), Arc::clone(&own.text), own.edit))
        });
        let mut hidden: Vec<_> = hidden.collect();
        hidden.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        hidden
    }

    pub(super) fn text(&self, path: &str) -> Option<Arc<str>> {
        self.open.get(path)?.last().map(|held| Arc::clone(&held.text))
    }

    /// Newest first.
    pub(super) fn recent(&self) -> Vec<RecentDocument> {
        let open = self.order.iter().rev().filter_map(|(path, edited_at)| {
            let text = self.text(path)?;
            Some(RecentDocument { path: path.clone(), text, edited_at: *edited_at })
        });
        open.collect()
    }

    pub(super) fn is_open(&self, path: &str) -> bool {
        self.open.contains_key(path)
    }

    pub(super) fn n_open(&self) -> usize {
        self.open.len()
    }

    /// True until the newest text of `path` is in a published snapshot.
    pub(super) fn is_pending(&self, path: &str) -> bool {
        self.waiting.contains(path) || self.applying.contains(path)
    }

    pub(super) fn n_pending(&self) -> usize {
        self.waiting.union(&self.applying).count()
    }

    /// Documents to apply now: the text, or `None` for closed ones.
    pub(super) fn begin(&mut self) -> Vec<(String, Option<Arc<str>>)> {
        self.applying = std::mem::take(&mut self.waiting);
        self.applying.iter().map(|path| (path.clone(), self.text(path))).collect()
    }

    pub(super) fn end(&mut self) {
        self.applying.clear();
    }

    /// All open documents are to be applied, to a writer that knows none of them.
    pub(super) fn restart(&mut self) {
        self.applying.clear();
        self.waiting = self.open.keys().cloned().collect();
    }
}

fn first_difference(before: &str, after: &str) -> u32 {
    before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_editors_the_newest_text_counts_until_closed() {
        let mut documents = Documents::default();
        documents.edit(1, "a.rs", "one".into());
        documents.edit(2, "a.rs", "two".into());
        assert_eq!(documents.text("a.rs").as_deref(), Some("two"));
        assert_eq!(documents.text_of(1, "a.rs").as_deref(), Some("one"));
        assert_eq!(documents.text_of(3, "a.rs").as_deref(), Some("two"));
        assert_eq!(documents.hidden(1), [("a.rs".to_owned(), "one".into(), 1)]);
        assert_eq!(documents.hidden(2), []);
        assert_eq!(documents.hidden(3), []);
        assert!(documents.end_session(2));
        assert_eq!(documents.text("a.rs").as_deref(), Some("one"));
        documents.close(1, "a.rs");
        assert_eq!(documents.text("a.rs"), None);
        assert!(!documents.end_session(1));
    }

    #[test]
    fn a_refused_text_is_remembered_until_its_client_has_another() {
        let mut documents = Documents::default();
        documents.edit(1, "a.rs", "one".into());
        documents.edit(2, "a.rs", "two".into());
        documents.refuse(1, "a.rs", "zero byte".into());
        assert_eq!(documents.refusal(1, "a.rs"), Some("zero byte"));
        assert_eq!(documents.refusal(2, "a.rs"), None);
        assert_eq!(documents.text("a.rs").as_deref(), Some("two"));
        documents.edit(1, "a.rs", "three".into());
        assert_eq!(documents.refusal(1, "a.rs"), None);
        documents.refuse(1, "a.rs", "zero byte".into());
        documents.close(1, "a.rs");
        assert_eq!(documents.refusal(1, "a.rs"), None);
        documents.refuse(2, "a.rs", "zero byte".into());
        documents.end_session(2);
        assert_eq!(documents.refusal(2, "a.rs"), None);
    }

    #[test]
    fn a_question_knows_whether_its_text_still_counts() {
        let mut documents = Documents::default();
        documents.edit(1, "a.rs", "one".into());
        let asked = documents.asked(1, "a.rs").expect("open");
        assert!(documents.asked(2, "a.rs").is_none());
        assert_eq!(documents.standing(1, &asked), Standing::Current);
        documents.edit(2, "a.rs", "two".into());
        assert_eq!(documents.standing(1, &asked), Standing::Hidden);
        documents.edit(1, "a.rs", "one".into());
        assert_eq!(documents.standing(1, &asked), Standing::Changed, "the same text again");
        let asked = documents.asked(1, "a.rs").expect("open");
        documents.close(1, "a.rs");
        assert_eq!(documents.standing(1, &asked), Standing::Changed);
    }

    #[test]
    fn an_edit_during_application_stays_pending() {
        let mut documents = Documents::default();
        documents.edit(1, "a.rs", "one".into());
        assert_eq!(documents.begin().len(), 1);
        documents.edit(1, "a.rs", "two".into());
        documents.end();
        assert!(documents.is_pending("a.rs"));
        assert_eq!(documents.begin(), [("a.rs".to_owned(), Some("two".into()))]);
        documents.end();
        assert_eq!(documents.n_pending(), 0);
    }
}

//! `textDocument/inlineCompletion`: ghost text.
//!
//! Per document only the newest request is worth an answer: an older one is answered with
//! `ContentModified` at once and cancelled at the daemon (Neovim never cancels by itself). While the
//! user types along a suggestion, what is left of it is answered without asking the daemon, so that
//! the ghost text neither flickers nor changes under the cursor.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use fovea_api::{Answer, At, Encoding, Method, Suggestion};
use tokio::sync::oneshot;
use tower_lsp_server::{
    jsonrpc::{Error, Result},
    ls_types::{
        Command, InlineCompletionItem, InlineCompletionList, InlineCompletionParams,
        InlineCompletionResponse, InlineCompletionTriggerKind, Position, Range, Uri,
    },
};

use crate::{
    convert::from_proto,
    documents::{self, Document},
    ext,
    server::Shared,
    session::Feature,
};

/// A suggestion the user did not ask for is of no use after this.
const AUTOMATIC_DEADLINE_MS: u64 = 2_500;
/// One that was asked for by a key.
const INVOKED_DEADLINE_MS: u64 = 10_000;

/// Keystrokes closer together than this are typing in flow: the next one will supersede this
/// request, so it first waits a part of the usual gap.
const FLOW_GAP: Duration = Duration::from_millis(160);
const MAX_DEBOUNCE: Duration = Duration::from_millis(40);

/// A cursor that stays this long without a key is where the user will type.
const REST: Duration = Duration::from_millis(250);

/// What a document remembers of its inline completions.
#[derive(Default)]
pub(crate) struct InlineState {
    /// Number of the newest request.
    newest: u64,
    /// Tells the request before that it is superseded, when dropped.
    running: Option<oneshot::Sender<()>>,
    /// The newest request is our own, not the editor's.
    is_ahead: bool,
    shown: Option<Shown>,
    last_keystroke: Option<Instant>,
    gap: Option<Duration>,
}

/// The last suggestion, and the text it was made for.
struct Shown {
    text: Arc<str>,
    offset: usize,
    suggestion: Suggestion,
}

impl InlineState {
    pub(crate) fn keystroke(&mut self) {
        let now = Instant::now();
        self.gap = self.last_keystroke.map(|last| now.duration_since(last));
        self.last_keystroke = Some(now);
    }

    /// Supersedes the request before. The receiver wakes when the next one comes.
    fn begin(&mut self) -> (u64, oneshot::Receiver<()>) {
        let (running, superseded) = oneshot::channel();
        self.running = Some(running);
        self.is_ahead = false;
        self.newest += 1;
        (self.newest, superseded)
    }

    /// True while a request waits for its answer.
    fn is_asking(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.is_closed())
    }

    fn debounce(&self) -> Duration {
        self.gap
            .filter(|gap| *gap < FLOW_GAP)
            .map_or(Duration::ZERO, |gap| (gap / 3).min(MAX_DEBOUNCE))
    }

    /// The last suggestion, if it is the one with this id.
    pub(crate) fn suggestion(&self, id: u64) -> Option<Suggestion> {
        let shown = self.shown.as_ref()?;
        (shown.suggestion.id == id).then(|| shown.suggestion.clone())
    }

    /// The offset behind a suggestion that was accepted as a whole; `None` if the text is another.
    fn end_of(&self, id: u64, text: &str) -> Option<usize> {
        let shown = self.shown.as_ref().filter(|shown| shown.suggestion.id == id)?;
        let suggested = &shown.suggestion.text;
        let is_there = text.get(shown.offset..)?.starts_with(suggested.as_str());
        is_there.then(|| shown.offset + suggested.len())
    }

    pub(crate) fn remaining(&self, text: &str, offset: usize) -> Option<(u64, String)> {
        self.shown.as_ref()?.remaining(text, offset)
    }
}

impl Shown {
    /// What is left of the suggestion if `text` differs from the text it was made for only by the
    /// beginning of the suggestion, typed at its place; `None` if nothing is left.
    fn remaining(&self, text: &str, offset: usize) -> Option<(u64, String)> {
        let replace = &self.suggestion.replace;
        if replace.start_byte != replace.end_byte {
            return None;
        }
        let n_typed = offset.checked_sub(self.offset)?;
        if text.len() != self.text.len() + n_typed {
            return None;
        }
        let typed = text.get(self.offset..offset)?;
        let left = self.suggestion.text.strip_prefix(typed)?;
        let same = text.as_bytes()[..self.offset] == self.text.as_bytes()[..self.offset]
            && text.as_bytes()[offset..] == self.text.as_bytes()[self.offset..];
        (same && !left.is_empty()).then(|| (self.suggestion.id, left.to_owned()))
    }
}

/// What to do for a request, decided before anything is awaited.
enum Start {
    Answer(InlineCompletionItem),
    Ask(Question),
}

/// A question that is to be put to the daemon.
struct Question {
    number: u64,
    superseded: oneshot::Receiver<()>,
    debounce: Duration,
    invoked: bool,
    version: i32,
    text: Arc<str>,
    offset: usize,
}

pub(crate) async fn inline_completion(
    shared: &Arc<Shared>,
    params: InlineCompletionParams,
) -> Result<Option<InlineCompletionResponse>> {
    let cursor = params.text_document_position;
    let uri = cursor.text_document.uri;
    let session = shared.session();
    let invoked = params.context.trigger_kind == InlineCompletionTriggerKind::INVOKED;
    let Some((root, path)) = shared.locate(Feature::InlineCompletion, &uri) else {
        return Ok(None);
    };

    let start = shared.documents.with(&uri, |document| {
        let offset = documents::offset(&document.text, cursor.position, session.encoding);
        start(document, cursor.position, offset, invoked)
    });
    let question = match start {
        None => return Ok(None),
        Some(Start::Answer(item)) => return Ok(Some(list(vec![item]))),
        Some(Start::Ask(question)) => question,
    };
    let at = from_proto::at(path, cursor.position, session.encoding);
    let Some(suggestion) = ask(shared, &uri, root.clone(), at, question).await? else {
        return Ok(Some(list(Vec::new())));
    };
    let range = shared.convert(root, {
        let replace = suggestion.replace.clone();
        move |places| places.range(&replace)
    });
    let item = item(suggestion.id, suggestion.text, single_line(range.await?, cursor.position));
    Ok(Some(list(vec![item])))
}

/// Asks for what comes behind an accepted suggestion before the editor does: it is there, or most of
/// its prompt is read, when the user types on.
pub(crate) fn prefetch(shared: &Arc<Shared>, accepted: u64) {
    let found = shared.documents.find_map(|document| {
        let offset = document.inline.end_of(accepted, &document.text)?;
        ahead(document, offset, Duration::ZERO)
    });
    if let Some((uri, question)) = found {
        ask_ahead(shared, uri, question);
    }
}

/// The cursor rests: what a suggestion there looks at is read before the first key is pressed.
pub(crate) fn prepare(shared: &Arc<Shared>, uri: Uri, cursor: Position) {
    let session = shared.session();
    if !session.options().prepare {
        return;
    }
    let question = shared.documents.with(&uri, |document| {
        let offset = documents::offset(&document.text, cursor, session.encoding);
        let is_there = document.inline.shown.as_ref().is_some_and(|shown| {
            shown.offset == offset && Arc::ptr_eq(&shown.text, &document.text)
        });
        if is_there { None } else { ahead(document, offset, REST) }
    });
    if let Some(question) = question.flatten() {
        ask_ahead(shared, uri, question);
    }
}

/// A question that nobody has asked yet. The editor's own supersedes it, and comes first if it is there.
fn ahead(document: &mut Document, offset: usize, debounce: Duration) -> Option<Question> {
    if document.inline.is_asking() && !document.inline.is_ahead {
        return None;
    }
    let (number, superseded) = document.inline.begin();
    document.inline.is_ahead = true;
    let (version, text) = (document.version, Arc::clone(&document.text));
    let invoked = false;
    Some(Question { number, superseded, debounce, invoked, version, text, offset })
}

fn ask_ahead(shared: &Arc<Shared>, uri: Uri, question: Question) {
    let Some((root, path)) = shared.locate(Feature::InlineCompletion, &uri) else { return };
    let before = &question.text[..question.offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let at = At {
        path,
        line: before.matches('\n').count() as u32,
        column: (before.len() - line_start) as u32,
        encoding: Encoding::Utf8,
    };
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(err) = ask(&shared, &uri, root, at, question).await {
            tracing::debug!(%err, "not asked ahead");
        }
    });
}

/// The daemon's suggestion, if it is worth showing; kept for typing along.
async fn ask(
    shared: &Arc<Shared>,
    uri: &Uri,
    root: PathBuf,
    at: At,
    question: Question,
) -> Result<Option<Suggestion>> {
    let Question { number, superseded, debounce, invoked, version, text, offset } = question;
    let options = shared.session().options();
    let method = Method::Complete {
        at,
        preset: options.preset,
        budget_tokens: options.budget_tokens(),
        max_tokens: options.max_tokens(),
        with_context: true,
        multi_line: true,
        use_model: true,
    };
    let deadline_ms = if invoked { INVOKED_DEADLINE_MS } else { AUTOMATIC_DEADLINE_MS };
    let answer = async {
        if !debounce.is_zero() {
            tokio::time::sleep(debounce).await;
            let current = shared.documents.view(uri).map(|document| document.version);
            if current != Some(version) {
                return Err(Error::content_modified());
            }
        }
        shared.ask_within(root, deadline_ms, method).await
    };
    let answer = tokio::select! {
        biased;
        _ = superseded => return Err(Error::content_modified()),
        answer = answer => answer?,
    };
    let Some(Answer::Suggestion(Some(suggestion))) = answer else { return Ok(None) };
    if suggestion.text.is_empty() || (!invoked && is_doubtful(&suggestion, options.min_confidence))
    {
        return Ok(None);
    }
    // Keep it even if the user typed on: the next request may find itself typing along.
    let kept = Shown { text, offset, suggestion: suggestion.clone() };
    let is_current = shared.documents.with(uri, |document| {
        let is_newest = document.inline.newest == number;
        if is_newest {
            document.inline.shown = Some(kept);
        }
        is_newest && document.version == version
    });
    if is_current == Some(true) { Ok(Some(suggestion)) } else { Err(Error::content_modified()) }
}

/// True if the model is less sure of its own words than the user wants to see unasked.
fn is_doubtful(suggestion: &Suggestion, min_confidence: f32) -> bool {
    suggestion.logprob.is_some_and(|logprob| logprob.exp() < min_confidence)
}

fn start(document: &mut Document, cursor: Position, offset: usize, invoked: bool) -> Start {
    let (number, superseded) = document.inline.begin();
    let debounce = if invoked { Duration::ZERO } else { document.inline.debounce() };
    if !invoked && let Some((id, text)) = document.inline.remaining(&document.text, offset) {
        return Start::Answer(item(id, text, Range::new(cursor, cursor)));
    }
    let (version, text) = (document.version, Arc::clone(&document.text));
    Start::Ask(Question { number, superseded, debounce, invoked, version, text, offset })
}

/// The protocol wants the range on one line.
fn single_line(range: Range, cursor: Position) -> Range {
    let fits = range.start.line == cursor.line
        && range.end.line == cursor.line
        && range.start <= cursor
        && cursor <= range.end;
    if fits { range } else { Range::new(cursor, cursor) }
}

fn item(id: u64, text: String, range: Range) -> InlineCompletionItem {
    InlineCompletionItem {
        insert_text: text,
        filter_text: None,
        range: Some(range),
        command: Some(Command {
            title: "Suggestion accepted".to_owned(),
            command: ext::ACCEPTED_COMMAND.to_owned(),
            arguments: Some(vec![id.into()]),
        }),
        insert_text_format: None,
    }
}

fn list(items: Vec<InlineCompletionItem>) -> InlineCompletionResponse {
    InlineCompletionResponse::List(InlineCompletionList { items })
}

#[cfg(test)]
mod tests {
    use fovea_api::{CompletionSource, Location, PlanView, Timings};

    use super::*;

    fn shown(before: &str, after: &str, suggestion: &str) -> Shown {
        let at = before.len() as u32;
        Shown {
            text: format!("{before}{after}").into(),
            offset: before.len(),
            suggestion: Suggestion {
                id: 1,
                text: suggestion.to_owned(),
                replace: Location {
                    path: "a.py".to_owned(),
                    start_line: 0,
                    start_column: 0,
                    end_line: 0,
                    end_column: 0,
                    start_byte: at,
                    end_byte: at,
                },
                source: CompletionSource::Model,
                notice: None,
                logprob: None,
                plan: PlanView::default(),
                timings: Timings::default(),
            },
        }
    }

    #[test]
    fn typing_along_leaves_the_rest() {
        let shown = shown("x = ", "\ny\n", "load(é)");
        let remaining = |text: &str, offset| shown.remaining(text, offset).map(|(_, left)| left);
        assert_eq!(remaining("x = lo\ny\n", 6).as_deref(), Some("ad(é)"));
        assert_eq!(remaining("x = load(é\ny\n", 11).as_deref(), Some(")"));
        // Typed to its end, typed something else, changed elsewhere, deleted.
        assert_eq!(remaining("x = load(é)\ny\n", 12), None);
        assert_eq!(remaining("x = la\ny\n", 6), None);
        assert_eq!(remaining("x = lo\nz\n", 6), None);
        assert_eq!(remaining("x =\ny\n", 3), None);
    }
}

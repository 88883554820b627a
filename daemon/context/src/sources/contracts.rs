//! Contracts: what the names at the cursor promise. Signatures, fields, variants, members, and the
//! first sentence of the documentation; never whole bodies.

use fovea_indexer::{
    Language, SymbolId,
    facts::{SymbolFacts, SymbolKind},
    graph::Certainty,
};

use super::{Scene, words::Query};
use crate::{lex, pack::Proposal, plan::Source};

/// Member lines of one contract.
const MAX_MEMBERS: usize = 14;
/// Contracts of names in focus.
const MAX_IMPORTS: usize = 10;
/// Bytes of one signature.
const MAX_SIGNATURE: usize = 400;

/// Contracts of the symbols in focus that the prompt does not show.
pub(crate) fn imports(scene: &Scene<'_>) -> Vec<Proposal> {
    let graph = scene.snapshot.graph();
    let receiver: Vec<SymbolId> = scene.offers.receiver.iter().map(|c| c.symbol).collect();
    scene
        .focus
        .iter()
        .filter(|focus| !receiver.contains(&focus.symbol))
        .filter(|focus| graph.symbol(focus.symbol).is_some_and(|symbol| is_contract(symbol.kind)))
        .take(MAX_IMPORTS)
        .filter_map(|focus| {
            let sure = match focus.certainty {
                Certainty::Exact => 1.0,
                Certainty::Inferred => 0.8,
                Certainty::NameOnly => 0.35,
            };
            let reason = format!("`{}` is named near the cursor", focus.name);
            proposal(scene, focus.symbol, Source::Imports, reason, 0.55 * focus.weight * sure)
        })
        .collect()
}

/// The receiver's type with its members.
pub(crate) fn receiver(scene: &Scene<'_>) -> Vec<Proposal> {
    scene
        .offers
        .receiver
        .iter()
        .take(2)
        .filter_map(|candidate| {
            let name = &scene.snapshot.graph().symbol(candidate.symbol)?.name;
            let reason = format!("the receiver at the cursor is a `{name}`");
            proposal(scene, candidate.symbol, Source::Receiver, reason, 0.9)
        })
        .collect()
}

/// The signature of the call that is being written: the name before the innermost open parenthesis.
pub(crate) fn callee(scene: &Scene<'_>) -> Vec<Proposal> {
    let Some(name) = open_call(scene.request.prefix(), scene.language) else { return Vec::new() };
    scene
        .focus
        .iter()
        .find(|focus| focus.name == name)
        .and_then(|focus| {
            let reason = format!("the call of `{name}` is being written");
            proposal(scene, focus.symbol, Source::Callee, reason, 0.9)
        })
        .into_iter()
        .collect()
}

/// Signatures of the class or trait around the cursor that the window does not show: the bases of
/// the enclosing type, and its own members when the window is cut.
pub(crate) fn enclosing(scene: &Scene<'_>) -> Vec<Proposal> {
    let Some(file) = scene.file else { return Vec::new() };
    let cursor = scene.request.cursor() as u32;
    let Some(index) = scene.facts.symbols.iter().rposition(|symbol| {
        symbol.enclosing_range.start < cursor
            && cursor <= symbol.enclosing_range.end
            && is_type(symbol.kind)
    }) else {
        return Vec::new();
    };
    let symbol = SymbolId { file, index: index as u32 };
    let name = &scene.facts.symbols[index].name;
    let mut proposals = Vec::new();
    let hierarchy = scene.snapshot.graph().hierarchy(symbol, scene.cancel());
    for base in hierarchy.supers.iter().take(2) {
        let reason = format!("`{name}` extends it");
        proposals.extend(proposal(scene, base.symbol, Source::Enclosing, reason, 0.5));
    }
    if scene.facts.symbols[index].enclosing_range.start < scene.shown.start {
        let reason = format!("the cursor is in `{name}`, which begins above the window");
        proposals.extend(proposal(scene, symbol, Source::Enclosing, reason, 0.6));
    }
    proposals
}

/// The contract of `symbol` as a proposal; `None` if its file cannot be read, or if the prompt
/// shows the definition anyway.
fn proposal(
    scene: &Scene<'_>,
    symbol: SymbolId,
    source: Source,
    reason: String,
    value: f32,
) -> Option<Proposal> {
    let facts = scene.facts_of(symbol.file)?.symbols.get(symbol.index as usize)?;
    let is_shown = Some(symbol.file) == scene.file && scene.shown.covers(facts.signature_range);
    if is_shown && source != Source::Enclosing {
        return None;
    }
    let text = contract(scene, symbol, &scene.query)?;
    let lines = scene.lines(symbol.file)?;
    let first = lines.line_of(facts.signature_range.start);
    Some(Proposal {
        source,
        path: scene.snapshot.path(symbol.file).to_owned(),
        // Put together from several places: it must not hide a snippet of the same item.
        range: None,
        lines: (first, lines.line_of(facts.signature_range.end) + 1),
        reason,
        text,
        value,
    })
}

/// Signature, first sentence of the documentation, and the members closest to `words`.
pub(crate) fn contract(scene: &Scene<'_>, symbol: SymbolId, words: &Query) -> Option<String> {
    let facts = scene.facts_of(symbol.file)?;
    let item = facts.symbols.get(symbol.index as usize)?;
    let text = scene.text(symbol.file)?;
    let language = facts.language;
    let mut out = String::new();
    if let Some(parent) = item.parent.and_then(|parent| facts.symbols.get(parent as usize))
        && is_type(parent.kind)
    {
        out.push_str(&signature(&text, parent, language));
        out.push('\n');
    }
    let indent = if out.is_empty() { "" } else { "    " };
    out.push_str(indent);
    out.push_str(&signature(&text, item, language));
    if !is_type(item.kind) {
        if language == Language::Python && item.kind != SymbolKind::Constant {
            out.push_str(" ...");
        }
        out.push('\n');
        return Some(out);
    }
    out.push('\n');
    let mut members: Vec<(usize, String, usize)> = Vec::new();
    for offer in scene.snapshot.graph().members(symbol) {
        let Some(id) = offer.symbol else { continue };
        let Some(member) =
            scene.facts_of(id.file).and_then(|facts| facts.symbols.get(id.index as usize))
        else {
            continue;
        };
        let Some(member_text) = scene.text(id.file) else { continue };
        let line = signature(&member_text, member, language);
        let common = words.n_shared(&line) * 4 + usize::from(member.is_public);
        let near = 8_usize.saturating_sub(offer.distance as usize * 4);
        members.push((common + near, line, members.len()));
    }
    if members.len() > MAX_MEMBERS {
        members.sort_by(|a, b| b.0.cmp(&a.0).then(a.2.cmp(&b.2)));
        members.truncate(MAX_MEMBERS);
        members.sort_by_key(|member| member.2);
    }
    for (_, line, _) in members {
        out.push_str(indent);
        out.push_str("    ");
        out.push_str(&line);
        if language == Language::Python && line.contains("def ") {
            out.push_str(" ...");
        }
        out.push('\n');
    }
    Some(out)
}

/// The signature on one line, without what opens the body.
pub(crate) fn signature(text: &str, symbol: &SymbolFacts, language: Language) -> String {
    let range = symbol.signature_range;
    let range = if range.is_empty() { symbol.name_range } else { range };
    let source = range.slice(text);
    let mut line = String::with_capacity(source.len());
    for word in source.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > MAX_SIGNATURE {
            break;
        }
    }
    let is_function = matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method);
    let cut = match language {
        Language::Rust if is_function || is_type(symbol.kind) => {
            line.trim_end_matches([' ', '{', ';']).to_owned()
        }
        _ => line,
    };
    if language == Language::Rust && is_function { format!("{cut};") } else { cut }
}

fn is_contract(kind: SymbolKind) -> bool {
    !matches!(
        kind,
        SymbolKind::Parameter
            | SymbolKind::TypeParameter
            | SymbolKind::Module
            | SymbolKind::Heading
            | SymbolKind::Variable
    )
}

pub(crate) fn is_type(kind: SymbolKind) -> bool {
    matches!(
        kind,
        SymbolKind::Class
            | SymbolKind::Struct
            | SymbolKind::Enum
            | SymbolKind::Union
            | SymbolKind::Trait
            | SymbolKind::Interface
            | SymbolKind::Impl
    )
}

/// The name in front of the innermost parenthesis that is still open, within the last lines.
pub(crate) fn open_call(prefix: &str, language: Language) -> Option<&str> {
    let start = prefix.len().saturating_sub(2_000);
    let start = (start..=prefix.len()).find(|&at| prefix.is_char_boundary(at))?;
    let tail = &prefix[start..];
    let mut open: Vec<usize> = Vec::new();
    lex::Scanner::new(language).scan(tail, |at, _, seen| {
        match seen {
            lex::Seen::Open => open.push(at),
            lex::Seen::Close => drop(open.pop()),
            _ => {}
        }
        true
    });
    let at = *open.last().filter(|&&at| tail[at..].starts_with('('))?;
    let before = tail[..at].trim_end_matches('!');
    let name = lex::trailing_identifier(before);
    (!name.is_empty() && !lex::is_keyword(language, name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_open_call_counts() {
        let call = |text| open_call(text, Language::Rust);
        assert_eq!(call("f(a, g(b, "), Some("g"));
        assert_eq!(call("f(a, g(b), "), Some("f"));
        assert_eq!(call("f(a, [1, "), None);
        assert_eq!(call("if ("), None);
        assert_eq!(call("let x = 1"), None);
        assert_eq!(call("s.starts_with(\"(\") && h("), Some("h"));
    }
}

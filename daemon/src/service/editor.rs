//! Questions only editors ask: types, hierarchies, signatures, renaming, ranges of the syntax tree.

use fovea_api::{
    Answer, ApiError, At, FoldView, HierarchyView, Location, RenameView, SignatureView,
};
use fovea_indexer::{
    Language,
    facts::{Role, SymbolKind},
    graph::{Candidate, Certainty, FileRange},
    parse::ranges,
    text::{ByteRange, LineIndex},
};

use super::{query::Query, views::location};

type Result<T> = std::result::Result<T, ApiError>;

/// References a rename will change at most: more than anybody reviews.
const MAX_RENAMED: usize = 10_000;

/// Uncertain references that a refusal names.
const N_NAMED: usize = 3;

impl Query<'_> {
    /// Where the type of what is at the cursor is defined; of a type, the type itself.
    pub(super) fn type_definition(&self, at: &At) -> Result<Answer> {
        let Some(of) = self.symbol_at(at)? else { return Ok(no_definitions()) };
        let graph = self.snapshot.graph();
        let mut types = graph.type_of(of.symbol);
        if types.is_empty() && graph.symbol(of.symbol).is_some_and(|symbol| is_type(symbol.kind)) {
            types.push(of);
        }
        Ok(Answer::Definitions { symbols: self.symbols(&types), external: None })
    }

    /// Where a method is declared first: in the outermost base or trait; else the definition.
    pub(super) fn declaration(&self, at: &At) -> Result<Answer> {
        let Some(of) = self.symbol_at(at)? else { return Ok(no_definitions()) };
        let graph = self.snapshot.graph();
        let of_type = graph.symbol(of.symbol).is_some_and(|symbol| is_type(symbol.kind));
        let mut top = of;
        // Bases of bases; a cycle in broken code ends here as well.
        for _ in 0..if of_type { 0 } else { 16 } {
            match graph.hierarchy(top.symbol, &self.cancel).supers.first() {
                Some(base) if base.symbol != top.symbol => {
                    top = Candidate {
                        symbol: base.symbol,
                        certainty: top.certainty.min(base.certainty),
                    };
                }
                _ => break,
            }
        }
        Ok(Answer::Definitions { symbols: self.symbols(&[top]), external: None })
    }

    pub(super) fn hierarchy(&self, at: &At) -> Result<Answer> {
        let Some(of) = self.symbol_at(at)? else { return Ok(Answer::Hierarchy(None)) };
        let hierarchy = self.snapshot.graph().hierarchy(of.symbol, &self.cancel);
        let view = self.views().symbol(of.symbol, of.certainty).map(|of| HierarchyView {
            of,
            supers: self.symbols(&hierarchy.supers),
            subs: self.symbols(&hierarchy.subs),
        });
        Ok(Answer::Hierarchy(view))
    }

    /// The signature of the call that is being written at the cursor.
    pub(super) fn signature(&self, at: &At) -> Result<Answer> {
        let place = self.place(at)?;
        let Some((name_end, n_before)) = ranges::call_at(&place.text, place.offset) else {
            return Ok(Answer::Signature(None));
        };
        let Some(file) = place.file else { return Ok(Answer::Signature(None)) };
        // The name's last character: behind it stands a bracket that could belong to another name.
        let position = fovea_indexer::graph::FilePosition { file, offset: name_end };
        let resolution = self.snapshot.graph().resolve(position);
        let views = self.views();
        let found = resolution.candidates.first().and_then(|candidate| {
            let symbol = self.callee(*candidate);
            views.symbol(symbol.symbol, symbol.certainty)
        });
        let Some(mut symbol) = found else { return Ok(Answer::Signature(None)) };
        if symbol.signature.is_empty() {
            symbol.signature.clone_from(&symbol.name);
        }
        let parameters = parameters(&symbol.signature);
        Ok(Answer::Signature(Some(SignatureView { symbol, parameters, active: n_before })))
    }

    /// A call of a class calls its constructor.
    fn callee(&self, candidate: Candidate) -> Candidate {
        let graph = self.snapshot.graph();
        if !graph.symbol(candidate.symbol).is_some_and(|symbol| is_type(symbol.kind)) {
            return candidate;
        }
        let members = graph.members(candidate.symbol);
        let constructor = members.into_iter().find(|member| member.name == "__init__");
        let Some((symbol, member)) = constructor.and_then(|m| Some((m.symbol?, m))) else {
            return candidate;
        };
        Candidate { symbol, certainty: candidate.certainty.min(member.certainty) }
    }

    /// What a rename at the cursor would change, or why it will not.
    pub(super) fn rename(&self, at: &At, new_name: Option<&str>) -> Result<Answer> {
        let place = self.place(at)?;
        let Some(file) = place.file else { return Ok(Answer::Rename(None)) };
        let position = fovea_indexer::graph::FilePosition { file, offset: place.offset };
        let graph = self.snapshot.graph();
        let resolution = graph.resolve(position);
        let (Some(here), Some(of)) = (resolution.at, resolution.candidates.first().copied()) else {
            return Ok(Answer::Rename(None));
        };
        let views = self.views();
        let Some(symbol) = views.symbol(of.symbol, of.certainty) else {
            return Ok(Answer::Rename(None));
        };
        let mut view = RenameView {
            at: views.location(here.file, here.range),
            of: symbol,
            edits: Vec::new(),
            refused: None,
        };
        let refuse = |mut view: RenameView, why: String| {
            view.refused = Some(why);
            Ok(Answer::Rename(Some(view)))
        };
        let name = view.of.name.clone();
        if resolution.candidates.len() > 1 || of.certainty != Certainty::Exact {
            let why = format!("`{name}` could mean several definitions here");
            return refuse(view, why);
        }
        let language = self.snapshot.facts(file).map_or(Language::Text, |facts| facts.language);
        if let Some(new_name) = new_name
            && !is_identifier(new_name)
        {
            let why = format!("`{new_name}` is no name in {}", language.name());
            return refuse(view, why);
        }
        let references = graph.possible_references(of.symbol, &self.cancel);
        // The name under another name (an import's alias) stays as it is.
        let spelled = |reference: &fovea_indexer::graph::Reference| {
            let text = views.slice(reference.at.file, reference.at.range);
            text.strip_prefix("r#").unwrap_or(&text) == name
        };
        let references: Vec<_> = references.into_iter().filter(spelled).collect();
        let unsure: Vec<String> = references
            .iter()
            .filter(|reference| {
                let is_unsure = reference.certainty != Certainty::Exact;
                reference.role != Role::Definition && is_unsure
                    || graph.has_two_meanings(reference.at)
            })
            .map(|reference| {
                let location = views.location(reference.at.file, reference.at.range);
                format!("{}:{}", location.path, location.start_line + 1)
            })
            .collect();
        if !unsure.is_empty() {
            let why = format!(
                "{} of {} references to `{name}` are not certain ({}{}); search for them instead",
                unsure.len(),
                references.len(),
                unsure[..unsure.len().min(N_NAMED)].join(", "),
                if unsure.len() > N_NAMED { ", ..." } else { "" },
            );
            return refuse(view, why);
        }
        let own = graph.symbol(of.symbol).map(|symbol| symbol.name_range);
        let own = own.map(|range| FileRange { file: of.symbol.file, range });
        if own.is_some_and(|own| graph.has_two_meanings(own)) {
            let why = format!("`{name}` names a field as well where it is defined");
            return refuse(view, why);
        }
        if references.len() > MAX_RENAMED {
            let why = format!("`{name}` has more than {MAX_RENAMED} references");
            return refuse(view, why);
        }
        let hierarchy = graph.hierarchy(of.symbol, &self.cancel);
        let of_type = graph.symbol(of.symbol).is_some_and(|symbol| is_type(symbol.kind));
        let has_relatives = !hierarchy.supers.is_empty() || !hierarchy.subs.is_empty();
        if !of_type && has_relatives {
            let why = format!("`{name}` overrides, or is overridden by, other definitions");
            return refuse(view, why);
        }
        let mut edits: Vec<Location> = references
            .iter()
            .map(|reference| views.location(reference.at.file, reference.at.range))
            .collect();
        edits.push(view.of.location.clone());
        edits.sort_by(|a, b| (&a.path, a.start_byte).cmp(&(&b.path, b.start_byte)));
        edits.dedup();
        view.edits = edits;
        Ok(Answer::Rename(Some(view)))
    }

    pub(super) fn folds(&self, path: &str) -> Result<Answer> {
        let place = self.place(&start_of(path))?;
        let Some(language) = Language::of_path(path) else { return Ok(Answer::Folds(Vec::new())) };
        let folds = ranges::folds(language, &place.text);
        let kind = |kind| match kind {
            ranges::FoldKind::Code => "code",
            ranges::FoldKind::Comment => "comment",
            ranges::FoldKind::Imports => "imports",
        };
        Ok(Answer::Folds(
            folds
                .into_iter()
                .map(|fold| FoldView {
                    start_line: fold.lines.0,
                    end_line: fold.lines.1,
                    kind: kind(fold.kind).to_owned(),
                })
                .collect(),
        ))
    }

    /// Ranges of the syntax tree around each cursor, innermost first.
    pub(super) fn around(&self, cursors: &[At]) -> Result<Answer> {
        let around = cursors.iter().map(|at| {
            let place = self.place(at)?;
            let language = Language::of_path(&at.path).unwrap_or(Language::Text);
            let lines = LineIndex::new(&place.text);
            let ranges = ranges::around(language, &place.text, place.offset);
            let convert = |range: ByteRange| location(&at.path, &place.text, &lines, range);
            Ok(ranges.into_iter().map(convert).collect())
        });
        Ok(Answer::Around(around.collect::<Result<Vec<_>>>()?))
    }
}

fn is_type(kind: SymbolKind) -> bool {
    use SymbolKind as K;
    matches!(
        kind,
        K::Class | K::Struct | K::Enum | K::Union | K::Trait | K::Interface | K::TypeAlias
    )
}

fn no_definitions() -> Answer {
    Answer::Definitions { symbols: Vec::new(), external: None }
}

fn start_of(path: &str) -> At {
    At { path: path.to_owned(), line: 0, column: 0, encoding: fovea_api::Encoding::Utf16 }
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// The parameters of a signature on one line, without a receiver, which the call does not write.
fn parameters(signature: &str) -> Vec<String> {
    let Some(open) = signature.find('(') else { return Vec::new() };
    let mut depth = 0_i32;
    let mut parameters = Vec::new();
    let mut start = open + 1;
    for (at, c) in signature.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            // An arrow is no bracket.
            '>' if signature[..at].ends_with(['-', '=']) => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            let parameter = signature[start..at].trim();
            if !parameter.is_empty() {
                parameters.push(parameter.to_owned());
            }
            start = at + c.len_utf8();
        }
        if depth == 0 {
            break;
        }
    }
    let is_receiver = |parameter: &String| {
        let bare = parameter.trim_start_matches('&').trim_start_matches("mut ");
        let bare = bare.split_whitespace().last().unwrap_or_default();
        matches!(bare, "self" | "cls")
    };
    if parameters.first().is_some_and(is_receiver) {
        parameters.remove(0);
    }
    parameters.retain(|parameter| !matches!(parameter.as_str(), "*" | "/"));
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_split_at_their_own_commas() {
        let check = |signature: &str, expected: &[&str]| {
            assert_eq!(parameters(signature), expected, "{signature}");
        };
        check(
            "def f(self, days: int, today: dict[str, int]) -> list[Item]",
            &["days: int", "today: dict[str, int]"],
        );
        check(
            "fn f(&'a mut self, f: impl Fn(u8, u8) -> u8, x: u8)",
            &["f: impl Fn(u8, u8) -> u8", "x: u8"],
        );
        check("fn f(&self)", &[]);
        check("def f(a, *, b=(1, 2), **kw)", &["a", "b=(1, 2)", "**kw"]);
        check("class Stock", &[]);
    }

    #[test]
    fn names_are_checked() {
        assert!(is_identifier("größe_1") && is_identifier("_x"));
        assert!(!is_identifier("1x") && !is_identifier("a b") && !is_identifier(""));
    }
}

//! What one occurrence means.

use std::sync::Arc;

use super::{
    eval::{Eval, Meaning},
    facts::{Expr, ExprId, NO_SYMBOL, NameId, ParamKind, PythonFacts, ScopeId, ScopeKind, Target},
    library,
    types::{ClassId, FunctionId, Type, Types},
};
use crate::{
    FileId, Language, SymbolId,
    facts::SymbolKind,
    graph::{Candidate, Certainty, Graph, Resolution},
};

/// No ambiguity lists more.
const MAX_CANDIDATES: usize = 12;

pub(super) fn resolve(graph: &Graph, file: FileId, occurrence: usize) -> Option<Resolution> {
    let eval = Eval::new(graph);
    let facts = eval.facts(file)?;
    match *facts.targets.get(occurrence)? {
        Target::None => None,
        Target::Symbol(index) => {
            let mut answer = Answer::default();
            answer.add(SymbolId { file, index }, Certainty::Exact);
            Some(answer.finish())
        }
        Target::Expr(expr) => match facts.expr(expr) {
            Expr::Name { name, scope, at } => Some(of_name(&eval, file, scope, name, at)),
            Expr::Attr { object, name, .. } => Some(of_attribute(&eval, file, facts, object, name)),
            _ => None,
        },
        Target::Keyword { call, name } => Some(of_keyword(&eval, file, facts, call, name)),
        Target::Module { import, depth } => {
            let mut answer = Answer::default();
            if let Some(meaning) = eval.import_module(file, import, depth as usize) {
                answer.meaning(&eval, meaning, Certainty::Exact);
            }
            Some(answer.finish())
        }
        Target::Imported(import) => {
            let mut answer = Answer::default();
            if let Some(meaning) = eval.imported(file, import) {
                answer.meaning(&eval, meaning, Certainty::Exact);
            }
            Some(answer.finish())
        }
        Target::Attribute { class, name } => {
            let mut answer = Answer::default();
            for object in eval.instances(file, class) {
                answer.member(&eval, &object, facts.name(name), Certainty::Inferred);
            }
            Some(answer.finish())
        }
    }
}

/// Collects candidates, best first, each once.
#[derive(Default)]
pub(super) struct Answer {
    candidates: Vec<Candidate>,
    external: Option<Arc<str>>,
}

impl Answer {
    pub(super) fn add(&mut self, symbol: SymbolId, certainty: Certainty) {
        let is_known = self.candidates.iter().any(|known| known.symbol == symbol);
        if !is_known && self.candidates.len() < MAX_CANDIDATES {
            self.candidates.push(Candidate { symbol, certainty });
        }
    }

    pub(super) fn meaning<'g>(
        &mut self,
        eval: &Eval<'g>,
        meaning: Meaning<'g>,
        certainty: Certainty,
    ) {
        for meaning in eval.follow(meaning) {
            match meaning {
                Meaning::Bound { file, bindings, certainty: bound } => {
                    for binding in bindings.iter().filter(|binding| binding.symbol != NO_SYMBOL) {
                        let symbol = SymbolId { file, index: binding.symbol };
                        self.add(symbol, certainty.min(bound));
                    }
                }
                // The module's own symbol is the first of its file.
                Meaning::Module(file) => self.add(SymbolId { file, index: 0 }, certainty),
                Meaning::External(path) => {
                    self.external.get_or_insert(path);
                }
                Meaning::Folder(_) => {}
            }
        }
    }

    fn member(&mut self, eval: &Eval<'_>, object: &Type, name: &str, certainty: Certainty) -> bool {
        let found = eval.members(object, name);
        let is_found = !found.is_empty();
        for (meaning, _) in found {
            self.meaning(eval, meaning, certainty);
        }
        is_found
    }

    pub(super) fn finish(self) -> Resolution {
        let external = self.external.filter(|_| self.candidates.is_empty());
        Resolution {
            at: None,
            candidates: self.candidates,
            external: external.map(|path| path.as_ref().to_owned()),
        }
    }
}

fn of_name(eval: &Eval<'_>, file: FileId, scope: ScopeId, name: NameId, at: u32) -> Resolution {
    let mut answer = Answer::default();
    let found = eval.lookup(file, scope, name, at);
    // An annotation may name what is defined further down in a class body.
    if let Some(meaning) = found.or_else(|| eval.lookup(file, scope, name, u32::MAX)) {
        // `__name__`, `__file__` and their like belong to the module itself.
        let is_module = matches!(&meaning, Meaning::External(path)
            if path.strip_prefix("builtins.").is_some_and(library::is_module_attribute));
        match is_module {
            true => answer.add(SymbolId { file, index: 0 }, Certainty::Exact),
            false => answer.meaning(eval, meaning, Certainty::Exact),
        }
    }
    answer.finish()
}

fn of_attribute(
    eval: &Eval<'_>,
    file: FileId,
    facts: &PythonFacts,
    object: ExprId,
    name: NameId,
) -> Resolution {
    let mut answer = Answer::default();
    let text = facts.name(name);
    let types = eval.types(file, object);
    let sure = certainty_of(eval, file, facts, object, &types);
    let mut is_closed = !types.is_empty();
    for ty in &types {
        let is_found = answer.member(eval, ty, text, sure);
        if is_found {
            continue;
        }
        match ty {
            Type::Instance(class, _) | Type::Class(class) | Type::Super(class) => {
                let linear = eval.linear(*class);
                match linear.external.first() {
                    Some(base) => {
                        answer.external.get_or_insert_with(|| format!("{base}.{text}").into());
                    }
                    None if linear.is_open => is_closed = false,
                    None => in_subclasses(eval, *class, text, &mut answer),
                }
            }
            Type::ExternalInstance(path, _) => {
                answer.external.get_or_insert_with(|| format!("{path}.{text}").into());
            }
            Type::Variable(..) => is_closed = false,
            _ => {}
        }
    }
    if answer.candidates.is_empty() && answer.external.is_none() && !is_closed {
        by_name(eval, file, facts, object, text, &mut answer);
    }
    answer.finish()
}

/// A mixin uses what only the classes that mix it in define.
fn in_subclasses(eval: &Eval<'_>, class: ClassId, name: &str, answer: &mut Answer) {
    for symbol in eval.graph.symbols_named(name) {
        let Some(found) = eval.graph.symbol(symbol) else { continue };
        let Some(parent) = found.parent else { continue };
        let Some(facts) = eval.facts(symbol.file) else { continue };
        let Some(super::facts::Origin::Class(index)) = facts.origins.get(parent as usize) else {
            continue;
        };
        let owner = ClassId { file: symbol.file, index: *index };
        let shares = eval.linear(owner).classes.contains(&class);
        if shares {
            answer.add(symbol, Certainty::Inferred);
        }
    }
}

/// How sure a member found through `object` is: modules, classes, `self`, `cls` and `super()` are
/// the language's own rules; other receivers are inferred.
fn certainty_of(
    eval: &Eval<'_>,
    file: FileId,
    facts: &PythonFacts,
    object: ExprId,
    types: &Types,
) -> Certainty {
    let [ty] = &types[..] else { return Certainty::Inferred };
    match ty {
        Type::Module(_) | Type::Folder(_) | Type::Class(_) | Type::Super(_) => Certainty::Exact,
        Type::Instance(class, _) => match facts.expr(object) {
            Expr::Name { scope, name, .. } => {
                let is_self = eval.enclosing_class(file, facts, scope) == Some(*class)
                    && is_first_parameter(facts, scope, name);
                if is_self { Certainty::Exact } else { Certainty::Inferred }
            }
            _ => Certainty::Inferred,
        },
        _ => Certainty::Inferred,
    }
}

fn is_first_parameter(facts: &PythonFacts, scope: ScopeId, name: NameId) -> bool {
    let mut here = scope;
    for _ in 0..facts.scopes.len() {
        let Some(scope) = facts.scope(here) else { return false };
        if scope.kind == ScopeKind::Function {
            let function = &facts.functions[scope.owner as usize];
            if function.class.is_some() {
                return function.params.first().is_some_and(|first| first.name == name);
            }
        }
        if here == ScopeId::MODULE {
            return false;
        }
        here = scope.parent;
    }
    false
}

/// The receiver's type is unknown: members of that name, those first whose class sounds like the
/// receiver or is at home in this file.
fn by_name(
    eval: &Eval<'_>,
    file: FileId,
    facts: &PythonFacts,
    object: ExprId,
    name: &str,
    answer: &mut Answer,
) {
    let receiver = match facts.expr(object) {
        Expr::Name { name, .. } | Expr::Attr { name, .. } => fold(facts.name(name)),
        Expr::Call { callee, .. } => match facts.expr(callee) {
            Expr::Name { name, .. } | Expr::Attr { name, .. } => fold(facts.name(name)),
            _ => String::new(),
        },
        _ => String::new(),
    };
    let mut scored: Vec<(i32, SymbolId)> = Vec::new();
    for symbol in eval.graph.symbols_named(name) {
        let Some(found) = eval.graph.symbol(symbol) else { continue };
        let is_member = matches!(
            found.kind,
            SymbolKind::Method | SymbolKind::Field | SymbolKind::Property | SymbolKind::Variant
        );
        let is_python =
            eval.file_facts(symbol.file).is_some_and(|facts| facts.language == Language::Python);
        if !is_member || !is_python {
            continue;
        }
        let owner = found
            .parent
            .and_then(|parent| eval.graph.symbol(SymbolId { file: symbol.file, index: parent }));
        let owner_name = owner.map(|owner| owner.name.as_str()).unwrap_or_default();
        let class = fold(owner_name);
        let mut score = 0;
        if !receiver.is_empty() && !class.is_empty() {
            if receiver == class {
                score += 60;
            } else if receiver.len() > 2
                && (class.ends_with(&receiver) || receiver.ends_with(&class))
            {
                score += 40;
            } else if receiver.len() > 2 && (class.contains(&receiver) || receiver.contains(&class))
            {
                score += 20;
            }
        }
        if facts.name_id(owner_name).is_some() {
            score += 15;
        }
        if symbol.file == file {
            score += 10;
        }
        if found.is_test && symbol.file != file {
            score -= 30;
        }
        if library::is_common_member(name) && score < 40 {
            continue;
        }
        scored.push((score, symbol));
    }
    scored.sort_by_key(|&(score, symbol)| (-score, symbol));
    for (_, symbol) in scored {
        answer.add(symbol, Certainty::NameOnly);
    }
}

/// Lower case without underscores.
fn fold(name: &str) -> String {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

/// The parameter (or data class field) that a call's keyword names.
fn of_keyword(
    eval: &Eval<'_>,
    file: FileId,
    facts: &PythonFacts,
    call: ExprId,
    name: NameId,
) -> Resolution {
    let mut answer = Answer::default();
    let Expr::Call { callee, .. } = facts.expr(call) else { return answer.finish() };
    let text = facts.name(name);
    for callee in eval.types(file, callee) {
        keyword_of(eval, &callee, text, &mut answer);
    }
    answer.finish()
}

fn keyword_of(eval: &Eval<'_>, callee: &Type, name: &str, answer: &mut Answer) {
    match callee {
        Type::Function(id, _) => {
            parameter_of(eval, *id, name, answer);
        }
        Type::Class(class) => constructor_keyword(eval, *class, name, answer),
        Type::Instance(..) => {
            for call in eval.attribute(callee, "__call__") {
                if let Type::Function(id, _) = call {
                    parameter_of(eval, id, name, answer);
                }
            }
        }
        Type::External(path) => {
            answer.external.get_or_insert_with(|| format!("{path}.{name}").into());
        }
        _ => {}
    }
}

fn parameter_of(eval: &Eval<'_>, id: FunctionId, name: &str, answer: &mut Answer) -> bool {
    let Some(facts) = eval.facts(id.file) else { return false };
    let Some(function) = facts.functions.get(id.index as usize) else { return false };
    let found = function.params.iter().find(|param| facts.name(param.name) == name);
    if let Some(param) = found {
        answer.add(SymbolId { file: id.file, index: param.symbol }, Certainty::Inferred);
        return true;
    }
    // `**kwargs: Unpack[Options]`: the keys of the typed dictionary.
    let unpacked = function.params.iter().find(|param| param.kind == ParamKind::Kwargs);
    let Some(unpacked) = unpacked.map(|param| param.annotation) else { return false };
    let Expr::Subscript { object, index } = facts.expr(unpacked) else { return false };
    let (Expr::Name { name: wrapper, .. } | Expr::Attr { name: wrapper, .. }) = facts.expr(object)
    else {
        return false;
    };
    facts.name(wrapper) == "Unpack"
        && eval
            .instances(id.file, index)
            .iter()
            .any(|options| answer.member(eval, options, name, Certainty::Inferred))
}

fn constructor_keyword(eval: &Eval<'_>, class: ClassId, name: &str, answer: &mut Answer) {
    for &class in &eval.linear(class).classes {
        let Some(facts) = eval.facts(class.file) else { continue };
        let (mut is_written, mut takes_all) = (false, false);
        for method in ["__init__", "__new__"] {
            for binding in eval.own_member(class, method).unwrap_or_default() {
                if let Expr::Function(index) = facts.expr(binding.value) {
                    let id = FunctionId { file: class.file, index };
                    if parameter_of(eval, id, name, answer) {
                        return;
                    }
                    takes_all |= facts.functions.get(index as usize).is_some_and(|function| {
                        function.params.iter().any(|param| param.kind == ParamKind::Kwargs)
                    });
                    is_written = true;
                }
            }
        }
        // A constructor that is written out takes what it lists, or passes the rest upward.
        if is_written {
            if takes_all {
                continue;
            }
            return;
        }
        // Data classes, named tuples, models: the annotated names of the body.
        for binding in eval.own_member(class, name).unwrap_or_default() {
            if !binding.annotation.is_none() && binding.symbol != NO_SYMBOL {
                let symbol = SymbolId { file: class.file, index: binding.symbol };
                answer.add(symbol, Certainty::Inferred);
                return;
            }
        }
    }
}

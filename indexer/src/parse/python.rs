//! Python: one cursor walk from a syntax tree to symbols, occurrences and resolver facts.
//!
//! The walk is an explicit stack of [`Frame`]s over a tree cursor, so nesting depth costs memory
//! and never the call stack. Expressions are built from the inside out: a node that is left takes
//! the [`Value`]s of its children off one value stack and leaves its own there.

mod annotation;
mod definitions;
mod draft;
mod expressions;
mod kinds;

use rustc_hash::FxHashMap;
use tree_sitter::{Node, Tree};

use self::{
    draft::{finish, first_sentence},
    kinds::{F, GRAMMAR, K},
};
use super::{Extracted, module_symbol};
use crate::{
    facts::{OccurrenceFacts, Role, SymbolFacts, SymbolKind},
    graph::python::facts::{
        Binding, Builtin, Class, Expr, ExprId, Function, Import, ListId, NO_SYMBOL, NameId, Narrow,
        Origin, Param, PythonFacts, Scope, ScopeId, ScopeKind, Target,
    },
    text::ByteRange,
};

/// Values kept of one display, call or union; the rest is not looked at.
const MAX_LIST: usize = 64;

/// Reads everything that `text`, parsed as `tree`, says about names.
pub(crate) fn extract(text: &str, tree: &Tree) -> Extracted {
    let mut walk = Walk::new(text);
    walk.run(tree);
    finish(walk)
}

/// No occurrence.
const NO_OCCURRENCE: u32 = u32::MAX;

/// What a node that was left stands for.
#[derive(Clone, Copy)]
struct Value {
    kind: K,
    field: F,
    range: ByteRange,
    expr: ExprId,
    /// A second expression: the annotation of a parameter.
    second: ExprId,
    /// The identifier itself, or the name of a parameter or keyword.
    name: Option<NameId>,
    name_at: u32,
    occurrence: u32,
    /// A suite whose last statement does not come back.
    leaves: bool,
    /// The scope that the node stands in.
    scope: ScopeId,
}

/// A node that was entered and not yet left.
struct Frame {
    kind: K,
    field: F,
    range: ByteRange,
    /// First of its children on the value stack.
    values: usize,
    /// The scope the node stands in, and the one its body opens.
    scope: ScopeId,
    inner: ScopeId,
    /// The innermost definition around the children.
    symbol: u32,
    /// Function or class index.
    owner: u32,
    /// The operator of a binary or boolean expression, `async` of a loop.
    operator: Operator,
    occurrences: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    None,
    Async,
    And,
    Or,
    Pipe,
    /// The special method that the operator calls.
    Method(&'static str),
}

struct Walk<'t> {
    text: &'t str,
    facts: PythonFacts,
    interned: FxHashMap<&'t str, NameId>,
    owned: FxHashMap<String, NameId>,
    symbols: Vec<SymbolFacts>,
    occurrences: Vec<OccurrenceFacts>,
    frames: Vec<Frame>,
    values: Vec<Value>,
    /// The symbol of a name bound in a scope.
    bound: FxHashMap<(ScopeId, NameId), u32>,
    /// `(new name, old name)` of renaming imports.
    aliases: Vec<(String, String)>,
    doc: Option<String>,
    n_syntax_errors: u32,
}

impl<'t> Walk<'t> {
    fn new(text: &'t str) -> Self {
        let module = Scope {
            kind: ScopeKind::Module,
            parent: ScopeId::MODULE,
            owner: 0,
            range: ByteRange::new(0, text.len() as u32),
            bindings: Vec::new(),
            stars: Vec::new(),
            outer: Vec::new(),
        };
        Self {
            text,
            facts: PythonFacts {
                exprs: vec![Expr::Unknown],
                scopes: vec![module],
                origins: vec![Origin::Module],
                ..PythonFacts::default()
            },
            interned: FxHashMap::default(),
            owned: FxHashMap::default(),
            symbols: vec![module_symbol()],
            occurrences: Vec::new(),
            frames: Vec::new(),
            values: Vec::new(),
            bound: FxHashMap::default(),
            aliases: Vec::new(),
            doc: None,
            n_syntax_errors: 0,
        }
    }

    fn run(&mut self, tree: &Tree) {
        let mut cursor = tree.walk();
        loop {
            let node = cursor.node();
            if node.is_named() {
                let kind = GRAMMAR.kind(node.kind_id());
                let field = GRAMMAR.field(cursor.field_id());
                if node.is_error() || node.is_missing() {
                    self.n_syntax_errors += 1;
                }
                if self.enter(node, kind, field) {
                    if cursor.goto_first_child() {
                        continue;
                    }
                    self.leave();
                }
            } else if node.is_missing() {
                self.n_syntax_errors += 1;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
                self.leave();
            }
        }
    }

    /// Starts a node; true if its children are to be walked.
    fn enter(&mut self, node: Node<'_>, kind: K, field: F) -> bool {
        let range = range_of(node);
        let (scope, symbol) = self.context(field);
        match kind {
            K::Comment | K::StringPart => return false,
            K::Identifier => {
                self.identifier(range, field, scope, symbol);
                return false;
            }
            K::Import | K::ImportFrom | K::FutureImport => {
                self.import(node, kind, scope, symbol);
                return false;
            }
            K::Global | K::Nonlocal => {
                self.outer_names(node, kind == K::Global, scope, symbol);
                return false;
            }
            K::Integer | K::Float | K::Bool | K::None => {
                let literal = match kind {
                    K::Integer => Builtin::Int,
                    K::Float => Builtin::Float,
                    K::Bool => Builtin::Bool,
                    _ => Builtin::None,
                };
                let expr = self.expr(Expr::Literal(literal));
                self.push(kind, field, range, expr, scope);
                return false;
            }
            _ => {}
        }
        let mut frame = Frame {
            kind,
            field,
            range,
            values: self.values.len(),
            scope,
            inner: scope,
            symbol,
            owner: NO_SYMBOL,
            operator: Operator::None,
            occurrences: self.occurrences.len(),
        };
        match kind {
            K::Function => self.enter_function(node, &mut frame),
            K::Class => self.enter_class(node, &mut frame),
            K::Lambda => {
                frame.inner = self.open(ScopeKind::Lambda, scope, NO_SYMBOL, range);
            }
            K::ListComprehension | K::SetComprehension | K::DictComprehension | K::Generator => {
                frame.inner = self.open(ScopeKind::Comprehension, scope, NO_SYMBOL, range);
            }
            K::Binary | K::Boolean => frame.operator = operator(node),
            K::For | K::ForIn | K::WithItem => {
                // `async with` says so on the statement, two levels up.
                let at = if kind == K::WithItem {
                    node.parent().and_then(|clause| clause.parent())
                } else {
                    Some(node)
                };
                if at.and_then(|node| node.child(0)).is_some_and(|first| first.kind() == "async") {
                    frame.operator = Operator::Async;
                }
            }
            K::Block
                if field == F::Body
                    && self.frames.last().is_some_and(|parent| parent.kind == K::For) =>
            {
                self.begin_loop();
            }
            K::Module => self.doc = self.docstring(node),
            _ => {}
        }
        self.frames.push(frame);
        true
    }

    /// The scope and the enclosing symbol for a child in `field` of the innermost frame.
    fn context(&self, field: F) -> (ScopeId, u32) {
        let Some(frame) = self.frames.last() else { return (ScopeId::MODULE, NO_SYMBOL) };
        let scope = match frame.kind {
            K::Function | K::Class | K::Lambda if field == F::Body => frame.inner,
            K::ListComprehension | K::SetComprehension | K::DictComprehension | K::Generator => {
                frame.inner
            }
            // The first iterable is evaluated outside.
            K::ForIn if field == F::Right => {
                let scope = &self.facts.scopes[frame.scope.0 as usize];
                if scope.kind == ScopeKind::Comprehension && scope.bindings.is_empty() {
                    scope.parent
                } else {
                    frame.scope
                }
            }
            _ => frame.scope,
        };
        (scope, frame.symbol)
    }

    /// A leaf: one occurrence, whose meaning its parent decides.
    fn identifier(&mut self, range: ByteRange, field: F, scope: ScopeId, symbol: u32) {
        let name = self.intern(range);
        if field == F::Name
            && let Some(frame) = self.frames.last()
            && matches!(frame.kind, K::Function | K::Class)
            && frame.owner != NO_SYMBOL
        {
            let own = frame.symbol;
            let around = self.symbols[own as usize].parent.unwrap_or(NO_SYMBOL);
            self.occurrence(range, Role::Definition, around, Target::Symbol(own));
            return;
        }
        let occurrence = self.occurrence(range, Role::Reference, symbol, Target::None);
        self.values.push(Value {
            kind: K::Identifier,
            field,
            range,
            expr: ExprId::NONE,
            second: ExprId::NONE,
            name: Some(name),
            name_at: range.start,
            occurrence,
            leaves: false,
            scope,
        });
    }

    /// Ends the innermost frame.
    fn leave(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let value = self.build(&frame);
        self.values.truncate(frame.values);
        self.values.push(value);
    }

    fn push(&mut self, kind: K, field: F, range: ByteRange, expr: ExprId, scope: ScopeId) {
        self.values.push(Value {
            kind,
            field,
            range,
            expr,
            second: ExprId::NONE,
            name: None,
            name_at: range.start,
            occurrence: NO_OCCURRENCE,
            leaves: false,
            scope,
        });
    }

    fn expr(&mut self, expr: Expr) -> ExprId {
        self.facts.exprs.push(expr);
        ExprId(self.facts.exprs.len() as u32 - 1)
    }

    fn list(&mut self, items: &[ExprId]) -> ListId {
        let items = &items[..items.len().min(MAX_LIST)];
        let start = self.facts.lists.len() as u32;
        self.facts.lists.extend_from_slice(items);
        ListId { start, len: items.len() as u32 }
    }

    fn intern(&mut self, range: ByteRange) -> NameId {
        let text: &'t str = self.text.get(range.span()).unwrap_or("");
        self.intern_text(text)
    }

    fn intern_text(&mut self, text: &'t str) -> NameId {
        if let Some(&name) = self.interned.get(text) {
            return name;
        }
        let name = match self.owned.get(text) {
            Some(&name) => name,
            None => {
                self.facts.names.push(text);
                NameId(self.facts.names.len() as u32 - 1)
            }
        };
        self.interned.insert(text, name);
        name
    }

    /// Interns a text that is not a slice of the file.
    fn intern_owned(&mut self, text: &str) -> NameId {
        if let Some(&name) = self.interned.get(text).or_else(|| self.owned.get(text)) {
            return name;
        }
        self.facts.names.push(text);
        let name = NameId(self.facts.names.len() as u32 - 1);
        self.owned.insert(text.to_owned(), name);
        name
    }

    fn occurrence(&mut self, range: ByteRange, role: Role, symbol: u32, target: Target) -> u32 {
        let enclosing = (symbol != NO_SYMBOL).then_some(symbol);
        // The name is filled in when the file's names are numbered.
        self.occurrences.push(OccurrenceFacts { range, role, enclosing, name: 0 });
        self.facts.targets.push(target);
        self.occurrences.len() as u32 - 1
    }

    fn set_target(&mut self, occurrence: u32, target: Target) {
        if let Some(slot) = self.facts.targets.get_mut(occurrence as usize) {
            *slot = target;
        }
    }

    fn set_role(&mut self, occurrence: u32, role: Role) {
        if let Some(slot) = self.occurrences.get_mut(occurrence as usize) {
            slot.role = role;
        }
    }

    fn open(&mut self, kind: ScopeKind, parent: ScopeId, owner: u32, range: ByteRange) -> ScopeId {
        self.facts.scopes.push(Scope {
            kind,
            parent,
            owner,
            range,
            bindings: Vec::new(),
            stars: Vec::new(),
            outer: Vec::new(),
        });
        ScopeId(self.facts.scopes.len() as u32 - 1)
    }

    /// The suite around what is left now.
    fn block(&self) -> ByteRange {
        self.frames
            .iter()
            .rev()
            .find(|frame| matches!(frame.kind, K::Block | K::Module))
            .map_or(ByteRange::new(0, self.text.len() as u32), |frame| frame.range)
    }

    /// First sentence of the docstring of a module, or of a body's first statement.
    fn docstring(&self, body: Node<'_>) -> Option<String> {
        let mut cursor = body.walk();
        let first = body.named_children(&mut cursor).find(|node| node.kind() != "comment")?;
        let string = match first.kind() {
            "expression_statement" => first.named_child(0)?,
            _ => first,
        };
        if string.kind() != "string" {
            return None;
        }
        first_sentence(self.text.get(string.byte_range())?)
    }
}

fn range_of(node: Node<'_>) -> ByteRange {
    ByteRange::new(node.start_byte() as u32, node.end_byte() as u32)
}

fn operator(node: Node<'_>) -> Operator {
    match node.child_by_field_name("operator").map(|operator| operator.kind()) {
        Some("and") => Operator::And,
        Some("or") => Operator::Or,
        Some("|") => Operator::Pipe,
        Some("+") => Operator::Method("__add__"),
        Some("-") => Operator::Method("__sub__"),
        Some("*") => Operator::Method("__mul__"),
        Some("/") => Operator::Method("__truediv__"),
        Some("//") => Operator::Method("__floordiv__"),
        Some("%") => Operator::Method("__mod__"),
        Some("@") => Operator::Method("__matmul__"),
        Some("&") => Operator::Method("__and__"),
        Some("^") => Operator::Method("__xor__"),
        _ => Operator::None,
    }
}

//! Macro arguments: the grammar leaves them as tokens. Paths, fields and calls are read as if they
//! were expressions, which they are in almost every macro that people write.

use tree_sitter::Node;

use super::{Extractor, K, Kinds};
use crate::{
    facts::Role,
    graph::rust::facts::{Expr, ExprId, Path, PathId, Ref, Space},
    text::ByteRange,
};

/// Tokens of one invocation that are looked at.
const MAX_TOKENS: usize = 20_000;

#[derive(Clone, Copy, PartialEq)]
enum Token {
    Word,
    Open,
    Close,
    Dot,
    Colon,
    Colons,
    Question,
    Bang,
    Other,
}

impl Extractor<'_> {
    /// Occurrences in the arguments of a macro.
    pub(super) fn tokens(&mut self, tree: Node<'_>) {
        let tokens = self.leaves(tree);
        let kind = |at: usize| tokens.get(at).map_or(Token::Other, |(kind, _)| *kind);
        // Expressions to go on with behind the closing bracket.
        let mut behind: Vec<Option<ExprId>> = Vec::new();
        let mut current: Option<ExprId> = None;
        let mut pending: Option<ExprId> = None;
        // The path in front of each open brace: `Path { field: .. }`.
        let mut literals: Vec<Option<PathId>> = Vec::new();
        let mut last_path: Option<PathId> = None;
        let mut at = 0;
        while at < tokens.len() {
            let (token, range) = tokens[at];
            match token {
                Token::Open => {
                    let is_brace = range.slice(self.text) == "{";
                    literals.push(last_path.take().filter(|_| is_brace));
                    behind.push(pending.take().or_else(|| {
                        let is_index = range.slice(self.text) == "[";
                        current.filter(|_| is_index).map(|e| self.push_expr(Expr::Index(e)))
                    }));
                    current = None;
                }
                Token::Close => {
                    current = behind.pop().flatten();
                    literals.pop();
                }
                Token::Question => current = current.map(|e| self.push_expr(Expr::Try(e))),
                Token::Dot => {
                    if kind(at + 1) == Token::Word {
                        at += 1;
                        let name = tokens[at].1;
                        let is_call =
                            kind(at + 1) == Token::Open && tokens[at + 1].1.slice(self.text) == "(";
                        (current, pending) = self.member(current, name, is_call);
                    } else {
                        current = None;
                    }
                }
                Token::Word
                    if kind(at + 1) == Token::Colon
                        && let Some(&Some(path)) = literals.last() =>
                {
                    self.occurrence(range, Role::Reference, Some(Ref::FieldOf(path)));
                    current = None;
                }
                Token::Word => {
                    let mut segments = vec![range];
                    while kind(at + 1) == Token::Colons && kind(at + 2) == Token::Word {
                        segments.push(tokens[at + 2].1);
                        at += 2;
                    }
                    let n_paths = self.facts.paths.len();
                    (current, pending) = self.token_path(&segments, kind(at + 1), &tokens, at + 1);
                    let is_literal = self.facts.paths.len() > n_paths
                        && kind(at + 1) == Token::Open
                        && segments.last().is_some_and(|last| {
                            last.slice(self.text).starts_with(char::is_uppercase)
                        });
                    last_path = is_literal.then_some(n_paths as PathId);
                }
                Token::Colon | Token::Colons | Token::Bang | Token::Other => current = None,
            }
            at += 1;
        }
    }

    /// `.name`, maybe called.
    fn member(
        &mut self,
        receiver: Option<ExprId>,
        range: ByteRange,
        is_call: bool,
    ) -> (Option<ExprId>, Option<ExprId>) {
        let text = range.slice(self.text);
        let name = self.intern(text);
        let receiver = receiver.unwrap_or_else(|| self.push_expr(Expr::Unknown));
        if text == "await" {
            return (Some(self.push_expr(Expr::Await(receiver))), None);
        }
        if is_call {
            self.occurrence(range, Role::Call, Some(Ref::Method(receiver)));
            let call = self.push_expr(Expr::Method(receiver, name, None, None));
            return (None, Some(call));
        }
        self.occurrence(range, Role::Reference, Some(Ref::Field(receiver)));
        (Some(self.push_expr(Expr::Field(receiver, name))), None)
    }

    fn token_path(
        &mut self,
        segments: &[ByteRange],
        behind: Token,
        tokens: &[(Token, ByteRange)],
        next: usize,
    ) -> (Option<ExprId>, Option<ExprId>) {
        if segments.len() == 1 && is_keyword(segments[0].slice(self.text)) {
            return (None, None);
        }
        // `name = ..` in attribute-like macros and `name: ..` name fields of unknown things.
        let names: Vec<_> =
            segments.iter().map(|range| self.intern(range.slice(self.text))).collect();
        let path = self.facts.paths.len() as u32;
        self.facts.paths.push(Path {
            at: segments[0].start,
            segments: names.into(),
            ..Path::default()
        });
        let is_macro = behind == Token::Bang
            && tokens.get(next + 1).is_some_and(|(kind, _)| *kind == Token::Open);
        let is_call = behind == Token::Open
            && tokens.get(next).is_some_and(|(_, range)| range.slice(self.text) == "(");
        let last = segments.len() - 1;
        for (index, range) in segments.iter().enumerate() {
            let space = match index == last {
                true if is_macro => Space::Macro,
                true => Space::Any,
                false => Space::Type,
            };
            let role =
                if index == last && (is_call || is_macro) { Role::Call } else { Role::Reference };
            self.occurrence(*range, role, Some(Ref::Segment(path, index as u32, space)));
        }
        if is_macro {
            return (None, Some(self.push_expr(Expr::Macro(path))));
        }
        let expr = self.push_expr(Expr::Path(path));
        if is_call {
            return (None, Some(self.push_expr(Expr::Call(expr, None))));
        }
        (Some(expr), None)
    }

    /// Names in the right side of a `macro_rules!` rule.
    pub(super) fn macro_body(&mut self, tree: Node<'_>) {
        for (token, range) in self.leaves(tree) {
            if token == Token::Word && !is_keyword(range.slice(self.text)) {
                self.occurrence(range, Role::Reference, Some(Ref::Name));
            }
        }
    }

    fn push_expr(&mut self, expr: Expr) -> ExprId {
        self.facts.exprs.push(expr);
        self.facts.exprs.len() as ExprId - 1
    }

    /// The tokens below `tree`, its own brackets included, in order.
    fn leaves(&mut self, tree: Node<'_>) -> Vec<(Token, ByteRange)> {
        let mut tokens = Vec::new();
        let mut cursor = tree.walk();
        let mut depth = 0;
        loop {
            let node = cursor.node();
            let range = ByteRange::new(node.start_byte() as u32, node.end_byte() as u32);
            if tokens.len() >= MAX_TOKENS {
                self.cut = true;
                return tokens;
            }
            let is_tree = matches!(node.k(), K::TokenTree | K::TokenRepetition);
            if is_tree && depth < super::MAX_DEPTH && cursor.goto_first_child() {
                depth += 1;
                continue;
            }
            self.cut |= is_tree;
            let token = match node.k() {
                K::Identifier | K::SelfName | K::Super | K::Crate | K::PrimitiveType => Token::Word,
                K::ParenOpen | K::SquareOpen | K::CurlyOpen => Token::Open,
                K::ParenClose | K::SquareClose | K::CurlyClose => Token::Close,
                K::Dot => Token::Dot,
                K::Colon => Token::Colon,
                K::Colons => Token::Colons,
                K::Question => Token::Question,
                K::Bang => Token::Bang,
                _ => Token::Other,
            };
            if !node.is_extra() {
                tokens.push((token, range));
            }
            while !cursor.goto_next_sibling() {
                if depth == 0 || !cursor.goto_parent() {
                    return tokens;
                }
                depth -= 1;
                if depth == 0 {
                    return tokens;
                }
            }
        }
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "let"
            | "mut"
            | "ref"
            | "if"
            | "else"
            | "match"
            | "for"
            | "in"
            | "while"
            | "loop"
            | "move"
            | "return"
            | "break"
            | "continue"
            | "fn"
            | "pub"
            | "use"
            | "mod"
            | "struct"
            | "enum"
            | "impl"
            | "trait"
            | "where"
            | "as"
            | "async"
            | "await"
            | "dyn"
            | "const"
            | "static"
            | "type"
            | "unsafe"
            | "true"
            | "false"
            | "extern"
            | "_"
    )
}

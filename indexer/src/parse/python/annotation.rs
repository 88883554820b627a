//! Annotations written as strings: `"Optional[Model]"` names what the same text would without
//! quotes. A small parser for names, attributes, subscripts, unions and lists of them.

use super::*;

/// Nesting that the parser follows inside one string.
const MAX_NESTING: usize = 24;

impl Walk<'_> {
    /// `expr` with every plain string in it read as an annotation.
    pub(super) fn annotation(&mut self, expr: ExprId, scope: ScopeId, symbol: u32) -> ExprId {
        self.annotation_within(expr, scope, symbol, 0)
    }

    fn annotation_within(
        &mut self,
        expr: ExprId,
        scope: ScopeId,
        symbol: u32,
        depth: usize,
    ) -> ExprId {
        if depth > MAX_NESTING {
            return expr;
        }
        match self.facts.expr(expr) {
            Expr::Text { start, end } => self.forward_reference(start, end, scope, symbol),
            Expr::Union(list) => {
                let list = self.annotations(list, scope, symbol, depth);
                self.expr(Expr::Union(list))
            }
            Expr::Tuple(list) => {
                let list = self.annotations(list, scope, symbol, depth);
                self.expr(Expr::Tuple(list))
            }
            Expr::List(list) => {
                let list = self.annotations(list, scope, symbol, depth);
                self.expr(Expr::List(list))
            }
            Expr::Subscript { object, index } => {
                let (Expr::Name { name, .. } | Expr::Attr { name, .. }) = self.facts.expr(object)
                else {
                    return expr;
                };
                let index = match self.facts.name(name) {
                    "Literal" => return expr,
                    "Annotated" => match self.facts.expr(index) {
                        Expr::Tuple(list) => self.facts.list(list).first().copied(),
                        _ => None,
                    }
                    .unwrap_or(index),
                    _ => index,
                };
                let index = self.annotation_within(index, scope, symbol, depth + 1);
                self.expr(Expr::Subscript { object, index })
            }
            _ => expr,
        }
    }

    fn annotations(&mut self, list: ListId, scope: ScopeId, symbol: u32, depth: usize) -> ListId {
        let items = self.facts.list(list).to_vec();
        if !items.iter().any(|&item| {
            matches!(
                self.facts.expr(item),
                Expr::Text { .. } | Expr::Union(_) | Expr::Subscript { .. } | Expr::List(_)
            )
        }) {
            return list;
        }
        let items: Vec<ExprId> = items
            .into_iter()
            .map(|item| self.annotation_within(item, scope, symbol, depth + 1))
            .collect();
        self.list(&items)
    }

    /// Parses the content of a string; `ExprId::NONE` if it is no annotation.
    fn forward_reference(&mut self, start: u32, end: u32, scope: ScopeId, symbol: u32) -> ExprId {
        let content = ByteRange::new(start, end).slice(self.text);
        let allowed = |c: char| {
            c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | ',' | '|' | ' ' | '\n')
        };
        if content.is_empty() || content.len() > 400 || !content.chars().all(allowed) {
            return ExprId::NONE;
        }
        let mut parser = Forward { at: start, end, scope, symbol, depth: 0 };
        parser.union(self)
    }
}

/// Where the parser of one string stands.
struct Forward {
    at: u32,
    end: u32,
    scope: ScopeId,
    symbol: u32,
    depth: usize,
}

impl Forward {
    fn rest<'t>(&self, walk: &Walk<'t>) -> &'t str {
        walk.text.get(self.at as usize..self.end as usize).unwrap_or("")
    }

    fn skip_space(&mut self, walk: &Walk<'_>) {
        let rest = self.rest(walk);
        self.at += (rest.len() - rest.trim_start().len()) as u32;
    }

    fn eat(&mut self, walk: &Walk<'_>, token: char) -> bool {
        self.skip_space(walk);
        let found = self.rest(walk).starts_with(token);
        self.at += u32::from(found);
        found
    }

    fn union(&mut self, walk: &mut Walk<'_>) -> ExprId {
        let mut parts = vec![self.postfix(walk)];
        while self.eat(walk, '|') {
            parts.push(self.postfix(walk));
        }
        if let [one] = parts[..] {
            return one;
        }
        let list = walk.list(&parts);
        walk.expr(Expr::Union(list))
    }

    fn postfix(&mut self, walk: &mut Walk<'_>) -> ExprId {
        self.depth += 1;
        let expr = if self.depth > MAX_NESTING { ExprId::NONE } else { self.item(walk) };
        self.depth -= 1;
        expr
    }

    fn item(&mut self, walk: &mut Walk<'_>) -> ExprId {
        if self.eat(walk, '[') {
            return self.list(walk);
        }
        let Some((name, range)) = self.identifier(walk) else { return ExprId::NONE };
        let mut expr = walk.expr(Expr::Name { name, scope: self.scope, at: range.start });
        walk.occurrence(range, Role::Type, self.symbol, Target::Expr(expr));
        loop {
            if self.eat(walk, '.') {
                let Some((name, range)) = self.identifier(walk) else { return expr };
                expr = walk.expr(Expr::Attr { object: expr, name, at: range.start });
                walk.occurrence(range, Role::Type, self.symbol, Target::Expr(expr));
            } else if self.eat(walk, '[') {
                let index = self.list(walk);
                expr = walk.expr(Expr::Subscript { object: expr, index });
            } else {
                return expr;
            }
        }
    }

    /// What stands between brackets, the opening one already eaten.
    fn list(&mut self, walk: &mut Walk<'_>) -> ExprId {
        let mut items = Vec::new();
        while !self.eat(walk, ']') {
            let before = self.at;
            items.push(self.union(walk));
            self.eat(walk, ',');
            if self.at == before {
                break;
            }
        }
        if let [one] = items[..] {
            return one;
        }
        let list = walk.list(&items);
        walk.expr(Expr::Tuple(list))
    }

    fn identifier(&mut self, walk: &mut Walk<'_>) -> Option<(NameId, ByteRange)> {
        self.skip_space(walk);
        let rest = self.rest(walk);
        let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if len == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let range = ByteRange::new(self.at, self.at + len as u32);
        self.at = range.end;
        Some((walk.intern(range), range))
    }
}

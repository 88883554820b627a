//! What a node that is left stands for: its expression, and the effects of its statement.

use super::*;

/// Steps of one worklist over an expression: patterns, conditions.
pub(super) const MAX_STEPS: usize = 256;

impl Walk<'_> {
    /// The value of a node whose children are on the value stack from `frame.values` on.
    pub(super) fn build(&mut self, frame: &Frame) -> Value {
        let mut value = Value {
            kind: frame.kind,
            field: frame.field,
            range: frame.range,
            expr: ExprId::NONE,
            second: ExprId::NONE,
            name: None,
            name_at: frame.range.start,
            occurrence: NO_OCCURRENCE,
            leaves: false,
            scope: frame.scope,
        };
        match frame.kind {
            K::Attribute => self.attribute(frame, &mut value),
            K::Call => self.call(frame, &mut value),
            K::ArgumentList => self.arguments(frame, &mut value),
            K::KeywordArgument => self.keyword(frame, &mut value),
            K::Subscript | K::GenericType => self.subscript(frame, &mut value),
            K::MemberType => self.attribute(frame, &mut value),
            K::TypeParameter => self.type_parameters(frame, &mut value),
            K::Type => self.type_node(frame, &mut value),
            K::UnionType => {
                let items = self.force_all(frame);
                let list = self.list(&items);
                value.expr = self.expr(Expr::Union(list));
            }
            K::Assignment => self.assignment(frame, &mut value),
            K::AugmentedAssignment => self.augmented(frame),
            K::NamedExpression => self.walrus(frame, &mut value),
            K::For => {
                self.force_all(frame);
            }
            K::ForIn => self.for_in(frame),
            K::WithItem | K::ExceptClause => {
                self.force_all(frame);
            }
            K::AsPattern => self.as_pattern(frame, &mut value),
            K::Parameters => self.parameters(frame),
            K::DefaultParameter | K::TypedParameter | K::TypedDefaultParameter => {
                self.parameter(frame, &mut value);
            }
            K::ListSplatPattern | K::DictSplatPattern => self.splat_pattern(frame, &mut value),
            K::Lambda => {
                let body = self.child(frame, F::Body).map_or(ExprId::NONE, |at| self.forced(at));
                value.expr = self.expr(Expr::Lambda { body });
            }
            K::ListComprehension | K::SetComprehension | K::DictComprehension | K::Generator => {
                self.comprehension(frame, &mut value)
            }
            K::Await => {
                let inner = self.force_first(frame);
                value.expr = self.expr(Expr::Await(inner));
            }
            K::Binary => self.binary(frame, &mut value),
            K::Boolean => self.boolean(frame, &mut value),
            K::Not => {
                let inner = self.force_first(frame);
                value.expr = self.expr(Expr::Not(inner));
            }
            K::Conditional => self.conditional(frame, &mut value),
            K::Tuple | K::PatternTuple => {
                let items = self.force_all(frame);
                let list = self.list(&items);
                value.expr = self.expr(Expr::Tuple(list));
            }
            K::List => {
                let items = self.force_all(frame);
                let list = self.list(&items);
                value.expr = self.expr(Expr::List(list));
            }
            K::Set => {
                let items = self.force_all(frame);
                let list = self.list(&items);
                value.expr = self.expr(Expr::Set(list));
            }
            K::Dictionary => self.dictionary(frame, &mut value),
            K::Pair => {
                let key = self.child(frame, F::Key).map_or(ExprId::NONE, |at| self.forced(at));
                let of = self.child(frame, F::Value).map_or(ExprId::NONE, |at| self.forced(at));
                (value.expr, value.second) = (of, key);
            }
            K::Str => {
                let is_plain = self.force_all(frame).is_empty();
                value.expr = self.string(frame.range, is_plain);
            }
            K::ConcatenatedString => {
                self.force_all(frame);
                value.expr = self.expr(Expr::Literal(Builtin::Str));
            }
            K::ListSplat => {
                let inner = self.force_first(frame);
                value.expr = self.expr(Expr::Splat(inner));
            }
            K::Yield => {
                let inner = self.force_first(frame);
                self.yielded(frame.scope, inner);
            }
            K::Return => {
                let inner = self.force_first(frame);
                self.returned(frame.scope, inner);
            }
            K::If | K::Elif | K::While => self.condition(frame),
            K::Assert => {
                let items = self.force_all(frame);
                let rest = ByteRange::new(frame.range.end, self.block().end);
                if let Some(&first) = items.first() {
                    self.narrow(first, true, rest);
                }
            }
            K::TypeAlias => self.type_alias(frame),
            K::Block => {
                self.force_all(frame);
                value.leaves = self.values[frame.values..]
                    .last()
                    .is_some_and(|last| matches!(last.kind, K::Return | K::Leave));
            }
            K::CaseClause => self.case_clause(frame),
            K::CasePattern => self.case_pattern(frame, &mut value),
            K::ClassPattern => value.expr = self.force_first(frame),
            K::KeywordPattern => self.keyword_pattern(frame),
            K::SplatPattern => self.capture_all(frame),
            K::DottedName => self.dotted_value(frame, &mut value),
            _ => {
                let items = self.force_all(frame);
                if let [one] = items[..] {
                    value.expr = one;
                    if frame.kind == K::Parenthesized {
                        let inner = self.values[frame.values];
                        value.occurrence = inner.occurrence;
                        value.name_at = inner.name_at;
                    }
                }
            }
        }
        value
    }

    /// The first child in `field`.
    pub(super) fn child(&self, frame: &Frame, field: F) -> Option<usize> {
        (frame.values..self.values.len()).find(|&at| self.values[at].field == field)
    }

    /// The expression of the value at `index`; an identifier becomes a name now.
    pub(super) fn forced(&mut self, index: usize) -> ExprId {
        let value = self.values[index];
        if !matches!(value.kind, K::Identifier | K::DottedName) || !value.expr.is_none() {
            return value.expr;
        }
        let Some(name) = value.name else { return ExprId::NONE };
        let expr = self.expr(Expr::Name { name, scope: value.scope, at: value.name_at });
        self.set_target(value.occurrence, Target::Expr(expr));
        self.values[index].expr = expr;
        expr
    }

    fn force_all(&mut self, frame: &Frame) -> Vec<ExprId> {
        (frame.values..self.values.len()).map(|index| self.forced(index)).collect()
    }

    fn force_first(&mut self, frame: &Frame) -> ExprId {
        let mut first = ExprId::NONE;
        for index in (frame.values..self.values.len()).rev() {
            first = self.forced(index);
        }
        first
    }

    fn force_field(&mut self, frame: &Frame, field: F) -> ExprId {
        self.child(frame, field).map_or(ExprId::NONE, |index| self.forced(index))
    }

    /// The occurrence that starts at `at`.
    pub(super) fn occurrence_at(&self, at: u32) -> Option<u32> {
        // Nearly always among the last few.
        let index = self.occurrences.partition_point(|occurrence| occurrence.range.start < at);
        match self.occurrences.get(index) {
            Some(occurrence) if occurrence.range.start == at => Some(index as u32),
            _ => self
                .occurrences
                .iter()
                .rposition(|occurrence| occurrence.range.start == at)
                .map(|index| index as u32),
        }
    }

    fn attribute(&mut self, frame: &Frame, value: &mut Value) {
        let last = self.values.len().wrapping_sub(1);
        if self.values.len() < frame.values + 2 {
            self.force_all(frame);
            return;
        }
        let object = self.forced(frame.values);
        let name = self.values[last];
        let Some(id) = name.name else { return };
        value.expr = self.expr(Expr::Attr { object, name: id, at: name.name_at });
        value.occurrence = name.occurrence;
        value.name_at = name.name_at;
        self.set_target(name.occurrence, Target::Expr(value.expr));
    }

    fn call(&mut self, frame: &Frame, value: &mut Value) {
        let callee = self.force_field(frame, F::Function);
        if let Some(index) = self.child(frame, F::Function) {
            let occurrence = self.values[index].occurrence;
            self.set_role(occurrence, Role::Call);
        }
        let Some(index) = self.child(frame, F::Arguments) else { return };
        let (slot, args) = match self.values[index].kind {
            K::ArgumentList => {
                let slot = self.values[index].expr;
                let Expr::Args(args) = self.facts.expr(slot) else { return };
                (slot, args)
            }
            _ => {
                let argument = self.forced(index);
                let args = self.list(&[argument]);
                (self.expr(Expr::Unknown), args)
            }
        };
        value.expr = slot;
        self.facts.exprs[slot.0 as usize] = Expr::Call { callee, args };
        if args.len == 2 && self.is_cast(callee) {
            let class = self.facts.list(args)[0];
            let class = self.annotation(class, frame.scope, frame.symbol);
            self.facts.exprs[slot.0 as usize] = Expr::Instance(class);
        }
    }

    /// `typing.cast`, by how it is imported or spelled.
    fn is_cast(&self, callee: ExprId) -> bool {
        let is = |name: NameId, text: &str| self.facts.name(name) == text;
        match self.facts.expr(callee) {
            Expr::Name { name, .. } if is(name, "cast") => {
                self.facts.imports.iter().any(|import| {
                    import.what == crate::graph::python::facts::Imported::Name(name)
                        && import.module.last().is_some_and(|&module| {
                            is(module, "typing") || is(module, "typing_extensions")
                        })
                })
            }
            Expr::Attr { object, name, .. } if is(name, "cast") => {
                matches!(self.facts.expr(object), Expr::Name { name, .. }
                    if is(name, "t") || is(name, "typing") || is(name, "typing_extensions"))
            }
            _ => false,
        }
    }

    fn arguments(&mut self, frame: &Frame, value: &mut Value) {
        let items = self.force_all(frame);
        let list = self.list(&items);
        value.expr = self.expr(Expr::Args(list));
        for index in frame.values..self.values.len() {
            let argument = self.values[index];
            if let (K::KeywordArgument, Some(name)) = (argument.kind, argument.name) {
                let target = Target::Keyword { call: value.expr, name };
                self.set_target(argument.occurrence, target);
            }
        }
        let Some(parent) = self.frames.last() else { return };
        if parent.kind == K::Class && frame.field == F::Superclasses && parent.owner != NO_SYMBOL {
            let owner = parent.owner as usize;
            self.facts.classes[owner].bases = items
                .into_iter()
                .filter(|&base| !matches!(self.facts.expr(base), Expr::Keyword { .. }))
                .take(MAX_LIST)
                .collect();
        }
    }

    fn keyword(&mut self, frame: &Frame, value: &mut Value) {
        let Some(name) = self.child(frame, F::Name).map(|index| self.values[index]) else {
            self.force_all(frame);
            return;
        };
        let mut argument = self.force_field(frame, F::Value);
        let Some(id) = name.name else { return };
        if self.facts.name(id) == "bound" {
            argument = self.annotation(argument, frame.scope, frame.symbol);
        }
        (value.name, value.name_at, value.occurrence) = (name.name, name.name_at, name.occurrence);
        value.expr = self.expr(Expr::Keyword { name: id, value: argument });
    }

    fn subscript(&mut self, frame: &Frame, value: &mut Value) {
        let items = self.force_all(frame);
        let Some((&object, rest)) = items.split_first() else { return };
        let index = match rest {
            [one] => *one,
            _ => {
                let list = self.list(rest);
                self.expr(Expr::Tuple(list))
            }
        };
        value.expr = self.expr(Expr::Subscript { object, index });
    }

    /// The arguments of a generic, or the parameters that a definition declares.
    fn type_parameters(&mut self, frame: &Frame, value: &mut Value) {
        let items = self.force_all(frame);
        if frame.field == F::TypeParameters {
            for item in items {
                if let Expr::Name { name, scope, at } = self.facts.expr(item) {
                    let bound = ExprId::NONE;
                    let parameter = self.expr(Expr::TypeParameter { name, bound });
                    let is_new = !self.bound.contains_key(&(scope, name));
                    self.bind(item, parameter, ExprId::NONE, frame.range, frame.symbol);
                    if let (true, Some(occurrence)) = (is_new, self.occurrence_at(at))
                        && let Target::Symbol(symbol) = self.facts.targets[occurrence as usize]
                    {
                        self.symbols[symbol as usize].kind = SymbolKind::TypeParameter;
                        self.facts.origins[symbol as usize] = Origin::TypeParameter;
                    }
                }
            }
            return;
        }
        value.expr = match items[..] {
            [one] => one,
            _ => {
                let list = self.list(&items);
                self.expr(Expr::Tuple(list))
            }
        };
    }

    fn type_node(&mut self, frame: &Frame, value: &mut Value) {
        let items = self.force_all(frame);
        let inner = items.first().copied().unwrap_or(ExprId::NONE);
        let is_outermost = self.frames.last().is_none_or(|parent| {
            !matches!(parent.kind, K::TypeParameter | K::UnionType | K::MemberType | K::Other)
        });
        value.expr = match is_outermost {
            true => self.annotation(inner, frame.scope, frame.symbol),
            false => inner,
        };
        for occurrence in &mut self.occurrences[frame.occurrences..] {
            if occurrence.role == Role::Reference {
                occurrence.role = Role::Type;
            }
        }
        if let Some(parent) = self.frames.last()
            && parent.kind == K::Function
            && frame.field == F::ReturnType
            && parent.owner != NO_SYMBOL
        {
            self.facts.functions[parent.owner as usize].returns = value.expr;
        }
    }

    fn assignment(&mut self, frame: &Frame, value: &mut Value) {
        let target = self.force_field(frame, F::Left);
        value.expr = self.force_field(frame, F::Right);
        let annotation = self.force_field(frame, F::Type);
        self.bind(target, value.expr, annotation, frame.range, frame.symbol);
    }

    fn augmented(&mut self, frame: &Frame) {
        let target = self.force_field(frame, F::Left);
        let value = self.force_field(frame, F::Right);
        self.extend_export(target, value);
        match self.facts.expr(target) {
            Expr::Name { name, scope, at } => {
                let home = self.home(scope, name);
                match self.bound.get(&(home, name)) {
                    Some(&symbol) => self.mark(at, symbol, false),
                    None => {
                        self.bind(target, ExprId::NONE, ExprId::NONE, frame.range, frame.symbol);
                    }
                }
            }
            Expr::Attr { at, .. } => {
                if let Some(occurrence) = self.occurrence_at(at) {
                    self.set_role(occurrence, Role::Write);
                }
            }
            _ => {}
        }
    }

    fn walrus(&mut self, frame: &Frame, value: &mut Value) {
        value.expr = self.force_field(frame, F::Value);
        let Some(index) = self.child(frame, F::Name) else { return };
        let Value { name: Some(name), name_at, .. } = self.values[index] else { return };
        let mut scope = frame.scope;
        while self.facts.scopes[scope.0 as usize].kind == ScopeKind::Comprehension {
            scope = self.facts.scopes[scope.0 as usize].parent;
        }
        self.bind_name(name, scope, name_at, value.expr, ExprId::NONE, frame.range, frame.symbol);
    }

    /// Called when the body of a `for` statement begins: its target is bound from there on.
    pub(super) fn begin_loop(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let target = self.force_field(&frame, F::Left);
        let of = self.force_field(&frame, F::Right);
        self.bind_element(&frame, target, of);
        self.frames.push(frame);
    }

    fn for_in(&mut self, frame: &Frame) {
        let items = self.force_all(frame);
        if let [target, of, ..] = items[..] {
            self.bind_element(frame, target, of);
        }
    }

    fn bind_element(&mut self, frame: &Frame, target: ExprId, of: ExprId) {
        let element = match frame.operator {
            Operator::Async => Expr::AsyncElement(of),
            _ => Expr::Element(of),
        };
        let element = self.expr(element);
        let line = ByteRange::new(frame.range.start, self.end_of_line(frame.range.start));
        self.bind(target, element, ExprId::NONE, line, frame.symbol);
    }

    fn end_of_line(&self, at: u32) -> u32 {
        let rest = self.text.as_bytes().get(at as usize..).unwrap_or(&[]);
        at + memchr::memchr(b'\n', rest).unwrap_or(rest.len()) as u32
    }

    fn as_pattern(&mut self, frame: &Frame, value: &mut Value) {
        let items = self.force_all(frame);
        let [subject, .., target] = items[..] else { return };
        value.expr = subject;
        let Some(parent) = self.frames.last() else { return };
        let bound = match parent.kind {
            K::WithItem if parent.operator == Operator::Async => Expr::AsyncEntered(subject),
            K::WithItem => Expr::Entered(subject),
            K::ExceptClause => Expr::Caught(subject),
            _ => Expr::Instance(subject),
        };
        let bound = self.expr(bound);
        self.bind(target, bound, ExprId::NONE, frame.range, frame.symbol);
    }

    fn parameter(&mut self, frame: &Frame, value: &mut Value) {
        let index = self.child(frame, F::Name).unwrap_or(frame.values);
        let Some(name) = self.values.get(index).copied().filter(|_| index >= frame.values) else {
            return;
        };
        value.second = self.force_field(frame, F::Type);
        value.expr = self.force_field(frame, F::Value);
        (value.name, value.name_at, value.occurrence) = (name.name, name.name_at, name.occurrence);
        if matches!(name.kind, K::ListSplatPattern | K::DictSplatPattern) {
            value.kind = name.kind;
        }
    }

    fn splat_pattern(&mut self, frame: &Frame, value: &mut Value) {
        let is_parameter = self
            .frames
            .last()
            .is_some_and(|parent| matches!(parent.kind, K::Parameters | K::TypedParameter));
        if is_parameter {
            if let Some(name) = self.values.get(frame.values).copied() {
                (value.name, value.name_at) = (name.name, name.name_at);
                value.occurrence = name.occurrence;
            }
            return;
        }
        let inner = self.force_first(frame);
        value.expr = self.expr(Expr::Splat(inner));
    }

    fn comprehension(&mut self, frame: &Frame, value: &mut Value) {
        let body = self.child(frame, F::Body);
        let element = body.map_or(ExprId::NONE, |index| self.forced(index));
        let key = body.map_or(ExprId::NONE, |index| self.values[index].second);
        let body = body.map(|index| self.values[index].range);
        for index in frame.values..self.values.len() {
            let item = self.values[index];
            if let (K::Other, Some(body)) = (item.kind, body) {
                self.narrow(item.expr, true, body);
            }
        }
        value.expr = match frame.kind {
            K::Generator => self.expr(Expr::Generator(element)),
            K::DictComprehension => self.expr(Expr::Dict { key, value: element }),
            K::SetComprehension => {
                let list = self.list(&[element]);
                self.expr(Expr::Set(list))
            }
            _ => {
                let list = self.list(&[element]);
                self.expr(Expr::List(list))
            }
        };
    }

    fn binary(&mut self, frame: &Frame, value: &mut Value) {
        let items = self.force_all(frame);
        let [left, right] = items[..] else { return };
        value.expr = match frame.operator {
            Operator::Pipe => {
                let list = self.list(&[left, right]);
                self.expr(Expr::Union(list))
            }
            Operator::Method(name) => {
                let name = self.intern_owned(name);
                let callee = self.expr(Expr::Attr { object: left, name, at: frame.range.start });
                let args = self.list(&[right]);
                self.expr(Expr::Call { callee, args })
            }
            _ => ExprId::NONE,
        };
    }

    fn boolean(&mut self, frame: &Frame, value: &mut Value) {
        let items = self.force_all(frame);
        let [left, right] = items[..] else { return };
        let list = self.list(&[left, right]);
        if frame.operator == Operator::And {
            self.narrow(left, true, self.values[frame.values + 1].range);
            value.expr = self.expr(Expr::And(list));
        } else {
            self.narrow(left, false, self.values[frame.values + 1].range);
            value.expr = self.expr(Expr::Union(list));
        }
    }

    fn conditional(&mut self, frame: &Frame, value: &mut Value) {
        let items = self.force_all(frame);
        let [then, condition, otherwise] = items[..] else { return };
        self.narrow(condition, true, self.values[frame.values].range);
        self.narrow(condition, false, self.values[frame.values + 2].range);
        let list = self.list(&[then, otherwise]);
        value.expr = self.expr(Expr::Union(list));
    }

    fn dictionary(&mut self, frame: &Frame, value: &mut Value) {
        self.force_all(frame);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for pair in &self.values[frame.values..] {
            if pair.kind == K::Pair && values.len() < 8 {
                keys.push(pair.second);
                values.push(pair.expr);
            }
        }
        let (keys, values) = (self.list(&keys), self.list(&values));
        let (key, of) = (self.expr(Expr::Union(keys)), self.expr(Expr::Union(values)));
        value.expr = self.expr(Expr::Dict { key, value: of });
    }

    fn string(&mut self, range: ByteRange, is_plain: bool) -> ExprId {
        let literal = range.slice(self.text);
        let Some(open) = literal.find(['"', '\'']) else { return ExprId::NONE };
        let prefix = &literal[..open];
        if prefix.contains(['b', 'B']) {
            return self.expr(Expr::Literal(Builtin::Bytes));
        }
        let quotes = if literal[open..].starts_with("\"\"\"") || literal[open..].starts_with("'''")
        {
            3
        } else {
            1
        };
        let (start, end) = (open + quotes, literal.len().saturating_sub(quotes));
        if !is_plain || start > end {
            return self.expr(Expr::Literal(Builtin::Str));
        }
        self.expr(Expr::Text { start: range.start + start as u32, end: range.start + end as u32 })
    }

    /// `if`, `elif`, `while`: what the condition says holds in the suite, and its opposite behind
    /// a suite that does not come back.
    fn condition(&mut self, frame: &Frame) {
        self.force_all(frame);
        let condition = self.force_field(frame, F::Condition);
        let suite = self.child(frame, F::Consequence).or_else(|| self.child(frame, F::Body));
        let Some(suite) = suite.map(|index| self.values[index]) else { return };
        self.narrow(condition, true, suite.range);
        let alternative = self.child(frame, F::Alternative).map(|index| self.values[index].range);
        if let Some(alternative) = alternative {
            self.narrow(condition, false, ByteRange::new(alternative.start, frame.range.end));
        }
        if suite.leaves && frame.kind == K::If {
            let rest = ByteRange::new(frame.range.end, self.block().end);
            self.narrow(condition, false, rest);
        }
    }

    /// Records what `condition` being true (or false) says about names within `range`.
    fn narrow(&mut self, condition: ExprId, holds: bool, range: ByteRange) {
        if range.start >= range.end {
            return;
        }
        let mut work = vec![(condition, holds)];
        let mut steps = 0;
        while let Some((condition, holds)) = work.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return;
            }
            match self.facts.expr(condition) {
                Expr::Not(inner) => work.push((inner, !holds)),
                Expr::And(list) if holds => {
                    work.extend(self.facts.list(list).iter().map(|&part| (part, true)));
                }
                Expr::Union(list) if !holds => {
                    work.extend(self.facts.list(list).iter().map(|&part| (part, false)));
                }
                Expr::Call { callee, args } if holds => {
                    // `isinstance(x, C)`, or `is_c(x)` with a function that may be a type guard.
                    let is_instance = matches!(self.facts.expr(callee), Expr::Name { name, .. }
                        if self.facts.name(name) == "isinstance");
                    let (subject, class) = match *self.facts.list(args) {
                        [subject, class] if is_instance => (subject, class),
                        [subject, ..] if !is_instance && self.may_guard(callee) => {
                            (subject, condition)
                        }
                        _ => continue,
                    };
                    if let Some(key) = self.key(subject) {
                        self.facts.narrows.push(Narrow { key, range, class });
                    }
                }
                _ => {}
            }
        }
    }

    /// Guards are named by what they check; most other calls in conditions are not worth keeping.
    fn may_guard(&self, callee: ExprId) -> bool {
        match self.facts.expr(callee) {
            Expr::Name { name, .. } | Expr::Attr { name, .. } => {
                let name = self.facts.name(name).trim_start_matches('_');
                name.starts_with("is_") || name.starts_with("has_")
            }
            _ => false,
        }
    }

    /// The name of a plain name or dotted chain: what narrowing is recorded under.
    fn key(&mut self, expr: ExprId) -> Option<NameId> {
        match self.facts.expr(expr) {
            Expr::Name { name, .. } => Some(name),
            Expr::Attr { .. } => {
                let key = chain(&self.facts, expr)?;
                Some(self.intern_owned(&key))
            }
            _ => None,
        }
    }

    fn type_alias(&mut self, frame: &Frame) {
        let target = self.force_field(frame, F::Left);
        let value = self.force_field(frame, F::Right);
        self.force_all(frame);
        self.bind(target, value, ExprId::NONE, frame.range, frame.symbol);
        if let Expr::Name { at, .. } = self.facts.expr(target)
            && let Some(occurrence) = self.occurrence_at(at)
            && let Target::Symbol(symbol) = self.facts.targets[occurrence as usize]
        {
            self.symbols[symbol as usize].kind = SymbolKind::TypeAlias;
        }
    }

    fn case_clause(&mut self, frame: &Frame) {
        self.force_all(frame);
        let class = self.values[frame.values..]
            .iter()
            .find(|value| value.kind == K::CasePattern)
            .map(|pattern| pattern.expr);
        let suite = self.child(frame, F::Consequence).map(|index| self.values[index].range);
        let matched = self.frames.iter().rev().find(|frame| frame.kind == K::Match);
        let subject = matched.map(|matched| matched.values);
        let (Some(class), Some(suite), Some(subject)) = (class, suite, subject) else { return };
        let subject = self.forced(subject);
        if class.is_none()
            || !matches!(self.facts.expr(class), Expr::Name { .. } | Expr::Attr { .. })
        {
            return;
        }
        if let Some(key) = self.key(subject) {
            self.facts.narrows.push(Narrow { key, range: suite, class });
        }
    }

    fn case_pattern(&mut self, frame: &Frame, value: &mut Value) {
        let inner = self.values.get(frame.values).copied();
        let Some(inner) = inner.filter(|_| self.values.len() > frame.values) else { return };
        if self.values.len() == frame.values + 1 && inner.kind == K::DottedName {
            if inner.name.is_some() && inner.expr.is_none() {
                self.capture(frame.values, ExprId::NONE, frame);
                return;
            }
            return; // A dotted constant: compared, not a class.
        }
        self.force_all(frame);
        if matches!(inner.kind, K::ClassPattern | K::AsPattern) {
            value.expr = inner.expr;
        }
    }

    /// Binds the single name at `index` of the value stack.
    fn capture(&mut self, index: usize, value: ExprId, frame: &Frame) {
        let target = self.forced(index);
        let is_wildcard = self.values[index].name.is_some_and(|name| self.facts.name(name) == "_");
        if !is_wildcard {
            self.bind(target, value, ExprId::NONE, frame.range, frame.symbol);
        }
    }

    fn capture_all(&mut self, frame: &Frame) {
        for index in frame.values..self.values.len() {
            self.capture(index, ExprId::NONE, frame);
        }
    }

    fn keyword_pattern(&mut self, frame: &Frame) {
        let Some(keyword) = self.values.get(frame.values).copied() else { return };
        let Some(name) = keyword.name else { return };
        let class = self
            .frames
            .iter()
            .rev()
            .find(|frame| frame.kind == K::ClassPattern)
            .map(|pattern| pattern.values);
        let class = class.map_or(ExprId::NONE, |index| self.forced(index));
        self.set_target(keyword.occurrence, Target::Attribute { class, name });
        let object = self.expr(Expr::Instance(class));
        let attribute = self.expr(Expr::Attr { object, name, at: keyword.name_at });
        for index in frame.values + 1..self.values.len() {
            let part = self.values[index];
            if part.kind == K::DottedName && part.name.is_some() {
                self.capture(index, attribute, frame);
            }
        }
    }

    /// A dotted name outside imports: one name, or a chain of attributes.
    fn dotted_value(&mut self, frame: &Frame, value: &mut Value) {
        let parts: Vec<Value> = self.values[frame.values..].to_vec();
        match parts[..] {
            [one] => {
                (value.name, value.name_at, value.occurrence) =
                    (one.name, one.name_at, one.occurrence);
            }
            [_, ..] => {
                let mut object = self.forced(frame.values);
                for part in &parts[1..] {
                    let Some(name) = part.name else { continue };
                    object = self.expr(Expr::Attr { object, name, at: part.name_at });
                    self.set_target(part.occurrence, Target::Expr(object));
                }
                value.expr = object;
            }
            [] => {}
        }
    }
}

/// `a.b.c` as text, if the expression is such a chain.
pub(super) fn chain(facts: &PythonFacts, expr: ExprId) -> Option<String> {
    let mut parts = Vec::new();
    let mut at = expr;
    loop {
        match facts.expr(at) {
            Expr::Name { name, .. } => {
                parts.push(facts.name(name));
                break;
            }
            Expr::Attr { object, name, .. } if parts.len() < 8 => {
                parts.push(facts.name(name));
                at = object;
            }
            _ => return None,
        }
    }
    parts.reverse();
    Some(parts.join("."))
}

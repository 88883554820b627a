//! What binds names: functions, classes, parameters, assignments, loops, imports.

use super::{expressions::MAX_STEPS, *};
use crate::graph::python::facts::{FunctionFlags, Imported, ParamKind};

/// Statements longer than this show only their first line as signature.
const MAX_SIGNATURE_BYTES: u32 = 240;

/// Returned and yielded values kept of one function.
const MAX_RETURNS: usize = 8;

impl Walk<'_> {
    pub(super) fn enter_function(&mut self, node: Node<'_>, frame: &mut Frame) {
        let Some(name) = node.child_by_field_name("name") else { return };
        let name_range = range_of(name);
        if name_range.is_empty() {
            return;
        }
        let scope = frame.scope;
        let class = self.class_of(scope);
        let decorators = self.decorators();
        let mut flags = self.flags(&decorators);
        flags.is_async = node.child(0).is_some_and(|first| first.kind() == "async");
        let function = self.facts.functions.len() as u32;
        let kind = match class {
            Some(_) if flags.is_property => SymbolKind::Property,
            Some(_) => SymbolKind::Method,
            None => SymbolKind::Function,
        };
        let body = node.child_by_field_name("body");
        let doc = body.and_then(|body| self.docstring(body));
        let name_id = self.intern(name_range);
        let enclosing = self.whole(frame.range);
        let signature = signature(frame.range, body.map(range_of));
        let symbol =
            self.symbol(name_id, kind, name_range, enclosing, signature, frame.symbol, doc);
        self.facts.origins.push(Origin::Function(function));
        frame.inner = self.open(ScopeKind::Function, scope, function, frame.range);
        frame.owner = function;
        frame.symbol = symbol;
        self.facts.functions.push(Function {
            symbol,
            scope: frame.inner,
            class,
            params: Vec::new(),
            returns: ExprId::NONE,
            returned: Vec::new(),
            yielded: Vec::new(),
            decorators,
            flags,
        });
        let value = self.expr(Expr::Function(function));
        self.bind_definition(scope, name_id, symbol, name_range.start, value);
    }

    pub(super) fn enter_class(&mut self, node: Node<'_>, frame: &mut Frame) {
        let Some(name) = node.child_by_field_name("name") else { return };
        let name_range = range_of(name);
        if name_range.is_empty() {
            return;
        }
        let scope = frame.scope;
        let decorators = self.decorators();
        let class = self.facts.classes.len() as u32;
        let bases = node.child_by_field_name("superclasses");
        let bases = bases.and_then(|bases| self.text.get(bases.byte_range())).unwrap_or("");
        let kind = match () {
            () if bases.contains("Enum") || bases.contains("Flag") => SymbolKind::Enum,
            () if bases.contains("Protocol") => SymbolKind::Interface,
            () => SymbolKind::Class,
        };
        let body = node.child_by_field_name("body");
        let doc = body.and_then(|body| self.docstring(body));
        let name_id = self.intern(name_range);
        let enclosing = self.whole(frame.range);
        let signature = signature(frame.range, body.map(range_of));
        let symbol =
            self.symbol(name_id, kind, name_range, enclosing, signature, frame.symbol, doc);
        self.facts.origins.push(Origin::Class(class));
        frame.inner = self.open(ScopeKind::Class, scope, class, frame.range);
        frame.owner = class;
        frame.symbol = symbol;
        self.facts.classes.push(Class {
            symbol,
            scope: frame.inner,
            bases: Vec::new(),
            decorators,
            attributes: Vec::new(),
        });
        let value = self.expr(Expr::Class(class));
        self.bind_definition(scope, name_id, symbol, name_range.start, value);
    }

    /// The class whose body is `scope`.
    fn class_of(&self, scope: ScopeId) -> Option<u32> {
        let scope = &self.facts.scopes[scope.0 as usize];
        (scope.kind == ScopeKind::Class).then_some(scope.owner)
    }

    /// The decorators just walked, if the innermost frame is a decorated definition.
    fn decorators(&mut self) -> Vec<ExprId> {
        let Some(frame) = self.frames.last().filter(|frame| frame.kind == K::Decorated) else {
            return Vec::new();
        };
        let first = frame.values;
        (first..self.values.len())
            .map(|index| self.forced(index))
            .filter(|decorator| !decorator.is_none())
            .collect()
    }

    /// The range with decorators.
    fn whole(&self, range: ByteRange) -> ByteRange {
        match self.frames.last() {
            Some(frame) if frame.kind == K::Decorated => frame.range,
            _ => range,
        }
    }

    fn flags(&self, decorators: &[ExprId]) -> FunctionFlags {
        let mut flags = FunctionFlags::default();
        for &decorator in decorators {
            let mut expr = self.facts.expr(decorator);
            if let Expr::Call { callee, .. } = expr {
                expr = self.facts.expr(callee);
            }
            let (Expr::Name { name, .. } | Expr::Attr { name, .. }) = expr else { continue };
            match self.facts.name(name) {
                "property"
                | "cached_property"
                | "abstractproperty"
                | "hybrid_property"
                | "memoized_property"
                | "memoized_attribute"
                | "ro_memoized_property"
                | "rw_hybridproperty"
                | "getter" => {
                    flags.is_property = true;
                }
                "staticmethod" => flags.is_static = true,
                "classmethod" | "validator" | "field_validator" | "declared_attr" => {
                    flags.is_class_method = true;
                }
                "overload" => flags.is_overload = true,
                "contextmanager" | "asynccontextmanager" => flags.is_context_manager = true,
                "setter" | "deleter" => {
                    flags.is_accessor = true;
                    flags.is_property = true;
                }
                _ => {}
            }
        }
        flags
    }

    #[expect(clippy::too_many_arguments, reason = "one symbol's fields, in order")]
    fn symbol(
        &mut self,
        name: NameId,
        kind: SymbolKind,
        name_range: ByteRange,
        enclosing_range: ByteRange,
        signature_range: ByteRange,
        parent: u32,
        doc: Option<String>,
    ) -> u32 {
        let text = self.facts.name(name).to_owned();
        let parent = (parent != NO_SYMBOL).then_some(parent);
        let above = parent.and_then(|parent| self.symbols.get(parent as usize));
        let is_dunder = text.starts_with("__") && text.ends_with("__");
        let is_test_name = match kind {
            SymbolKind::Function | SymbolKind::Method => text.starts_with("test"),
            SymbolKind::Class => text.starts_with("Test"),
            _ => false,
        };
        let is_public = (!text.starts_with('_') || is_dunder)
            && above.is_none_or(|above| {
                above.is_public && !matches!(above.kind, SymbolKind::Function | SymbolKind::Method)
            });
        let is_test = is_test_name || above.is_some_and(|above| above.is_test);
        self.symbols.push(SymbolFacts {
            name: text,
            kind,
            name_range,
            enclosing_range,
            signature_range,
            parent,
            doc,
            is_public,
            is_test,
        });
        self.symbols.len() as u32 - 1
    }

    /// The name of a `def` or `class`: always a symbol of its own, also when it is a second one.
    fn bind_definition(
        &mut self,
        scope: ScopeId,
        name: NameId,
        symbol: u32,
        at: u32,
        value: ExprId,
    ) {
        let scope = self.home(scope, name);
        self.bound.entry((scope, name)).or_insert(symbol);
        let block = self.block();
        self.facts.scopes[scope.0 as usize].bindings.push(Binding {
            name,
            symbol,
            at,
            block,
            value,
            annotation: ExprId::NONE,
        });
    }

    /// Where an assignment in `scope` puts `name`: `global` and `nonlocal` move it outward.
    pub(super) fn home(&self, scope: ScopeId, name: NameId) -> ScopeId {
        let here = &self.facts.scopes[scope.0 as usize];
        match here.outer.iter().find(|(outer, _)| *outer == name) {
            None => scope,
            Some((_, true)) => ScopeId::MODULE,
            Some((_, false)) => {
                let mut at = here.parent;
                while at != ScopeId::MODULE {
                    let outer = &self.facts.scopes[at.0 as usize];
                    if outer.kind == ScopeKind::Function && self.bound.contains_key(&(at, name)) {
                        return at;
                    }
                    at = outer.parent;
                }
                scope
            }
        }
    }

    /// Binds every name in `target` to the matching part of `value`. `statement` is the range
    /// shown as the symbol's item.
    pub(super) fn bind(
        &mut self,
        target: ExprId,
        value: ExprId,
        annotation: ExprId,
        statement: ByteRange,
        symbol: u32,
    ) {
        let mut work = vec![(target, value, annotation)];
        let mut steps = 0;
        while let Some((target, value, annotation)) = work.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                break;
            }
            match self.facts.expr(target) {
                Expr::Name { name, scope, at } => {
                    self.bind_name(name, scope, at, value, annotation, statement, symbol);
                }
                Expr::Attr { object, name, at } => {
                    self.bind_attribute(object, name, at, value, annotation, statement);
                }
                Expr::Tuple(list) | Expr::List(list) => {
                    let items = self.facts.list(list).to_vec();
                    let starred = items
                        .iter()
                        .position(|&item| matches!(self.facts.expr(item), Expr::Splat(_)));
                    for (index, item) in items.into_iter().enumerate().rev() {
                        let part = if starred.is_some_and(|starred| index > starred) {
                            ExprId::NONE
                        } else {
                            let index = index as u16;
                            self.expr(Expr::Item { of: value, index })
                        };
                        work.push((item, part, ExprId::NONE));
                    }
                }
                Expr::Splat(inner) => work.push((inner, ExprId::NONE, ExprId::NONE)),
                _ => {}
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one binding's fields, in order")]
    pub(super) fn bind_name(
        &mut self,
        name: NameId,
        scope: ScopeId,
        at: u32,
        value: ExprId,
        annotation: ExprId,
        statement: ByteRange,
        parent: u32,
    ) {
        let home = self.home(scope, name);
        let range = ByteRange::new(at, at + self.facts.name(name).len() as u32);
        let (symbol, is_new) = match self.bound.get(&(home, name)) {
            Some(&symbol) => (symbol, false),
            None => {
                let kind = self.variable_kind(home, name, value, annotation);
                let parent = if home == ScopeId::MODULE { NO_SYMBOL } else { parent };
                let symbol = self.symbol(
                    name,
                    kind,
                    range,
                    statement,
                    first_line(self.text, statement),
                    parent,
                    None,
                );
                self.facts.origins.push(Origin::Variable { scope: home, name });
                self.bound.insert((home, name), symbol);
                (symbol, true)
            }
        };
        self.mark(at, symbol, is_new);
        let block = self.block();
        self.facts.scopes[home.0 as usize].bindings.push(Binding {
            name,
            symbol,
            at,
            block,
            value,
            annotation,
        });
        if home == ScopeId::MODULE && self.facts.name(name) == "__all__" {
            self.export(value);
        }
    }

    fn variable_kind(
        &self,
        scope: ScopeId,
        name: NameId,
        value: ExprId,
        annotation: ExprId,
    ) -> SymbolKind {
        let scope = &self.facts.scopes[scope.0 as usize];
        match scope.kind {
            ScopeKind::Class => {
                let class = &self.facts.classes[scope.owner as usize];
                let owner = self.symbols.get(class.symbol as usize).map(|symbol| symbol.kind);
                let is_member = owner == Some(SymbolKind::Enum)
                    && annotation.is_none()
                    && !value.is_none()
                    && !self.facts.name(name).starts_with('_');
                if is_member { SymbolKind::Variant } else { SymbolKind::Field }
            }
            ScopeKind::Module => {
                let is_alias = matches!(
                    self.facts.expr(annotation),
                    Expr::Name { name, .. } | Expr::Attr { name, .. }
                        if self.facts.name(name) == "TypeAlias"
                );
                let text = self.facts.name(name);
                if is_alias {
                    SymbolKind::TypeAlias
                } else if text.chars().any(char::is_uppercase)
                    && !text.chars().any(char::is_lowercase)
                {
                    SymbolKind::Constant
                } else {
                    SymbolKind::Variable
                }
            }
            _ => SymbolKind::Variable,
        }
    }

    /// `self.name = value`: an attribute of the class around the method.
    fn bind_attribute(
        &mut self,
        object: ExprId,
        name: NameId,
        at: u32,
        value: ExprId,
        annotation: ExprId,
        statement: ByteRange,
    ) {
        if let Some(occurrence) = self.occurrence_at(at) {
            self.set_role(occurrence, Role::Write);
        }
        let Expr::Name { name: object, scope, .. } = self.facts.expr(object) else { return };
        let Some(class) = self.class_of_self(object, scope) else { return };
        let class_scope = self.facts.classes[class as usize].scope;
        let range = ByteRange::new(at, at + self.facts.name(name).len() as u32);
        let (symbol, is_new) = match self.bound.get(&(class_scope, name)) {
            Some(&symbol) => (symbol, false),
            None => {
                let parent = self.facts.classes[class as usize].symbol;
                let symbol = self.symbol(
                    name,
                    SymbolKind::Field,
                    range,
                    statement,
                    first_line(self.text, statement),
                    parent,
                    None,
                );
                self.facts.origins.push(Origin::Attribute { class, name });
                self.bound.insert((class_scope, name), symbol);
                (symbol, true)
            }
        };
        self.mark(at, symbol, is_new);
        let block = self.block();
        self.facts.classes[class as usize].attributes.push(Binding {
            name,
            symbol,
            at,
            block,
            value,
            annotation,
        });
    }

    /// The class that `name`, read in `scope`, is the `self` or `cls` of.
    fn class_of_self(&self, name: NameId, scope: ScopeId) -> Option<u32> {
        let mut at = scope;
        loop {
            let here = &self.facts.scopes[at.0 as usize];
            if here.kind == ScopeKind::Function {
                let function = &self.facts.functions[here.owner as usize];
                if let Some(class) = function.class {
                    let first = function.params.first().map(|param| param.name);
                    let is_new = function.flags.is_static
                        || self.symbols[function.symbol as usize].name == "__new__";
                    let is_self = first == Some(name) && !function.flags.is_static
                        || is_new && self.facts.name(name) == "self";
                    return is_self.then_some(class);
                }
                if self.bound.contains_key(&(at, name)) {
                    return None;
                }
            }
            if at == ScopeId::MODULE {
                return None;
            }
            at = here.parent;
        }
    }

    /// Marks the occurrence at `at` as the definition of `symbol`, or as a write to it.
    pub(super) fn mark(&mut self, at: u32, symbol: u32, is_new: bool) {
        if let Some(occurrence) = self.occurrence_at(at) {
            self.set_role(occurrence, if is_new { Role::Definition } else { Role::Write });
            self.set_target(occurrence, Target::Symbol(symbol));
        }
    }

    /// Names of a literal `__all__`, also when it is extended step by step.
    fn export(&mut self, value: ExprId) {
        let (Expr::List(list) | Expr::Tuple(list)) = self.facts.expr(value) else { return };
        let texts: Vec<(u32, u32)> = self
            .facts
            .list(list)
            .iter()
            .filter_map(|&item| match self.facts.expr(item) {
                Expr::Text { start, end } => Some((start, end)),
                _ => None,
            })
            .collect();
        let mut names = self.facts.all.take().unwrap_or_default();
        for (start, end) in texts {
            let name = self.intern(ByteRange::new(start, end));
            names.push(name);
        }
        self.facts.all = Some(names);
    }

    /// `__all__ += [..]`.
    pub(super) fn extend_export(&mut self, target: ExprId, value: ExprId) {
        if let Expr::Name { name, scope: ScopeId::MODULE, .. } = self.facts.expr(target)
            && self.facts.name(name) == "__all__"
        {
            self.export(value);
        }
    }

    /// Binds the parameters that were just walked, in the function's own scope.
    pub(super) fn parameters(&mut self, frame: &Frame) {
        let Some(parent) = self.frames.last() else { return };
        let (scope, symbol, owner, kind) = (parent.inner, parent.symbol, parent.owner, parent.kind);
        if !matches!(kind, K::Function | K::Lambda) || scope == parent.scope {
            return;
        }
        for index in frame.values..self.values.len() {
            let value = self.values[index];
            let Some(name) = value.name else { continue };
            let at = value.name_at;
            let range = ByteRange::new(at, at + self.facts.name(name).len() as u32);
            let param_kind = match value.kind {
                K::ListSplatPattern => ParamKind::Args,
                K::DictSplatPattern => ParamKind::Kwargs,
                _ => ParamKind::Plain,
            };
            let id = self.symbol(
                name,
                SymbolKind::Parameter,
                range,
                value.range,
                value.range,
                symbol,
                None,
            );
            let (default, annotation) = match value.kind {
                K::Identifier => (ExprId::NONE, ExprId::NONE),
                _ => (value.expr, value.second),
            };
            let (origin, bound) = if kind == K::Function && owner != NO_SYMBOL {
                let params = &mut self.facts.functions[owner as usize].params;
                let index = params.len() as u16;
                params.push(Param { name, symbol: id, annotation, default, kind: param_kind });
                (
                    Origin::Parameter { function: owner, index },
                    Expr::Parameter { function: owner, index },
                )
            } else {
                (Origin::Variable { scope, name }, Expr::Unknown)
            };
            self.facts.origins.push(origin);
            let bound = self.expr(bound);
            self.bound.insert((scope, name), id);
            self.set_role(value.occurrence, Role::Definition);
            self.set_target(value.occurrence, Target::Symbol(id));
            self.facts.scopes[scope.0 as usize].bindings.push(Binding {
                name,
                symbol: id,
                at,
                block: frame.range,
                value: bound,
                annotation: ExprId::NONE,
            });
        }
    }

    /// The function that `scope` runs in.
    fn function_of(&self, scope: ScopeId) -> Option<u32> {
        let mut at = scope;
        loop {
            let here = &self.facts.scopes[at.0 as usize];
            match here.kind {
                ScopeKind::Function => return Some(here.owner),
                ScopeKind::Comprehension => at = here.parent,
                _ => return None,
            }
        }
    }

    pub(super) fn returned(&mut self, scope: ScopeId, value: ExprId) {
        if let Some(function) = self.function_of(scope) {
            let returned = &mut self.facts.functions[function as usize].returned;
            if returned.len() < MAX_RETURNS && !value.is_none() {
                returned.push(value);
            }
        }
    }

    pub(super) fn yielded(&mut self, scope: ScopeId, value: ExprId) {
        if let Some(function) = self.function_of(scope) {
            let function = &mut self.facts.functions[function as usize];
            function.flags.is_generator = true;
            if function.yielded.len() < MAX_RETURNS && !value.is_none() {
                function.yielded.push(value);
            }
        }
    }

    /// `global` and `nonlocal`.
    pub(super) fn outer_names(
        &mut self,
        node: Node<'_>,
        is_global: bool,
        scope: ScopeId,
        symbol: u32,
    ) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).filter(|child| child.kind() == "identifier") {
            let range = range_of(child);
            let name = self.intern(range);
            let expr = self.expr(Expr::Name { name, scope, at: range.start });
            self.occurrence(range, Role::Reference, symbol, Target::Expr(expr));
            self.facts.scopes[scope.0 as usize].outer.push((name, is_global));
        }
    }

    /// An import statement: shallow, so it is read at once.
    pub(super) fn import(&mut self, node: Node<'_>, kind: K, scope: ScopeId, symbol: u32) {
        let mut level = 0;
        let mut module: Vec<(NameId, ByteRange)> = Vec::new();
        if kind != K::Import {
            match node.child_by_field_name("module_name") {
                Some(from) if from.kind() == "relative_import" => {
                    let mut cursor = from.walk();
                    for part in from.named_children(&mut cursor) {
                        match part.kind() {
                            "import_prefix" => {
                                let dots = self.text.get(part.byte_range()).unwrap_or("");
                                level = dots.bytes().filter(|&byte| byte == b'.').count() as u16;
                            }
                            _ => module = self.dotted(part),
                        }
                    }
                }
                Some(from) => module = self.dotted(from),
                None if kind == K::FutureImport => {
                    module = vec![(self.intern_owned("__future__"), ByteRange::default())];
                }
                None => {}
            }
            let import = self.facts.imports.len() as u32;
            for (depth, (_, range)) in module.iter().enumerate() {
                if !range.is_empty() {
                    let target = Target::Module { import, depth: depth as u16 };
                    self.occurrence(*range, Role::Import, symbol, target);
                }
            }
        }
        let path: Vec<NameId> = module.iter().map(|(name, _)| *name).collect();
        let mut cursor = node.walk();
        let from = node.child_by_field_name("module_name").map(|from| from.id());
        for child in node.named_children(&mut cursor) {
            if Some(child.id()) == from {
                continue;
            }
            let (name, alias) = match child.kind() {
                "aliased_import" => {
                    (child.child_by_field_name("name"), child.child_by_field_name("alias"))
                }
                "dotted_name" => (Some(child), None),
                "wildcard_import" => {
                    let import = self.facts.imports.len() as u32;
                    self.facts.imports.push(Import {
                        level,
                        module: path.clone(),
                        what: Imported::Star,
                    });
                    self.facts.scopes[scope.0 as usize].stars.push(import);
                    continue;
                }
                _ => continue,
            };
            let Some(name) = name else { continue };
            let parts = self.dotted(name);
            let Some(&(last, last_range)) = parts.last() else { continue };
            let import = self.facts.imports.len() as u32;
            let (module, what, bound) = if kind == K::Import {
                let module: Vec<NameId> = parts.iter().map(|(name, _)| *name).collect();
                if alias.is_some() {
                    (module, Imported::Whole, parts[0])
                } else {
                    (module, Imported::Root, parts[0])
                }
            } else {
                (path.clone(), Imported::Name(last), (last, last_range))
            };
            self.facts.imports.push(Import { level, module, what });
            if kind == K::Import {
                for (depth, (_, range)) in parts.iter().enumerate() {
                    let target = Target::Module { import, depth: depth as u16 };
                    self.occurrence(*range, Role::Import, symbol, target);
                }
            } else {
                self.occurrence(last_range, Role::Import, symbol, Target::Imported(import));
            }
            let (name, at) = match alias {
                None => (bound.0, bound.1.start),
                Some(alias) => {
                    let range = range_of(alias);
                    let name = self.intern(range);
                    let target = if kind == K::Import {
                        Target::Module { import, depth: parts.len() as u16 - 1 }
                    } else {
                        Target::Imported(import)
                    };
                    self.occurrence(range, Role::Import, symbol, target);
                    if name != last {
                        let old = self.facts.name(last).to_owned();
                        self.aliases.push((self.facts.name(name).to_owned(), old));
                    }
                    (name, range.start)
                }
            };
            let value = self.expr(Expr::Import(import));
            let home = self.home(scope, name);
            let block = self.block();
            self.facts.scopes[home.0 as usize].bindings.push(Binding {
                name,
                symbol: NO_SYMBOL,
                at,
                block,
                value,
                annotation: ExprId::NONE,
            });
        }
    }

    /// The identifiers of a dotted name.
    fn dotted(&mut self, node: Node<'_>) -> Vec<(NameId, ByteRange)> {
        let mut cursor = node.walk();
        let ranges: Vec<ByteRange> = node
            .named_children(&mut cursor)
            .filter(|part| part.kind() == "identifier")
            .map(range_of)
            .filter(|range| !range.is_empty())
            .collect();
        ranges.into_iter().map(|range| (self.intern(range), range)).collect()
    }
}

/// From the first keyword to where the body begins.
fn signature(item: ByteRange, body: Option<ByteRange>) -> ByteRange {
    match body {
        Some(body) if body.start > item.start => ByteRange::new(item.start, body.start),
        _ => item,
    }
}

/// The statement, or its first line when it is long.
fn first_line(text: &str, statement: ByteRange) -> ByteRange {
    if statement.end - statement.start <= MAX_SIGNATURE_BYTES {
        return statement;
    }
    let line = statement.slice(text).lines().next().unwrap_or("");
    ByteRange::new(statement.start, statement.start + line.len() as u32)
}

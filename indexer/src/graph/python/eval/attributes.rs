//! Attributes: members of objects, along the method resolution order.

use std::sync::Arc;

use super::{Eval, Meaning, names::live};
use crate::{
    FileId,
    graph::Certainty,
    graph::python::{
        facts::{Binding, Expr, NO_SYMBOL, PythonFacts, bindings_of},
        library,
        types::{ClassId, FunctionId, Type, Types, merge},
    },
};

impl<'g> Eval<'g> {
    /// The values of `object.name`.
    pub(crate) fn attribute(&self, object: &Type, name: &str) -> Types {
        self.bounded(|| {
            let mut types = Types::new();
            for (meaning, owner) in self.members(object, name) {
                match meaning {
                    Meaning::Bound { file, bindings, .. } if owner.is_some() => {
                        let receiver = self.receiver(object);
                        for binding in bindings {
                            merge(&mut types, self.read(file, binding, &receiver, owner));
                        }
                    }
                    other => merge(&mut types, self.types_of_meaning(other)),
                }
            }
            if types.is_empty() {
                types = self.library_attribute(object, name);
            }
            types
        })
    }

    /// What a method of `object` is bound to.
    fn receiver(&self, object: &Type) -> Type {
        match object {
            Type::Super(class) => Type::instance(*class),
            other => other.clone(),
        }
    }

    /// The value of a class member read through `receiver`.
    fn read(
        &self,
        file: FileId,
        binding: &Binding,
        receiver: &Type,
        owner: Option<ClassId>,
    ) -> Types {
        let Some(facts) = self.facts(file) else { return Types::new() };
        if let Expr::Function(index) = facts.expr(binding.value) {
            let Some(function) = facts.functions.get(index as usize) else { return Types::new() };
            let id = FunctionId { file, index };
            if function.flags.is_property && matches!(receiver, Type::Instance(..)) {
                if function.flags.is_accessor {
                    return Types::new();
                }
                return self.returned(id, Some(receiver), None);
            }
            return vec![Type::Function(id, Some(Arc::new(receiver.clone())))];
        }
        if let Some(owner) = owner
            && binding.annotation.is_none()
            && !matches!(facts.expr(binding.value), Expr::Class(_))
            && self.is_enum_member(owner, facts, binding)
        {
            return vec![Type::instance(owner)];
        }
        let types = self.types_of_binding(file, binding, Some(receiver));
        // Descriptors give what `__get__` returns.
        let mut read = Types::new();
        for ty in types {
            let got = match &ty {
                Type::Instance(class, _) if self.find_member(*class, "__get__").is_some() => {
                    self.method_result(&ty, "__get__")
                }
                _ => Types::new(),
            };
            if got.is_empty() {
                merge(&mut read, self.bound_argument(ty, receiver, file));
            } else {
                merge(&mut read, got);
            }
        }
        read
    }

    /// A class's type variable becomes the receiver's argument, if it is the only one.
    fn bound_argument(&self, ty: Type, receiver: &Type, _file: FileId) -> Types {
        if let (Type::Variable(..), Type::Instance(_, args)) = (&ty, receiver)
            && let [only] = &args[..]
            && !only.is_empty()
        {
            return only.clone();
        }
        self.bound_of(ty)
    }

    fn is_enum_member(&self, owner: ClassId, facts: &PythonFacts, binding: &Binding) -> bool {
        !facts.name(binding.name).starts_with('_')
            && binding.symbol != NO_SYMBOL
            && !binding.value.is_none()
            && self.is_enum(owner)
    }

    pub(crate) fn is_enum(&self, class: ClassId) -> bool {
        self.linear(class).external.iter().any(|base| {
            matches!(
                library::last(base),
                "Enum" | "IntEnum" | "StrEnum" | "Flag" | "IntFlag" | "ReprEnum"
            )
        })
    }

    /// What `name` means as a member of `object`, with the class it was found in.
    pub(crate) fn members(&self, object: &Type, name: &str) -> Vec<(Meaning<'g>, Option<ClassId>)> {
        match object {
            Type::Module(file) => {
                self.module_member(*file, name).map(|found| (found, None)).into_iter().collect()
            }
            Type::Folder(folder) => self
                .module(self.project.modules.within(folder, &[name]))
                .map(|found| (found, None))
                .into_iter()
                .collect(),
            Type::Instance(class, _) | Type::Class(class) => {
                self.find_member(*class, name).into_iter().collect()
            }
            Type::Super(class) => {
                let linear = self.linear(*class);
                self.find_in(&linear.classes[1.min(linear.classes.len())..], name)
                    .into_iter()
                    .collect()
            }
            Type::Variable(file, _, bound) => self
                .instances(*file, *bound)
                .iter()
                .filter(|ty| !matches!(ty, Type::Variable(..)))
                .flat_map(|ty| self.members(ty, name))
                .collect(),
            Type::External(path) => {
                vec![(Meaning::External(format!("{path}.{name}").into()), None)]
            }
            Type::ExternalInstance(..) | Type::Function(..) | Type::Lambda(..) => Vec::new(),
        }
    }

    fn find_member(&self, class: ClassId, name: &str) -> Option<(Meaning<'g>, Option<ClassId>)> {
        self.find_in(&self.linear(class).classes, name)
    }

    fn find_in(&self, classes: &[ClassId], name: &str) -> Option<(Meaning<'g>, Option<ClassId>)> {
        let mut first = None;
        for &class in classes {
            let Some(bindings) = self.own_member(class, name) else { continue };
            let is_declared = self.facts(class.file).is_some_and(|facts| {
                bindings.first().is_some_and(|binding| is_declaration(facts, binding))
            });
            let meaning =
                Meaning::Bound { file: class.file, bindings, certainty: Certainty::Exact };
            // A declared type above says more than an assignment below.
            if is_declared {
                return Some((meaning, Some(class)));
            }
            first.get_or_insert((meaning, Some(class)));
        }
        first
    }

    /// Where `class` itself binds `name`: its body first, then its methods.
    pub(crate) fn own_member(&self, class: ClassId, name: &str) -> Option<Vec<&'g Binding>> {
        let facts = self.facts(class.file)?;
        let info = facts.classes.get(class.index as usize)?;
        let name = facts.name_id(name)?;
        let scope = facts.scope(info.scope)?;
        let body = bindings_of(&scope.bindings, name);
        let mut found = live(facts, scope, body, u32::MAX, true);
        let attributes = bindings_of(&info.attributes, name);
        let is_declared = found.iter().any(|binding| is_declaration(facts, binding));
        if !is_declared {
            match attributes.iter().find(|binding| !binding.annotation.is_none()) {
                Some(annotated) => found.insert(0, annotated),
                None => found.extend(attributes),
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// Attributes of built-in types that lead back into the project.
    fn library_attribute(&self, object: &Type, name: &str) -> Types {
        match object {
            Type::ExternalInstance(path, args) => library::attribute(path, args, name),
            Type::Instance(class, _) => match name {
                "__class__" => vec![Type::Class(*class)],
                _ => {
                    // A subclass of `dict[K, V]` has its methods.
                    let mut types = Types::new();
                    for path in &self.linear(*class).external {
                        let args = [self.base_arguments(object)];
                        merge(&mut types, library::attribute(path, &args, name));
                    }
                    types
                }
            },
            _ => Types::new(),
        }
    }
}

/// True for a definition or an annotated name: its type does not depend on the value.
fn is_declaration(facts: &PythonFacts, binding: &Binding) -> bool {
    !binding.annotation.is_none()
        || matches!(facts.expr(binding.value), Expr::Function(_) | Expr::Class(_))
}

//! Node kinds and fields of the Rust grammar as small enums, so that the walk never compares strings.

use std::sync::LazyLock;

use tree_sitter::Node;

/// Defines an enum of names and lists them.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name { $($variant,)* }

        impl $name {
            const ALL: &[(&str, Self)] = &[$(($text, Self::$variant)),*];
        }
    };
}

names! {
    /// Node kinds that the extraction treats on their own.
    K {
        Other = "",
        ParenOpen = "(",
        SquareOpen = "[",
        CurlyOpen = "{",
        ParenClose = ")",
        SquareClose = "]",
        CurlyClose = "}",
        Dot = ".",
        Colon = ":",
        Colons = "::",
        Question = "?",
        Bang = "!",
        AbstractType = "abstract_type",
        ArrayExpression = "array_expression",
        ArrayType = "array_type",
        AssignmentExpression = "assignment_expression",
        AssociatedType = "associated_type",
        AsyncBlock = "async_block",
        AttributeItem = "attribute_item",
        AwaitExpression = "await_expression",
        BinaryExpression = "binary_expression",
        Block = "block",
        BlockComment = "block_comment",
        BooleanLiteral = "boolean_literal",
        BoundedType = "bounded_type",
        BracketedType = "bracketed_type",
        CallExpression = "call_expression",
        CapturedPattern = "captured_pattern",
        CharLiteral = "char_literal",
        ClosureExpression = "closure_expression",
        CompoundAssignmentExpr = "compound_assignment_expr",
        ConstBlock = "const_block",
        ConstItem = "const_item",
        ConstParameter = "const_parameter",
        Crate = "crate",
        DynamicType = "dynamic_type",
        EnumItem = "enum_item",
        EnumVariant = "enum_variant",
        ExpressionStatement = "expression_statement",
        ExternCrateDeclaration = "extern_crate_declaration",
        FieldDeclaration = "field_declaration",
        FieldExpression = "field_expression",
        FieldIdentifier = "field_identifier",
        FieldInitializer = "field_initializer",
        FieldPattern = "field_pattern",
        FloatLiteral = "float_literal",
        ForExpression = "for_expression",
        FunctionItem = "function_item",
        FunctionModifiers = "function_modifiers",
        FunctionSignatureItem = "function_signature_item",
        FunctionType = "function_type",
        GenericFunction = "generic_function",
        GenericType = "generic_type",
        GenericTypeWithTurbofish = "generic_type_with_turbofish",
        HigherRankedTraitBound = "higher_ranked_trait_bound",
        Identifier = "identifier",
        IfExpression = "if_expression",
        ImplItem = "impl_item",
        IndexExpression = "index_expression",
        InnerAttributeItem = "inner_attribute_item",
        IntegerLiteral = "integer_literal",
        Label = "label",
        LetCondition = "let_condition",
        LetDeclaration = "let_declaration",
        Lifetime = "lifetime",
        LineComment = "line_comment",
        LoopExpression = "loop_expression",
        MacroDefinition = "macro_definition",
        MacroInvocation = "macro_invocation",
        MacroRule = "macro_rule",
        MatchArm = "match_arm",
        MatchExpression = "match_expression",
        MatchPattern = "match_pattern",
        ModItem = "mod_item",
        MutPattern = "mut_pattern",
        OrPattern = "or_pattern",
        OrderedFieldDeclarationList = "ordered_field_declaration_list",
        Parameter = "parameter",
        ParenthesizedExpression = "parenthesized_expression",
        PointerType = "pointer_type",
        PrimitiveType = "primitive_type",
        QualifiedType = "qualified_type",
        RawStringLiteral = "raw_string_literal",
        RefPattern = "ref_pattern",
        ReferenceExpression = "reference_expression",
        ReferencePattern = "reference_pattern",
        ReferenceType = "reference_type",
        ScopedIdentifier = "scoped_identifier",
        ScopedTypeIdentifier = "scoped_type_identifier",
        ScopedUseList = "scoped_use_list",
        SelfName = "self",
        SelfParameter = "self_parameter",
        ShorthandFieldIdentifier = "shorthand_field_identifier",
        ShorthandFieldInitializer = "shorthand_field_initializer",
        SlicePattern = "slice_pattern",
        StaticItem = "static_item",
        StringLiteral = "string_literal",
        StructExpression = "struct_expression",
        StructItem = "struct_item",
        StructPattern = "struct_pattern",
        Super = "super",
        TokenRepetition = "token_repetition",
        TokenTree = "token_tree",
        TraitBounds = "trait_bounds",
        TraitItem = "trait_item",
        TryExpression = "try_expression",
        TupleExpression = "tuple_expression",
        TuplePattern = "tuple_pattern",
        TupleStructPattern = "tuple_struct_pattern",
        TupleType = "tuple_type",
        TypeBinding = "type_binding",
        TypeCastExpression = "type_cast_expression",
        TypeIdentifier = "type_identifier",
        TypeItem = "type_item",
        TypeParameter = "type_parameter",
        UnaryExpression = "unary_expression",
        UnionItem = "union_item",
        UnitType = "unit_type",
        UnsafeBlock = "unsafe_block",
        UseAsClause = "use_as_clause",
        UseDeclaration = "use_declaration",
        UseList = "use_list",
        UseWildcard = "use_wildcard",
        VisibilityModifier = "visibility_modifier",
        WherePredicate = "where_predicate",
        WhileExpression = "while_expression",
    }
}

names! {
    /// Fields that the extraction reads.
    F {
        Alias = "alias",
        Alternative = "alternative",
        Argument = "argument",
        Arguments = "arguments",
        Body = "body",
        Bounds = "bounds",
        Condition = "condition",
        Consequence = "consequence",
        DefaultType = "default_type",
        Element = "element",
        Field = "field",
        Function = "function",
        Left = "left",
        List = "list",
        Macro = "macro",
        Name = "name",
        Operator = "operator",
        Parameters = "parameters",
        Path = "path",
        Pattern = "pattern",
        ReturnType = "return_type",
        Right = "right",
        Trait = "trait",
        Type = "type",
        TypeArguments = "type_arguments",
        Value = "value",
    }
}

struct Grammar {
    kinds: Vec<K>,
    /// By number of the field's name in [`F`].
    fields: Vec<u16>,
}

static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    let language = tree_sitter::Language::new(tree_sitter_rust::LANGUAGE);
    let kinds = (0..language.node_kind_count() as u16)
        .map(|id| {
            let name = language.node_kind_for_id(id).unwrap_or_default();
            K::ALL.iter().find(|(text, _)| *text == name).map_or(K::Other, |(_, kind)| *kind)
        })
        .collect();
    let fields = F::ALL
        .iter()
        .map(|(name, _)| language.field_id_for_name(name).map_or(0, u16::from))
        .collect();
    Grammar { kinds, fields }
});

impl F {
    /// The field's number in the grammar; 0 is none.
    pub(super) fn id(self) -> u16 {
        GRAMMAR.fields[self as usize]
    }
}

/// What a node is and has, without strings.
pub(super) trait Kinds<'tree> {
    fn k(&self) -> K;
    fn field(&self, field: F) -> Option<Node<'tree>>;
}

impl<'tree> Kinds<'tree> for Node<'tree> {
    fn k(&self) -> K {
        GRAMMAR.kinds.get(self.kind_id() as usize).copied().unwrap_or(K::Other)
    }

    fn field(&self, field: F) -> Option<Node<'tree>> {
        self.child_by_field_id(field.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_has_all_names() {
        let language = tree_sitter::Language::new(tree_sitter_rust::LANGUAGE);
        let has_kind = |name: &str| {
            (0..language.node_kind_count() as u16)
                .any(|id| language.node_kind_for_id(id) == Some(name))
        };
        let kinds = K::ALL.iter().map(|(name, _)| *name).skip(1);
        let missing: Vec<&str> = kinds.filter(|name| !has_kind(name)).collect();
        assert!(missing.is_empty(), "no such kinds: {missing:?}");
        assert!(F::ALL.iter().all(|(name, _)| language.field_id_for_name(name).is_some()));
    }
}

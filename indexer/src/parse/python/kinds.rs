//! Node kinds and fields of the Python grammar as small enums, so that the walk never compares
//! strings.

use std::sync::LazyLock;

/// Node kinds that the extraction treats on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum K {
    Other,
    Module,
    Block,
    Identifier,
    Attribute,
    Call,
    ArgumentList,
    KeywordArgument,
    Subscript,
    GenericType,
    TypeParameter,
    UnionType,
    MemberType,
    Type,
    Assignment,
    AugmentedAssignment,
    NamedExpression,
    For,
    ForIn,
    WithItem,
    AsPattern,
    ExceptClause,
    Global,
    Nonlocal,
    Import,
    ImportFrom,
    FutureImport,
    Function,
    Class,
    Lambda,
    Parameters,
    DefaultParameter,
    TypedParameter,
    TypedDefaultParameter,
    ListSplatPattern,
    DictSplatPattern,
    Decorated,
    Decorator,
    ListComprehension,
    SetComprehension,
    DictComprehension,
    Generator,
    Await,
    Binary,
    Boolean,
    Not,
    Conditional,
    Parenthesized,
    Tuple,
    PatternTuple,
    List,
    Set,
    Dictionary,
    Pair,
    Str,
    ConcatenatedString,
    Integer,
    Float,
    Bool,
    None,
    ListSplat,
    DictSplat,
    Yield,
    Return,
    If,
    Elif,
    While,
    Assert,
    TypeAlias,
    Match,
    CaseClause,
    CasePattern,
    ClassPattern,
    KeywordPattern,
    SplatPattern,
    DottedName,
    Comment,
    /// A statement that leaves its suite.
    Leave,
    StringPart,
}

/// Fields that the extraction reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum F {
    None,
    Name,
    Body,
    Left,
    Right,
    Type,
    Value,
    Object,
    Attribute,
    Function,
    Arguments,
    Subscript,
    Superclasses,
    ReturnType,
    TypeParameters,
    Condition,
    Consequence,
    Alternative,
    Alias,
    Subject,
    Key,
    Definition,
}

pub(super) struct Grammar {
    kinds: Vec<K>,
    fields: Vec<F>,
}

impl Grammar {
    pub(super) fn kind(&self, id: u16) -> K {
        self.kinds.get(id as usize).copied().unwrap_or(K::Other)
    }

    pub(super) fn field(&self, id: Option<std::num::NonZeroU16>) -> F {
        id.and_then(|id| self.fields.get(id.get() as usize).copied()).unwrap_or(F::None)
    }
}

pub(super) static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| {
    let language = tree_sitter::Language::new(tree_sitter_python::LANGUAGE);
    let kinds = (0..language.node_kind_count() as u16)
        .map(|id| match language.node_kind_for_id(id) {
            Some(kind) if language.node_kind_is_named(id) => kind_of(kind),
            _ => K::Other,
        })
        .collect();
    let fields = (0..=language.field_count() as u16)
        .map(|id| language.field_name_for_id(id).map_or(F::None, field_of))
        .collect();
    Grammar { kinds, fields }
});

fn kind_of(kind: &str) -> K {
    match kind {
        "module" => K::Module,
        "block" => K::Block,
        "identifier" => K::Identifier,
        "attribute" => K::Attribute,
        "call" => K::Call,
        "argument_list" => K::ArgumentList,
        "keyword_argument" => K::KeywordArgument,
        "subscript" => K::Subscript,
        "generic_type" => K::GenericType,
        "type_parameter" => K::TypeParameter,
        "union_type" => K::UnionType,
        "member_type" => K::MemberType,
        "type" => K::Type,
        "assignment" => K::Assignment,
        "augmented_assignment" => K::AugmentedAssignment,
        "named_expression" => K::NamedExpression,
        "for_statement" => K::For,
        "for_in_clause" => K::ForIn,
        "with_item" => K::WithItem,
        "as_pattern" => K::AsPattern,
        "except_clause" => K::ExceptClause,
        "global_statement" => K::Global,
        "nonlocal_statement" => K::Nonlocal,
        "import_statement" => K::Import,
        "import_from_statement" => K::ImportFrom,
        "future_import_statement" => K::FutureImport,
        "function_definition" => K::Function,
        "class_definition" => K::Class,
        "lambda" => K::Lambda,
        "parameters" | "lambda_parameters" => K::Parameters,
        "default_parameter" => K::DefaultParameter,
        "typed_parameter" => K::TypedParameter,
        "typed_default_parameter" => K::TypedDefaultParameter,
        "list_splat_pattern" => K::ListSplatPattern,
        "dictionary_splat_pattern" => K::DictSplatPattern,
        "decorated_definition" => K::Decorated,
        "decorator" => K::Decorator,
        "list_comprehension" => K::ListComprehension,
        "set_comprehension" => K::SetComprehension,
        "dictionary_comprehension" => K::DictComprehension,
        "generator_expression" => K::Generator,
        "await" => K::Await,
        "binary_operator" => K::Binary,
        "boolean_operator" => K::Boolean,
        "not_operator" => K::Not,
        "conditional_expression" => K::Conditional,
        "parenthesized_expression"
        | "parenthesized_list_splat"
        | "as_pattern_target"
        | "expression_statement" => K::Parenthesized,
        "tuple" | "expression_list" => K::Tuple,
        "pattern_list" | "tuple_pattern" | "list_pattern" => K::PatternTuple,
        "list" => K::List,
        "set" => K::Set,
        "dictionary" => K::Dictionary,
        "pair" => K::Pair,
        "string" => K::Str,
        "concatenated_string" => K::ConcatenatedString,
        "integer" => K::Integer,
        "float" => K::Float,
        "true" | "false" => K::Bool,
        "none" => K::None,
        "list_splat" => K::ListSplat,
        "dictionary_splat" => K::DictSplat,
        "yield" => K::Yield,
        "return_statement" => K::Return,
        "if_statement" => K::If,
        "elif_clause" => K::Elif,
        "while_statement" => K::While,
        "assert_statement" => K::Assert,
        "type_alias_statement" => K::TypeAlias,
        "match_statement" => K::Match,
        "case_clause" => K::CaseClause,
        "case_pattern" => K::CasePattern,
        "class_pattern" => K::ClassPattern,
        "keyword_pattern" => K::KeywordPattern,
        "splat_pattern" => K::SplatPattern,
        "dotted_name" => K::DottedName,
        "comment" => K::Comment,
        "raise_statement" | "continue_statement" | "break_statement" => K::Leave,
        "string_start" | "string_content" | "string_end" => K::StringPart,
        _ => K::Other,
    }
}

fn field_of(field: &str) -> F {
    match field {
        "name" => F::Name,
        "body" => F::Body,
        "left" => F::Left,
        "right" => F::Right,
        "type" => F::Type,
        "value" => F::Value,
        "object" => F::Object,
        "attribute" => F::Attribute,
        "function" => F::Function,
        "arguments" => F::Arguments,
        "subscript" => F::Subscript,
        "superclasses" => F::Superclasses,
        "return_type" => F::ReturnType,
        "type_parameters" => F::TypeParameters,
        "condition" => F::Condition,
        "consequence" => F::Consequence,
        "alternative" => F::Alternative,
        "alias" => F::Alias,
        "subject" => F::Subject,
        "key" => F::Key,
        "definition" => F::Definition,
        _ => F::None,
    }
}

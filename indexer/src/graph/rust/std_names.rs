//! What is known of the standard library without having it: names of the prelude, macros, and how
//! well-known methods change a type. Arguments are counted from 0: `Element` of `Vec<T>` is `T`.

/// Names visible everywhere, with where they come from.
pub(crate) fn prelude(name: &str) -> Option<String> {
    const PRELUDE: &[(&str, &str)] = &[
        ("option", "Option Some None"),
        ("result", "Result Ok Err"),
        ("vec", "Vec"),
        ("boxed", "Box"),
        ("string", "String ToString"),
        ("borrow", "ToOwned"),
        ("clone", "Clone"),
        ("marker", "Copy Send Sync Sized Unpin"),
        ("cmp", "PartialEq Eq PartialOrd Ord"),
        ("default", "Default"),
        ("fmt", "Debug"),
        ("hash", "Hash"),
        ("convert", "From Into AsRef AsMut TryFrom TryInto"),
        ("iter", "Iterator IntoIterator DoubleEndedIterator ExactSizeIterator Extend FromIterator"),
        ("ops", "Drop Fn FnMut FnOnce"),
        ("mem", "drop size_of size_of_val align_of"),
    ];
    if PRIMITIVES.contains(&name) {
        return Some(name.to_owned());
    }
    PRELUDE
        .iter()
        .find(|(_, names)| names.split(' ').any(|other| other == name))
        .map(|(module, _)| format!("std::{module}::{name}"))
}

pub(crate) const PRIMITIVES: &[&str] = &[
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64",
    "i128", "isize", "f32", "f64",
];

pub(crate) const MACROS: &[&str] = &[
    "println",
    "print",
    "eprintln",
    "eprint",
    "format",
    "write",
    "writeln",
    "vec",
    "panic",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "matches",
    "todo",
    "unimplemented",
    "unreachable",
    "dbg",
    "concat",
    "stringify",
    "include_str",
    "include_bytes",
    "include",
    "env",
    "option_env",
    "line",
    "file",
    "column",
    "module_path",
    "cfg",
    "compile_error",
    "thread_local",
    "format_args",
    "macro_rules",
];

/// Types that lend the methods of their first argument.
pub(crate) const WRAPPERS: &[&str] = &[
    "Box",
    "Rc",
    "Arc",
    "Pin",
    "Ref",
    "RefMut",
    "MutexGuard",
    "RwLockReadGuard",
    "RwLockWriteGuard",
    "Cow",
    "ManuallyDrop",
    "LazyLock",
    "Lazy",
    "AssertUnwindSafe",
    "Reverse",
];

/// How a method of an outside type makes its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// The receiver's type.
    Same,
    /// The last argument: what a collection or iterator holds, a map's value.
    Element,
    /// The first argument: `Option<T>` to `T`.
    First,
    /// A map's key and value.
    OptionOfElement,
    /// An iterator over what the receiver holds.
    Iter,
    /// An iterator over the first argument: a map's keys.
    IterOfFirst,
    /// Receiver's shape with the closure's result in the first place.
    Mapped,
    /// What the closure gives, as it is.
    ClosureResult,
    /// An iterator over what the closure's iterable gives.
    FlatMapped,
    /// An iterator over the inside of what the closure's option holds.
    FilterMapped,
    Enumerated,
    OptionOfFirst,
    ResultOfFirst,
    /// `Option<&T>` inside: strips one wrapper of the first argument.
    Flattened,
    Named(&'static str),
}

/// The result of `method` on the outside type `name` (its last segment).
pub(crate) fn method(name: &str, method: &str) -> Option<Known> {
    use Known as R;
    let is_option = name == "Option";
    let is_result = name == "Result";
    let is_iter = matches!(
        name,
        "Iterator"
            | "IntoIterator"
            | "DoubleEndedIterator"
            | "ExactSizeIterator"
            | "Iter"
            | "IterMut"
            | "IntoIter"
            | "Peekable"
            | "Stream"
    );
    let is_map = matches!(name, "HashMap" | "BTreeMap" | "IndexMap" | "FxHashMap");
    let is_list = matches!(
        name,
        "Vec"
            | "VecDeque"
            | "HashSet"
            | "BTreeSet"
            | "BinaryHeap"
            | "SmallVec"
            | "ArrayVec"
            | "LinkedList"
            | "IndexSet"
    );
    Some(match method {
        "clone" | "to_owned" | "as_ref" | "as_mut" | "borrow" | "borrow_mut" | "by_ref"
        | "cloned" | "copied" | "as_deref" | "as_deref_mut" | "deref" | "deref_mut"
        | "into_inner" | "to_vec" | "get_or_insert_with" | "as_slice" | "as_mut_slice"
        | "into_boxed_slice" | "as_pin_mut"
            if !is_wrapper_cell(name) =>
        {
            R::Same
        }
        "unwrap" | "expect" | "unwrap_or" | "unwrap_or_default" | "unwrap_or_else"
        | "unwrap_unchecked" | "expect_none"
            if is_option || is_result =>
        {
            R::First
        }
        "get_or_insert_with" | "get_or_insert" | "insert" if is_option => R::First,
        "ok" if is_result => R::OptionOfFirst,
        "ok_or" | "ok_or_else" if is_option => R::ResultOfFirst,
        "map" if is_option || is_result || is_iter => R::Mapped,
        "and_then" if is_option || is_result => R::ClosureResult,
        "map_or" | "map_or_else" if is_option || is_result => R::ClosureResult,
        "map_err" | "or_else" | "or" | "filter" | "take" | "replace" | "inspect" | "context"
        | "with_context" | "inspect_err" | "xor"
            if is_option || is_result =>
        {
            R::Same
        }
        "flatten" if is_option => R::Flattened,
        "iter" | "iter_mut" | "into_iter" | "drain" | "values" | "values_mut" | "into_values"
        | "chunks" | "windows" | "par_iter" | "into_par_iter" | "extract_if" | "range" => R::Iter,
        "keys" | "into_keys" if is_map => R::IterOfFirst,
        "get" | "get_mut" | "remove" if is_map => R::OptionOfElement,
        "insert" if is_map => R::OptionOfElement,
        "entry" if is_map => R::Same,
        "or_insert" | "or_insert_with" | "or_default" | "or_insert_with_key" if is_map => {
            R::Element
        }
        "get" | "get_mut" | "first" | "first_mut" | "last" | "last_mut" | "pop" | "pop_front"
        | "pop_back" | "front" | "front_mut" | "back" | "back_mut" | "peek" | "peek_mut"
            if is_list || is_iter =>
        {
            R::OptionOfElement
        }
        "remove" | "swap_remove" if is_list => R::Element,
        "next" | "nth" | "next_back" | "last" | "find" | "max" | "min" | "max_by_key"
        | "min_by_key" | "max_by" | "min_by" | "reduce" | "next_if"
            if is_iter =>
        {
            R::OptionOfElement
        }
        "filter" | "rev" | "skip" | "take" | "skip_while" | "take_while" | "chain" | "peekable"
        | "step_by" | "inspect" | "fuse" | "cycle"
            if is_iter =>
        {
            R::Same
        }
        "enumerate" if is_iter => R::Enumerated,
        "filter_map" | "find_map" | "map_while" if is_iter => R::FilterMapped,
        "flat_map" if is_iter => R::FlatMapped,
        "lock" | "read" | "write" | "try_lock" | "get_mut"
            if matches!(name, "Mutex" | "RwLock") =>
        {
            R::ResultOfFirst
        }
        "borrow" | "borrow_mut" | "get" | "get_mut" | "into_inner" | "take" | "replace"
        | "load" | "get_or_init" | "load_full"
            if is_wrapper_cell(name) =>
        {
            R::First
        }
        "upgrade" if name == "Weak" => R::OptionOfFirst,
        "len" | "count" | "capacity" => R::Named("usize"),
        "is_empty" | "is_some" | "is_none" | "is_ok" | "is_err" | "contains" | "contains_key"
        | "any" | "all" | "starts_with" | "ends_with" => R::Named("bool"),
        "to_string" | "to_lowercase" | "to_uppercase" | "repeat" => R::Named("String"),
        "as_str" | "trim" | "trim_start" | "trim_end" => R::Named("str"),
        "as_bytes" => R::Named("bytes"),
        _ => return None,
    })
}

fn is_wrapper_cell(name: &str) -> bool {
    matches!(name, "RefCell" | "Cell" | "UnsafeCell" | "OnceCell" | "OnceLock" | "Mutex" | "RwLock")
}

/// Methods that derives and blanket impls give to many types: not found in the project, they are
/// the library's.
pub(crate) const COMMON_METHODS: &[&str] = &[
    "clone",
    "into",
    "try_into",
    "to_string",
    "to_owned",
    "eq",
    "ne",
    "cmp",
    "partial_cmp",
    "hash",
    "fmt",
    "as_ref",
    "as_mut",
    "borrow",
    "borrow_mut",
    "unwrap",
    "expect",
    "iter",
    "len",
    "push",
    "map",
    "is_empty",
    "collect",
    "next",
    "into_iter",
    "iter_mut",
    "get",
    "insert",
    "contains",
    "unwrap_or",
    "unwrap_or_else",
    "unwrap_or_default",
    "and_then",
    "ok_or",
    "ok",
    "err",
    "is_some",
    "is_none",
    "is_ok",
    "is_err",
    "as_str",
    "as_bytes",
    "trim",
    "split",
    "extend",
    "filter",
    "find",
    "any",
    "all",
    "enumerate",
    "zip",
    "rev",
    "take",
    "skip",
    "chain",
    "fold",
    "sum",
    "max",
    "min",
    "join",
    "lines",
    "chars",
    "bytes",
    "starts_with",
    "ends_with",
    "replace",
    "parse",
    "push_str",
    "pop",
    "remove",
    "clear",
    "sort",
    "sort_by",
    "sort_by_key",
    "dedup",
    "retain",
    "drain",
    "last",
    "first",
    "lock",
    "send",
    "recv",
    "map_err",
    "copied",
    "cloned",
    "as_slice",
    "to_vec",
    "take_while",
    "wrapping_add",
    "saturating_sub",
    "checked_add",
    "write_str",
    "write_fmt",
    "get_mut",
    "entry",
    "or_insert",
    "or_default",
    "values",
    "keys",
    "filter_map",
    "flat_map",
    "position",
    "as_deref",
];

//! The little that must be known of built-in and `typing` classes to get from a container back to
//! the project: what iterating, indexing and the usual methods give.

use super::types::{Type, Types};

/// The last part of a dotted path.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// True if the path looks like a class by its spelling.
pub(crate) fn is_class_like(path: &str) -> bool {
    last(path).trim_start_matches('_').starts_with(char::is_uppercase)
        || path
            .strip_prefix("builtins.")
            .is_some_and(|name| matches!(name, "str" | "int" | "float" | "bool" | "bytes"))
}

/// Annotations that say nothing.
pub(crate) fn is_empty_type(path: &str) -> bool {
    matches!(last(path), "Any" | "None" | "object" | "NoReturn" | "Never" | "Incomplete")
}

fn is_mapping(name: &str) -> bool {
    matches!(
        name,
        "dict"
            | "Dict"
            | "Mapping"
            | "MutableMapping"
            | "defaultdict"
            | "DefaultDict"
            | "OrderedDict"
            | "WeakKeyDictionary"
            | "WeakValueDictionary"
            | "ChainMap"
            | "ItemsView"
    )
}

fn is_tuple(name: &str) -> bool {
    matches!(name, "tuple" | "Tuple")
}

fn first(args: &[Types]) -> Types {
    args.first().cloned().unwrap_or_default()
}

/// What iterating an instance gives.
pub(crate) fn element(path: &str, args: &[Types]) -> Types {
    let name = last(path);
    match name {
        _ if is_tuple(name) => {
            let mut types = Types::new();
            for part in args {
                super::types::merge(&mut types, part.clone());
            }
            types
        }
        "ItemsView" => vec![Type::known("builtins.tuple", args.to_vec())],
        "ValuesView" => args.last().cloned().unwrap_or_default(),
        "str"
        | "bytes"
        | "int"
        | "float"
        | "bool"
        | "Callable"
        | "Coroutine"
        | "Awaitable"
        | "ContextManager"
        | "AsyncContextManager" => Types::new(),
        _ => first(args),
    }
}

/// What indexing an instance gives.
pub(crate) fn subscript(path: &str, args: &[Types], index: Option<usize>) -> Types {
    let name = last(path);
    match name {
        _ if is_mapping(name) => args.get(1).cloned().unwrap_or_default(),
        _ if is_tuple(name) => match index {
            Some(index) => args.get(index).cloned().unwrap_or_default(),
            None => element(path, args),
        },
        _ => element(path, args),
    }
}

/// What an attribute of an instance gives; methods as callables with their result.
pub(crate) fn attribute(path: &str, args: &[Types], name: &str) -> Types {
    let class = last(path);
    let method = |result: Types| vec![Type::known("typing.Callable", vec![result])];
    if is_mapping(class) {
        let value = args.get(1).cloned().unwrap_or_default();
        return match name {
            "get" | "pop" | "setdefault" | "__getitem__" => method(value),
            "values" => method(vec![Type::known("typing.Iterable", vec![value])]),
            "keys" => method(vec![Type::known("typing.Iterable", vec![first(args)])]),
            "items" => {
                let pair = Type::known("builtins.tuple", args.to_vec());
                method(vec![Type::known("typing.Iterable", vec![vec![pair]])])
            }
            "popitem" => method(vec![Type::known("builtins.tuple", args.to_vec())]),
            "copy" => method(vec![Type::known(path, args.to_vec())]),
            _ => Types::new(),
        };
    }
    match (class, name) {
        ("list" | "List" | "deque" | "set" | "Set", "pop" | "popleft") => method(first(args)),
        ("list" | "List" | "set" | "Set" | "frozenset" | "deque", "copy" | "union") => {
            method(vec![Type::known(path, args.to_vec())])
        }
        ("ContextVar" | "ref" | "ReferenceType" | "Queue", "get" | "__call__") => {
            method(first(args))
        }
        _ => Types::new(),
    }
}

/// Names that every module has without defining them.
pub(crate) fn is_module_attribute(name: &str) -> bool {
    matches!(
        name,
        "__doc__"
            | "__file__"
            | "__loader__"
            | "__name__"
            | "__package__"
            | "__path__"
            | "__spec__"
    )
}

/// Members of built-in classes: a name alone says nothing about whose it is.
pub(crate) fn is_common_member(name: &str) -> bool {
    matches!(
        name,
        "append"
            | "add"
            | "capitalize"
            | "clear"
            | "close"
            | "copy"
            | "count"
            | "decode"
            | "encode"
            | "endswith"
            | "extend"
            | "find"
            | "format"
            | "get"
            | "index"
            | "insert"
            | "items"
            | "join"
            | "keys"
            | "lower"
            | "lstrip"
            | "partition"
            | "pop"
            | "popitem"
            | "read"
            | "readline"
            | "remove"
            | "replace"
            | "reverse"
            | "rpartition"
            | "rsplit"
            | "rstrip"
            | "setdefault"
            | "sort"
            | "split"
            | "splitlines"
            | "startswith"
            | "strip"
            | "title"
            | "update"
            | "upper"
            | "values"
            | "write"
    )
}

/// Names that are there without an import.
pub(crate) fn is_builtin(name: &str) -> bool {
    BUILTINS.binary_search(&name).is_ok()
}

#[rustfmt::skip]
const BUILTINS: &[&str] = &[
    "ArithmeticError", "AssertionError", "AttributeError", "BaseException", "BaseExceptionGroup",
    "BlockingIOError", "BrokenPipeError", "BufferError", "BytesWarning", "ChildProcessError",
    "ConnectionAbortedError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError",
    "DeprecationWarning", "EOFError", "Ellipsis", "EncodingWarning", "EnvironmentError",
    "Exception", "ExceptionGroup", "False", "FileExistsError", "FileNotFoundError",
    "FloatingPointError", "FutureWarning", "GeneratorExit", "IOError", "ImportError",
    "ImportWarning", "IndentationError", "IndexError", "InterruptedError", "IsADirectoryError",
    "KeyError", "KeyboardInterrupt", "LookupError", "MemoryError", "ModuleNotFoundError",
    "NameError", "None", "NotADirectoryError", "NotImplemented", "NotImplementedError", "OSError",
    "OverflowError", "PendingDeprecationWarning", "PermissionError", "ProcessLookupError",
    "RecursionError", "ReferenceError", "ResourceWarning", "RuntimeError", "RuntimeWarning",
    "StopAsyncIteration", "StopIteration", "SyntaxError", "SyntaxWarning", "SystemError",
    "SystemExit", "TabError", "TimeoutError", "True", "TypeError", "UnboundLocalError",
    "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "UnicodeTranslateError",
    "UnicodeWarning", "UserWarning", "ValueError", "Warning", "ZeroDivisionError", "__build_class__",
    "__debug__", "__doc__", "__file__", "__import__", "__loader__", "__name__", "__package__",
    "__path__", "__spec__", "abs", "aiter", "all", "anext", "any", "ascii", "bin", "bool",
    "breakpoint", "bytearray", "bytes", "callable", "chr", "classmethod", "compile", "complex",
    "copyright", "credits", "delattr", "dict", "dir", "divmod", "enumerate", "eval", "exec", "exit",
    "filter", "float", "format", "frozenset", "getattr", "globals", "hasattr", "hash", "help",
    "hex", "id", "input", "int", "isinstance", "issubclass", "iter", "len", "license", "list",
    "locals", "map", "max", "memoryview", "min", "next", "object", "oct", "open", "ord", "pow",
    "print", "property", "quit", "range", "repr", "reversed", "round", "set", "setattr", "slice",
    "sorted", "staticmethod", "str", "sum", "super", "tuple", "type", "vars", "zip",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtins_are_sorted() {
        assert!(BUILTINS.is_sorted());
    }
}

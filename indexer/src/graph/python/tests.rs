//! Fixture tests of the Python resolver.

use expect_test::{Expect, expect};

use crate::{
    FileId, SymbolId,
    graph::{Certainty, tests::load},
};

fn check_definition(text: &str, expected: Expect) {
    expected.assert_eq(&load(text, "main.py").definition());
}

/// Names offered at the cursor, private ones left out, with their distance.
fn check_offers(text: &str, expected: Expect) {
    let loaded = load(text, "main.py");
    let at = loaded.cursor();
    let buffer = &loaded.fixture.files[at.file.0 as usize].text;
    let offers = loaded.graph.offers(at.file, at.offset, buffer);
    let names: Vec<String> = offers
        .items
        .iter()
        .filter(|offer| !offer.name.starts_with('_'))
        .map(|offer| format!("{}@{}", offer.name, offer.distance))
        .collect();
    expected.assert_eq(&format!("member={} {}", offers.is_member, names.join(" ")));
}

#[test]
fn a_function_in_another_module() {
    check_definition(
        "
//- /pkg/__init__.py
//- /pkg/shape.py
def area(w, h):
    return w * h
//- /pkg/main.py
from .shape import area
print(ar$0ea(2, 3))
",
        expect!["/pkg/shape.py 1:5 function area Exact"],
    );
}

#[test]
fn re_exports_of_a_package_and_renaming() {
    check_definition(
        "
//- /src/lib/__init__.py
from ._core import Engine as Motor
//- /src/lib/_core.py
class Engine:
    def start(self): ...
//- /tests/test_lib.py
import lib as l
def test():
    l.Motor().sta$0rt()
",
        expect!["/src/lib/_core.py 2:9 method start Inferred"],
    );
}

#[test]
fn star_imports_follow_all() {
    check_definition(
        "
//- /a.py
__all__ = ['_hidden']
def _hidden(): ...
//- /b.py
from a import *
_hid$0den()
",
        expect!["/a.py 2:5 function _hidden Exact"],
    );
    check_definition(
        "
//- /a.py
__all__ = ['shown']
def shown(): ...
def other(): ...
//- /b.py
from a import *
oth$0er()
",
        expect![""],
    );
}

#[test]
fn namespace_packages_and_submodule_access() {
    check_definition(
        "
//- /src/space/part/mod.py
VALUE = 1
//- /app.py
import space.part.mod
print(space.part.mod.VAL$0UE)
",
        expect!["/src/space/part/mod.py 1:1 constant VALUE Exact"],
    );
}

#[test]
fn imports_under_type_checking() {
    check_definition(
        r#"
//- /p/__init__.py
//- /p/m.py
class Model:
    name: str
//- /p/u.py
import typing as t
if t.TYPE_CHECKING:
    from .m import Model
def use(m: "t.Optional[Model]", other: Model | None):
    return m.na$0me
"#,
        expect!["/p/m.py 2:5 field name Inferred"],
    );
}

#[test]
fn modules_are_definitions_too() {
    check_definition(
        "
//- /p/__init__.py
//- /p/m.py
x = 1
//- /q.py
from p import m$0
",
        expect!["/p/m.py 1:1 module  Exact"],
    );
}

#[test]
fn external_names_keep_their_path() {
    check_definition("import os.path as p\np.jo$0in('a')\n", expect!["external os.path.join"]);
    check_definition("le$0n([])\n", expect!["external builtins.len"]);
}

#[test]
fn scopes_shadow_from_the_inside() {
    check_definition(
        "
x = 1
def f():
    x = 2
    def g():
        return x$0
",
        expect!["/main.py 3:5 variable x Exact"],
    );
    check_definition(
        "
x = 1
def f():
    global x
    x = 2
    return x$0
",
        expect!["/main.py 1:1 variable x Exact"],
    );
    check_definition(
        "
class A:
    x = 1
    def f(self):
        return x$0
x = 2
",
        expect!["/main.py 5:1 variable x Exact"],
    );
    check_definition(
        "
def f(items):
    return [item for item in items if it$0em]
",
        expect!["/main.py 2:22 variable item Exact"],
    );
}

#[test]
fn self_attributes_from_anywhere_in_the_class_or_its_bases() {
    check_definition(
        "
class Base:
    def setup(self):
        self.db = 1
class Sub(Base):
    def run(self):
        return self.d$0b
",
        expect!["/main.py 3:14 field db Exact"],
    );
}

#[test]
fn the_linearization_decides_between_bases() {
    check_definition(
        "
class A:
    def f(self): ...
class B(A): ...
class C(A):
    def f(self): ...
class D(B, C): ...
D().f$0()
",
        expect!["/main.py 5:9 method f Inferred"],
    );
}

#[test]
fn classes_that_inherit_in_a_circle_end() {
    check_definition(
        "
class A(B):
    def f(self):
        self.g$0()
class B(A):
    def g(self): ...
",
        expect!["/main.py 5:9 method g Exact"],
    );
}

#[test]
fn super_starts_behind_the_class() {
    check_definition(
        "
class A:
    def f(self): ...
class B(A):
    def f(self):
        super().f$0()
",
        expect!["/main.py 2:9 method f Exact"],
    );
}

#[test]
fn receivers_by_annotation_constructor_and_return() {
    for line in [
        "def f(w: Work): w.r$0un()",
        "def f(w: 'Work'): w.r$0un()",
        "def f(w: Optional[Work]): w.r$0un()",
        "def f(w: Work | None = None): w.r$0un()",
        "def f(ws: list[Work]): ws[0].r$0un()",
        "def f(ws: dict[str, Work]):\n    for k, w in ws.items(): w.r$0un()",
        "def f(ws: Iterable[Work]):\n    for w in ws: w.r$0un()",
        "def f(ws: Iterable[Work]): return [w.r$0un() for w in ws]",
        "def f(ws: Sequence[Work]):\n    for i, w in enumerate(ws): w.r$0un()",
        "w = Work()\nw.r$0un()",
        "def make() -> Work: ...\nmake().r$0un()",
        "def make(): return Work()\nmake().r$0un()",
        "Work().me().r$0un()",
        "Work.make().r$0un()",
        "with Work() as w: w.r$0un()",
        "def f(w):\n    if isinstance(w, Work): w.r$0un()",
        "def f(w):\n    if not isinstance(w, Work):\n        return\n    w.r$0un()",
        "def f(w):\n    assert isinstance(w, Work)\n    w.r$0un()",
        "if (w := Work()): w.r$0un()",
        "a, w = 1, Work()\nw.r$0un()",
        "(None or Work()).r$0un()",
        "Works = list[Work]\ndef f(ws: Works): ws[0].r$0un()",
        "def f(w: type[Work]): w().r$0un()",
        "async def get() -> Work: ...\nasync def f(): (await get()).r$0un()",
        "T = TypeVar('T', bound=Work)\ndef f(w: T): w.r$0un()",
        "w = cast('Work', 1)\nw.r$0un()",
        "def f(w):\n    match w:\n        case Work():\n            w.r$0un()",
    ] {
        let text = format!(
            "
//- /main.py
from typing import Iterable, Optional, Sequence, TypeVar, cast
class Work:
    def run(self): ...
    def me(self): return self
    @classmethod
    def make(cls): return cls()
    def __enter__(self) -> 'Work': ...
class Other:
    def run(self): ...
{line}
"
        );
        let found = load(&text, "main.py").definition();
        assert_eq!(found, "/main.py 3:9 method run Inferred", "{line}");
    }
}

#[test]
fn properties_and_context_managers() {
    check_definition(
        "
from contextlib import contextmanager
class Session:
    def send(self): ...
class Client:
    @property
    def session(self) -> Session: ...
    @contextmanager
    def open(self):
        yield self.session
with Client().open() as s:
    s.se$0nd()
",
        expect!["/main.py 3:9 method send Inferred"],
    );
}

#[test]
fn enumerations_and_data_classes() {
    check_definition(
        "
import enum
class Color(enum.Enum):
    RED = 1
    def mix(self): ...
Color.RED.mi$0x()
",
        expect!["/main.py 4:9 method mix Inferred"],
    );
    check_definition(
        "
from dataclasses import dataclass
@dataclass
class Point:
    x: int
    y: int
Point(x=1, y$0=2)
",
        expect!["/main.py 5:5 field y Inferred"],
    );
}

#[test]
fn keywords_name_parameters() {
    check_definition(
        "
class A:
    def __init__(self, size): ...
class B(A): ...
B(si$0ze=1)
",
        expect!["/main.py 2:24 parameter size Inferred"],
    );
}

#[test]
fn an_unknown_receiver_gives_names_only() {
    check_definition(
        "
class Response:
    def render_all(self): ...
def f(response):
    response.render_a$0ll()
",
        expect!["/main.py 2:9 method render_all NameOnly"],
    );
}

#[test]
fn members_behind_a_dot_in_broken_code() {
    check_offers(
        "
class Base:
    def close(self): ...
class Conn(Base):
    host: str
    def send(self): ...
def f(c: Conn):
    c.$0
    x = 1
",
        expect!["member=true host@0 send@0 close@1"],
    );
    check_offers(
        "
class Conn:
    def send(self): ...
def f(c: Conn):
    c.se$0
",
        expect!["member=true send@0"],
    );
}

#[test]
fn names_in_scope_from_the_inside_out() {
    check_offers(
        "
import os
def helper(): ...
def f(arg):
    local = 1
    $0
",
        expect!["member=false arg@0 local@0 os@1 helper@1 f@1"],
    );
}

#[test]
fn types_members_and_bases_of_symbols() {
    let loaded = load(
        "
//- /main.py
class A:
    def f(self): ...
class B(A):
    def f(self): ...
b: B = B()
def g() -> list[A]: ...
",
        "main.py",
    );
    let graph = &loaded.graph;
    let named = |name: &str| graph.symbols_named(name);
    let file = FileId(0);
    let show = |found: Vec<crate::graph::Candidate>| {
        found.iter().map(|c| loaded.show(c.symbol)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(show(graph.type_of(named("b")[0])), "/main.py 3:7 class B");
    assert_eq!(show(graph.type_of(named("g")[0])), "/main.py 1:7 class A");
    assert_eq!(
        show(graph.hierarchy(named("B")[0], &crate::Cancel::never()).supers),
        "/main.py 1:7 class A"
    );
    let overridden: Vec<SymbolId> = named("f");
    assert_eq!(
        show(graph.hierarchy(overridden[1], &crate::Cancel::never()).supers),
        "/main.py 2:9 method f"
    );
    let scope = graph.in_scope(file);
    let names: Vec<&str> = scope.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["A", "B", "b", "g"]);
    assert!(scope.iter().all(|(_, found)| found.certainty == Certainty::Exact));
}

#[test]
fn deep_nesting_and_long_lines_end() {
    let deep = format!("x = {}1{}\n", "(".repeat(20_000), ")".repeat(20_000));
    let chain = format!("x = a{}\n", ".b".repeat(20_000));
    let calls = format!("x = a{}\n", "()".repeat(20_000));
    let wide = format!("x = [{}]\n", "a, ".repeat(50_000));
    for text in [deep, chain, calls, wide] {
        let facts = crate::parse::parse(crate::Language::Python, &text);
        assert!(!facts.symbols.is_empty());
        let loaded = load(&format!("//- /main.py\n{text}print(x$0)\n"), "main.py");
        assert!(!loaded.definition().is_empty());
    }
}

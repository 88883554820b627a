//! Fixture tests of Rust resolution.

use expect_test::{Expect, expect};

use crate::graph::{Graph, tests::load};

fn check_definition(fixture: &str, expect: Expect) {
    expect.assert_eq(&load(fixture, "src/lib.rs").definition());
}

/// The names offered at the cursor, the nearest first; at most 12.
fn check_offers(fixture: &str, expect: Expect) {
    let loaded = load(fixture, "src/lib.rs");
    let at = loaded.cursor();
    let text = &loaded.fixture.files[at.file.0 as usize].text;
    let offers = loaded.graph.offers(at.file, at.offset, text);
    let mut items = offers.items;
    items.sort_by_key(|item| item.distance);
    let names: Vec<&str> = items.iter().take(12).map(|item| item.name.as_str()).collect();
    expect.assert_eq(&names.join(" "));
}

#[test]
fn function_of_another_module_through_use() {
    check_definition(
        r#"
//- /src/lib.rs
mod shape;
use shape::area;
fn main() { ar$0ea(2, 3); }
//- /src/shape.rs
pub fn area(w: u32, h: u32) -> u32 { w * h }
"#,
        expect!["/src/shape.rs 1:8 function area Exact"],
    );
}

#[test]
fn reexport_chain_and_rename() {
    check_definition(
        r#"
//- /src/lib.rs
mod a;
pub use a::Thing as Item;
fn f() -> It$0em { todo!() }
//- /src/a/mod.rs
mod b;
pub use self::b::*;
//- /src/a/b.rs
pub struct Thing;
"#,
        expect!["/src/a/b.rs 1:12 struct Thing Exact"],
    );
}

#[test]
fn crate_of_the_workspace_through_a_renamed_path_dependency() {
    check_definition(
        r#"
//- /app/Cargo.toml
[package]
name = "app"
[dependencies]
base = { path = "../my-base", package = "my-base" }
//- /app/src/main.rs
use base::start;
fn main() { st$0art() }
//- /my-base/Cargo.toml
[package]
name = "my-base"
//- /my-base/src/lib.rs
pub fn start() {}
"#,
        expect!["/my-base/src/lib.rs 1:8 function start Exact"],
    );
}

#[test]
fn workspace_dependency_and_integration_test() {
    check_definition(
        r#"
//- /Cargo.toml
[workspace]
members = ["core", "cli"]
[workspace.dependencies]
core-lib = { path = "core" }
//- /core/Cargo.toml
[package]
name = "core-lib"
//- /core/src/lib.rs
pub mod deep { pub fn run() {} }
//- /cli/Cargo.toml
[package]
name = "cli"
[dependencies]
core-lib = { workspace = true }
//- /cli/tests/it.rs
#[test]
fn works() { core_lib::deep::ru$0n(); }
"#,
        expect!["/core/src/lib.rs 1:23 function run Exact"],
    );
}

#[test]
fn path_attribute_and_super() {
    check_definition(
        r#"
//- /src/lib.rs
#[path = "other/place.rs"]
mod moved;
fn helper() {}
//- /src/other/place.rs
fn f() { super::hel$0per(); }
"#,
        expect!["/src/lib.rs 3:4 function helper Exact"],
    );
}

#[test]
fn local_shadows_item_and_later_let_shadows_earlier() {
    check_definition(
        r#"
fn value() {}
fn f() { let value = 1; let value = value$0 + 1; }
"#,
        expect!["/src/lib.rs 2:14 variable value Exact"],
    );
}

#[test]
fn constant_in_pattern_is_no_binding() {
    check_definition(
        r#"
const LIMIT: u32 = 3;
fn f(x: u32) { match x { LI$0MIT => {} _ => {} } }
"#,
        expect!["/src/lib.rs 1:7 constant LIMIT Exact"],
    );
}

#[test]
fn method_of_constructed_type() {
    check_definition(
        r#"
struct A; struct B;
impl A { fn new() -> Self { A } fn go(&self) {} }
impl B { fn go(&self) {} }
fn f() { let a = A::new(); a.g$0o(); }
"#,
        expect!["/src/lib.rs 2:36 method go Exact"],
    );
}

#[test]
fn method_chain_through_fields_and_wrappers() {
    check_definition(
        r#"
use std::sync::{Arc, Mutex};
struct Inner { count: u32 }
impl Inner { fn bump(&mut self) {} }
struct Other; impl Other { fn bump(&mut self) {} }
struct Outer { inner: Arc<Mutex<Inner>> }
impl Outer { fn f(&self) { self.inner.lock().unwrap().bu$0mp(); } }
"#,
        expect!["/src/lib.rs 3:17 method bump Exact"],
    );
}

#[test]
fn question_mark_and_if_let() {
    check_definition(
        r#"
struct Item { name: String } struct Other { name: String }
fn load() -> Result<Option<Item>, ()> { Err(()) }
fn f() -> Result<(), ()> { if let Some(item) = load()? { item.na$0me; } Ok(()) }
"#,
        expect!["/src/lib.rs 1:15 field name Exact"],
    );
}

#[test]
fn for_loop_over_a_vec_field() {
    check_definition(
        r#"
struct Row; impl Row { fn draw(&self) {} }
struct Cell; impl Cell { fn draw(&self) {} }
struct Table { rows: Vec<Row> }
fn f(t: &Table) { for (i, row) in t.rows.iter().enumerate() { row.dr$0aw(); } }
"#,
        expect!["/src/lib.rs 1:27 method draw Exact"],
    );
}

#[test]
fn closure_parameter_of_map() {
    check_definition(
        r#"
struct Row { id: u32 } struct Cell { id: u32 }
fn f(rows: Vec<Row>) { rows.iter().filter(|r| true).map(|row| row.i$0d); }
"#,
        expect!["/src/lib.rs 1:14 field id Exact"],
    );
}

#[test]
fn generic_bound_and_default_method_of_supertrait() {
    check_definition(
        r#"
trait Base { fn name(&self) -> u32 { 1 } }
trait Named: Base {}
struct X; impl X { fn name(&self) {} }
fn f<T>(t: T) where T: Named { t.na$0me(); }
"#,
        expect!["/src/lib.rs 1:17 method name Inferred"],
    );
}

#[test]
fn trait_method_on_a_struct_goes_to_the_impl() {
    check_definition(
        r#"
trait Draw { fn draw(&self); fn twice(&self) { self.draw(); } }
struct A; impl Draw for A { fn draw(&self) {} }
struct B; impl Draw for B { fn draw(&self) {} }
fn f(b: Box<B>) { b.dr$0aw(); }
"#,
        expect!["/src/lib.rs 3:32 method draw Exact"],
    );
}

#[test]
fn dyn_trait() {
    check_definition(
        r#"
trait Draw { fn draw(&self); }
struct A; impl A { fn draw(&self) {} }
fn f(list: &[Box<dyn Draw>]) { for d in list { d.dr$0aw(); } }
"#,
        expect!["/src/lib.rs 1:17 method draw Inferred"],
    );
}

#[test]
fn enum_variant_and_its_field() {
    check_definition(
        r#"
enum Shape { Circle { radius: f64 }, Square(f64) }
struct Other { radius: f64 }
fn f(s: Shape) { match s { Shape::Circle { ra$0dius: r } => {} _ => {} } }
"#,
        expect!["/src/lib.rs 1:23 field radius Exact"],
    );
}

#[test]
fn positional_payload_of_a_variant() {
    check_definition(
        r#"
struct A; impl A { fn go(&self) {} }
struct B; impl B { fn go(&self) {} }
enum E { One(A), Two(B) }
fn f(e: &E) { match e { E::Two(b) => b.g$0o(), E::One(a) => a.go() } }
"#,
        expect!["/src/lib.rs 2:23 method go Exact"],
    );
}

#[test]
fn generic_struct_argument_reaches_the_method() {
    check_definition(
        r#"
struct Holder<T> { value: T }
impl<U> Holder<U> { fn get(&self) -> &U { &self.value } }
struct A; impl A { fn go(&self) {} }
struct B; impl B { fn go(&self) {} }
fn f(h: Holder<B>) { h.get().g$0o(); }
"#,
        expect!["/src/lib.rs 4:23 method go Exact"],
    );
}

#[test]
fn deref_of_the_project() {
    check_definition(
        r#"
struct Inner; impl Inner { fn go(&self) {} }
struct Guard { inner: Inner }
impl std::ops::Deref for Guard { type Target = Inner; fn deref(&self) -> &Inner { &self.inner } }
struct B; impl B { fn go(&self) {} }
fn f(g: Guard) { g.g$0o(); }
"#,
        expect!["/src/lib.rs 1:31 method go Exact"],
    );
}

#[test]
fn macro_use_and_names_in_its_arguments() {
    check_definition(
        r#"
macro_rules! check { ($e:expr) => { $e }; }
struct A; impl A { fn go(&self) -> bool { true } }
struct B; impl B { fn go(&self) -> bool { true } }
fn f(a: A) { ch$0eck!(a.go()); }
"#,
        expect!["/src/lib.rs 1:14 macro check Exact"],
    );
    check_definition(
        r#"
struct A; impl A { fn go(&self) -> bool { true } }
struct B; impl B { fn go(&self) -> bool { true } }
fn f(a: A) { assert_eq!(a.g$0o(), true); }
"#,
        expect!["/src/lib.rs 1:23 method go Exact"],
    );
}

#[test]
fn items_inside_a_configuration_macro() {
    check_definition(
        r#"
//- /src/lib.rs
macro_rules! cfg_fast { ($($item:item)*) => { $($item)* } }
cfg_fast! {
    mod speed;
    pub use speed::run;
}
fn f() { ru$0n(); }
//- /src/speed.rs
pub fn run() {}
"#,
        expect!["/src/speed.rs 1:8 function run Exact"],
    );
    check_definition(
        r#"
macro_rules! cfg_fast { ($($item:item)*) => { $($item)* } }
cfg_fast! {
    /// Arms of a match are no macro rules.
    pub(crate) fn with_it(f: impl FnOnce(u8)) { match 1 { 0 => f(1), _ => f(2) } }
}
fn f() { with_$0it(|_| ()); }
"#,
        expect!["/src/lib.rs 4:19 function with_it Exact"],
    );
}

#[test]
fn closures_literals_and_indexing_in_macro_arguments() {
    check_definition(
        r#"
struct A { go: u8 }
struct B { go: u8 }
fn f(list: Vec<A>) { assert!(list.iter().any(|a| a.g$0o == 1), "none"); }
"#,
        expect!["/src/lib.rs 1:12 field go Exact"],
    );
    check_definition(
        r#"
struct A { go: u8 }
struct B { go: u8 }
fn f() { assert_eq!(dbg!(B { g$0o: 1 }).go, 1); }
"#,
        expect!["/src/lib.rs 2:12 field go Exact"],
    );
    check_definition(
        r#"
struct A; impl A { fn go(&self) {} }
struct B; impl B { fn go(&self) {} }
fn f() { let list = vec![A, A]; for a in list { a.g$0o(); } }
"#,
        expect!["/src/lib.rs 1:23 method go Exact"],
    );
}

#[test]
fn the_name_of_a_crate_leads_to_its_root() {
    check_definition(
        r#"
//- /app/Cargo.toml
[package]
name = "app"
[dependencies]
base = { path = "../base" }
//- /app/src/main.rs
use ba$0se::Thing;
//- /base/Cargo.toml
[package]
name = "base"
//- /base/src/lib.rs
pub struct Thing;
"#,
        expect!["/base/src/lib.rs 1:1 module  Exact"],
    );
}

#[test]
fn library_names_are_external() {
    check_definition(
        r#"
use std::collections::HashMap;
struct Mine; impl Mine { fn insert(&self) {} }
fn f() { let mut map = HashMap::new(); map.ins$0ert(1, 2); }
"#,
        expect!["external std::collections::HashMap::insert"],
    );
}

#[test]
fn self_type_and_associated_function() {
    check_definition(
        r#"
struct A; impl A { fn make() -> Self { A } fn f() { Self::ma$0ke(); } }
struct B; impl B { fn make() -> Self { B } }
"#,
        expect!["/src/lib.rs 1:23 method make Exact"],
    );
}

#[test]
fn async_function_and_await() {
    check_definition(
        r#"
struct Reply; impl Reply { fn body(&self) {} }
struct Other; impl Other { fn body(&self) {} }
async fn fetch() -> Result<Reply, ()> { Err(()) }
async fn f() -> Result<(), ()> { fetch().await?.bo$0dy(); Ok(()) }
"#,
        expect!["/src/lib.rs 1:31 method body Exact"],
    );
}

#[test]
fn cyclic_reexports_end() {
    check_definition(
        r#"
//- /src/lib.rs
mod a;
mod b;
use a::nothing;
fn f() { noth$0ing(); }
//- /src/a.rs
pub use crate::b::*;
//- /src/b.rs
pub use crate::a::*;
"#,
        expect![[""]],
    );
}

#[test]
fn extension_trait_on_a_library_type() {
    check_definition(
        r#"
trait Shout { fn shout(&self) -> String; }
impl Shout for str { fn shout(&self) -> String { String::new() } }
fn f() { "a".sho$0ut(); }
"#,
        expect!["/src/lib.rs 2:25 method shout Inferred"],
    );
}

#[test]
fn members_are_offered_behind_a_dot_in_broken_code() {
    check_offers(
        r#"
struct Server { addr: String, port: u16 }
impl Server { fn start(&self) {} fn new() -> Self { todo!() } }
fn f(server: Server) {
    let x = 1;
    server.$0
    let y = 2;
}
"#,
        expect!["addr port start"],
    );
    check_offers(
        r#"
struct Server { addr: String, port: u16 }
impl Server { fn new() -> Self { todo!() } fn start(&self) {
    foo(self.po$0
"#,
        expect!["addr port start"],
    );
}

#[test]
fn associated_items_and_module_items_behind_colons() {
    check_offers(
        "enum Color { Red, Green }\nimpl Color { fn all() {} }\nfn f() { let c = Color::$0\n}\n",
        expect!["Red Green all"],
    );
    check_offers(
        "mod shape { pub fn area() {} pub struct Box; }\nfn f() { shape::$0; }\n",
        expect!["area Box"],
    );
}

#[test]
fn names_in_scope_are_offered_nearest_first() {
    check_offers(
        r#"
use std::collections::HashMap;
const LIMIT: u32 = 1;
fn helper() {}
fn f(first: u32) { let second = 1; { let third = 2; $0 } }
"#,
        expect!["third second first LIMIT helper f HashMap"],
    );
}

#[test]
fn deep_nesting_ends_without_an_abort() {
    let open = "(".repeat(100_000);
    let close = ")".repeat(100_000);
    for text in [
        format!("fn f() {{ {open}1{close} }}"),
        format!("fn f() {{ {} }}", "{".repeat(100_000)),
        format!("fn f() {{ x{} }}", ".y()".repeat(50_000)),
        format!("fn f() -> {}A{} {{}}", "Vec<".repeat(50_000), ">".repeat(50_000)),
        format!("fn f() {{ m!{open}{close} }}"),
        format!("use {}a{};", "a::{".repeat(20_000), "}".repeat(20_000)),
    ] {
        let loaded = load(&text, "src/lib.rs");
        let facts = loaded.graph.facts(crate::FileId(0)).expect("the file");
        for occurrence in (0..facts.occurrences.len()).step_by(997) {
            let _ = loaded.graph.resolve_occurrence(crate::FileId(0), occurrence);
        }
    }
    assert!(Graph::empty().files().is_empty());
}

/// The lines that mention the symbol at the cursor, with role and certainty.
fn check_references(fixture: &str, expect: Expect) {
    let loaded = load(fixture, "src/lib.rs");
    let resolution = loaded.graph.resolve(loaded.cursor());
    let symbol = resolution.candidates.first().expect("a definition at the cursor").symbol;
    let lines: Vec<String> = loaded
        .graph
        .references(symbol, &crate::Cancel::never())
        .iter()
        .map(|reference| {
            let file = &loaded.fixture.files[reference.at.file.0 as usize];
            let at = crate::text::LineIndex::new(&file.text).line_col(reference.at.range.start);
            format!(
                "{}:{}:{} {:?} {:?}",
                file.path,
                at.line + 1,
                at.col + 1,
                reference.role,
                reference.certainty
            )
        })
        .collect();
    expect.assert_eq(&lines.join("\n"));
}

#[test]
fn a_pattern_that_names_a_field_and_a_local_mentions_the_field() {
    check_references(
        r#"
struct A { si$0ze: u8 }
struct B { size: u8 }
fn f(a: A, b: B) -> u8 { let A { size } = a; let B { size: other } = b; size + other }
"#,
        expect!["src/lib.rs:3:34 Reference Exact"],
    );
}

#[test]
fn what_fills_in_a_method_of_a_trait_mentions_it() {
    check_references(
        r#"
//- /src/lib.rs
trait Shape { fn ar$0ea(&self) -> u8; }
struct A; impl Shape for A { fn area(&self) -> u8 { 1 } }
struct B; impl B { fn area(&self) -> u8 { 1 } }
fn f(shape: &dyn Shape, other: u8) { shape.area(); unknown.area(); }
//- /README.md
# Shapes
Ask `area` for the area.
"#,
        expect![[r#"
            src/lib.rs:2:33 Definition Exact
            src/lib.rs:4:44 Call Inferred"#]],
    );
}

#[test]
fn documentation_is_its_own_edge() {
    let fixture = r#"
//- /src/lib.rs
pub fn only$0_here() {}
//- /README.md
# Usage
Call `only_here` first.
"#;
    let loaded = load(fixture, "src/lib.rs");
    let symbol = loaded.graph.resolve(loaded.cursor()).candidates[0].symbol;
    let edges = loaded.graph.documents(symbol, &crate::Cancel::never());
    let shown: Vec<String> = edges.iter().map(|edge| loaded.show(edge.from)).collect();
    assert_eq!(shown, ["/README.md 1:3 heading Usage"]);
}

#[test]
fn tests_of_a_function_are_found_through_its_callers() {
    let fixture = r#"
fn de$0ep() {}
fn api() { deep() }
fn unused() { deep() }
#[cfg(test)]
mod tests {
    #[test]
    fn covers_it() { super::api(); }
    #[test]
    fn something_else() {}
}
"#;
    let loaded = load(fixture, "src/lib.rs");
    let symbol = loaded.graph.resolve(loaded.cursor()).candidates[0].symbol;
    let tests = loaded.graph.tests_of(symbol, 10, &crate::Cancel::never());
    let shown: Vec<String> =
        tests.iter().map(|(id, steps)| format!("{} after {steps}", loaded.show(*id))).collect();
    assert_eq!(shown, ["/src/lib.rs 7:8 function covers_it after 2"]);
}

#[test]
fn associated_type_through_a_qualified_path() {
    check_definition(
        r#"
trait First { type Out; }
trait Second { type Out; }
struct A;
impl First for A { type Out = u8; }
impl Second for A { type Out = u16; }
fn f() -> <A as Second>::O$0ut { 1 }
"#,
        expect!["/src/lib.rs 5:26 type-alias Out Exact"],
    );
    check_definition(
        r#"
trait First { type Out; }
trait Second { type Out; }
fn f<T: First + Second>() -> <T as Second>::O$0ut { todo!() }
"#,
        expect!["/src/lib.rs 2:21 type-alias Out Exact"],
    );
}

#[test]
fn variants_through_an_alias_of_the_enum() {
    check_definition(
        r#"
enum Problem { Missing }
enum Other { Missing }
type P = Problem;
fn f() -> P { P::Miss$0ing }
"#,
        expect!["/src/lib.rs 1:16 variant Missing Exact"],
    );
}

#[test]
fn an_exported_macro_under_a_new_name() {
    check_definition(
        r#"
//- /src/lib.rs
#[macro_use]
mod macros;
mod user;
//- /src/macros.rs
#[macro_export]
macro_rules! __private_check { () => {}; }
//- /src/user.rs
use crate::__private_check as check;
fn f() { che$0ck!(); }
"#,
        expect!["/src/macros.rs 2:14 macro __private_check Exact"],
    );
}

#[test]
fn the_alternative_that_an_ordinary_build_has() {
    check_definition(
        r#"
//- /Cargo.toml
[package]
name = "app"
[features]
default = ["full"]
full = []
//- /src/lib.rs
mod real;
#[cfg(feature = "full")]
pub use real::Thing;
#[cfg(not(feature = "full"))]
pub struct Thing;
fn f(thing: Thi$0ng) {}
//- /src/real.rs
pub struct Thing;
"#,
        expect!["/src/real.rs 1:12 struct Thing Exact"],
    );
}

#[test]
fn items_of_a_macro_without_parameters_stand_where_it_does() {
    check_definition(
        r#"
//- /src/lib.rs
macro_rules! root {
    () => {
        mod inner;
        pub use self::inner::run;
        #[macro_use]
        mod macros { macro_rules! nothing { () => {} } }
    };
}
root!();
fn f() { crate::r$0un() }
//- /src/inner.rs
pub fn run() {}
"#,
        expect!["/src/inner.rs 1:8 function run Exact"],
    );
}

#[test]
fn a_dependency_that_the_package_carries_without_its_manifest() {
    check_definition(
        r#"
//- /Cargo.toml
[package]
name = "app"
[dependencies]
app_core = "1"
//- /src/lib.rs
pub use app_core::de;
fn f() -> Result<(), u8> { de::Error::inv$0alid() }
//- /src/core/lib.rs
macro_rules! root { () => { mod de; } }
root!();
//- /src/core/de/mod.rs
pub trait Error { fn invalid() {} }
"#,
        expect!["/src/core/de/mod.rs 1:22 method invalid Inferred"],
    );
}

#[test]
fn a_local_that_a_macro_defines_has_the_type_of_the_only_field_so_called() {
    check_definition(
        r#"
macro_rules! with { ($self:ident, $x:ident => $($rest:tt)*) => { let $x = $self.0; $($rest)* } }
struct Router { path_router: Paths }
struct Paths; impl Paths { fn merge(&self) {} }
struct Other; impl Other { fn merge(&self) {} }
fn f(router: (Router,)) { with!(router, this => { this.path_router.mer$0ge(); }) }
"#,
        expect!["/src/lib.rs 3:31 method merge Inferred"],
    );
}

#[test]
fn a_type_in_parentheses_and_lists_of_other_libraries() {
    check_definition(
        r#"
trait Stream { fn next(&self); }
trait Other { fn next(&self); }
fn f(stream: &mut (impl Stream + ?Sized)) { stream.ne$0xt() }
"#,
        expect!["/src/lib.rs 1:19 method next Inferred"],
    );
    check_definition(
        r#"
//- /Cargo.toml
[package]
name = "app"
[dependencies]
smallvec = "1"
//- /src/lib.rs
use smallvec::SmallVec;
struct A; impl A { fn go(&self) {} }
struct B; impl B { fn go(&self) {} }
type Few<T> = SmallVec<[T; 4]>;
fn f(list: Few<A>) { list[0].g$0o(); for a in list { a.go(); } }
"#,
        expect!["/src/lib.rs 2:23 method go Exact"],
    );
}

#[test]
fn a_name_that_only_fits_is_possible_and_a_shorthand_is_two_names() {
    let loaded = load(
        r#"
struct A { si$0ze: u8 }
struct B { size: u8 }
fn f(a: A, size: u8) { let A { size: other } = a; let b = A { size }; unknown.size; }
"#,
        "src/lib.rs",
    );
    let symbol = loaded.graph.resolve(loaded.cursor()).candidates[0].symbol;
    let never = crate::Cancel::never();
    let sure = loaded.graph.references(symbol, &never);
    assert_eq!(sure.len(), 2);
    let two: Vec<bool> = sure.iter().map(|r| loaded.graph.has_two_meanings(r.at)).collect();
    assert_eq!(two, [false, true]);
    assert_eq!(loaded.graph.possible_references(symbol, &never).len(), 3);
}

//! Fixture tests of Rust resolution.

use expect_test::{Expect, expect};

use crate::graph::tests::load;

fn check_definition(fixture: &str, expect: Expect) {
    expect.assert_eq(&load(fixture, "src/lib.rs").definition());
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
        expect![[r#"/src/shape.rs 1:8 function area Exact"#]],
    );
}

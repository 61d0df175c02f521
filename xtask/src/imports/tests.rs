use std::collections::BTreeMap;

use super::cycles::{self, Cycle};
use super::tree::Tree;

/// The cycles of a crate made of these files; `src/lib.rs` is its root.
fn cycles_of(files: &[(&str, &str)]) -> Vec<Cycle> {
    let files: BTreeMap<String, String> = files
        .iter()
        .map(|(name, text)| (format!("src/{name}"), (*text).to_owned()))
        .collect();
    let tree = Tree::read("src/lib.rs", &|file| files.get(file).cloned()).expect("the files can be read");
    cycles::find(tree.uses())
}

/// How the one cycle of a crate is printed.
fn printed(files: &[(&str, &str)]) -> String {
    let cycles = cycles_of(files);
    assert_eq!(cycles.len(), 1, "{cycles:?}");
    cycles[0].to_string()
}

#[test]
fn two_modules_that_use_each_other_are_named_with_files_and_lines() {
    let text = printed(&[
        ("lib.rs", "mod a;\nmod b;"),
        ("a.rs", "use crate::b::B;\n\npub struct A(B);"),
        ("b.rs", "pub struct B;\nfn f(_: crate::a::A) {}"),
    ]);
    assert_eq!(
        text,
        "modules of crate use each other in a circle: a, b\n    a uses b: src/a.rs:1\n    b uses a: src/b.rs:2"
    );
}

#[test]
fn a_circle_may_be_long() {
    let cycles = cycles_of(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b;"),
        ("b.rs", "use crate::c;"),
        ("c.rs", "use crate::{a, d};"),
        ("d.rs", ""),
    ]);
    assert_eq!(cycles.len(), 1);
    let users: Vec<&str> = cycles[0].uses.keys().map(|(user, _)| user.as_str()).collect();
    assert_eq!(users, ["a", "b", "c"], "d is used, but uses nobody");
}

#[test]
fn one_direction_is_fine() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::{b, c};"),
        ("b.rs", "use crate::c; use std::fmt; use serde::a;"),
        ("c.rs", "fn f() { let a = 1; match a { _ => ::a::f() } }"),
    ];
    assert_eq!(cycles_of(&files), []);
}

#[test]
fn modules_deep_below_two_siblings_count_for_these() {
    let text = printed(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod deep;"),
        ("a/deep.rs", "fn f() { crate::b::g(); }"),
        ("b/mod.rs", "mod deep; pub fn g() {}"),
        ("b/deep.rs", "use crate::a::X;"),
    ]);
    assert!(text.contains("a uses b: src/a/deep.rs:1"), "{text}");
    assert!(text.contains("b uses a: src/b/deep.rs:1"), "{text}");
}

#[test]
fn siblings_below_a_module_count_too() {
    let text = printed(&[
        ("lib.rs", "mod p;"),
        ("p/mod.rs", "mod a; mod b;"),
        ("p/a.rs", "use super::b::B; pub struct A;"),
        ("p/b.rs", "pub struct B; impl B { fn f() -> super::a::A { todo!() } }"),
    ]);
    assert!(
        text.starts_with("modules of p use each other in a circle: a, b"),
        "{text}"
    );
}

#[test]
fn re_exports_are_followed_to_their_home() {
    let files = [
        ("lib.rs", "mod p;"),
        ("p/mod.rs", "mod a; mod b; pub use a::A; pub use b::*;"),
        ("p/a.rs", "use super::B; pub struct A;"),
        ("p/b.rs", "use crate::p::{C, A as First}; pub struct B; pub struct C;"),
    ];
    let text = printed(&files);
    assert!(text.contains("a uses b: src/p/a.rs:1"), "{text}");
    assert!(text.contains("b uses a: src/p/b.rs:1"), "{text}");
}

#[test]
fn a_re_export_is_a_use_of_the_module_that_offers_it() {
    let text = printed(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub use crate::c::C; use crate::b;"),
        ("b.rs", "use crate::a::C;"),
        ("c.rs", "pub struct C;"),
    ]);
    assert!(text.contains("circle: a, b"), "{text}");
}

#[test]
fn paths_that_begin_with_an_import_are_followed() {
    let text = printed(&[
        ("lib.rs", "mod p;"),
        ("p/mod.rs", "mod a; mod b;"),
        ("p/a.rs", "use crate::p;\nfn f() { p::b::g::<u8>(); }"),
        ("p/b.rs", "use super::a; pub fn g<T>() {}"),
    ]);
    assert!(text.contains("a uses b: src/p/a.rs:2"), "{text}");
}

#[test]
fn paths_in_macros_count() {
    let text = printed(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            r#"pub const A: u8 = 1; fn f() { println!("{}", crate::b::B); }"#,
        ),
        ("b.rs", "pub use crate::a::A as B;"),
    ]);
    assert!(text.contains("a uses b: src/a.rs:1"), "{text}");
}

#[test]
fn a_parent_and_its_children_may_use_each_other() {
    let files = [
        ("lib.rs", "mod p; pub struct Root; fn f() { p::go() }"),
        (
            "p/mod.rs",
            "mod a; mod b; pub struct Own; pub fn go() { a::f(); b::f(); }",
        ),
        ("p/a.rs", "use super::Own; use crate::Root; use super::b; pub fn f() {}"),
        ("p/b.rs", "use super::Own; pub(super) fn f() {}"),
    ];
    assert_eq!(cycles_of(&files), []);
}

#[test]
fn what_only_tests_compile_is_left_out() {
    let files = [
        ("lib.rs", "mod a; mod b; #[cfg(test)] mod tests;"),
        (
            "a.rs",
            "use crate::b::B;\npub struct A;\n#[cfg(test)]\n#[derive(Debug)]\nmod tests { use crate::tests; }",
        ),
        (
            "b.rs",
            "pub struct B;\n#[cfg(test)]\nuse crate::{a::A};\n#[cfg(all(test, unix))]\nfn f() { crate::a::g() }\nstruct C;",
        ),
        ("tests.rs", "use crate::{a, b};"),
    ];
    assert_eq!(cycles_of(&files), []);
}

#[test]
fn text_and_comments_are_no_paths() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b;"),
        (
            "b.rs",
            "//! See [`crate::a::A`].\n/// crate::a\nconst C: &str = \"crate::a::A\"; // crate::a::f()\nstruct L<'a>(&'a str);",
        ),
    ];
    assert_eq!(cycles_of(&files), []);
}

#[test]
fn modules_in_one_file_count() {
    let text = printed(&[(
        "lib.rs",
        "mod a { use super::b::B; pub struct A; }\nmod b {\n  pub use super::a::A as B;\n}",
    )]);
    assert!(text.contains("b uses a: src/lib.rs:3"), "{text}");
}

#[test]
fn every_crate_of_the_workspace_is_looked_at_but_the_embedded_api_server() {
    let roots = super::roots(&crate::workspace::root()).expect("the workspace can be read");
    for root in [
        "crates/core/src/lib.rs",
        "crates/hub-agent/src/main.rs",
        "crates/member-agent/src/bin/refreshtoken.rs",
        "e2e/src/lib.rs",
        "xtask/src/main.rs",
    ] {
        assert!(
            roots.iter().any(|known| known == root),
            "{root} is missing in {roots:?}"
        );
    }
    assert!(!roots.iter().any(|root| root.contains("apiserver")));
}

#[test]
fn private_imports_are_no_re_exports_but_macros_define_names() {
    let files = [
        (
            "lib.rs",
            "macro_rules! make { ($n:ident) => { pub struct $n; } } mod p;",
        ),
        (
            "p/mod.rs",
            "mod a; mod b; mod c; pub use a::*; pub use b::*; pub use c::*;",
        ),
        ("p/a.rs", "use super::{B, Made};"),
        ("p/b.rs", "use super::Made; pub struct B;"),
        ("p/c.rs", "use super::B;\nmake! { #[doc = \"x\"] Made }"),
    ];
    let text = printed(&files);
    assert!(text.contains("circle: b, c"), "a imports Made for itself alone: {text}");
}

#[test]
fn imports_that_name_themselves_lead_nowhere() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "use anyhow::{anyhow, Result}; use x::y; use y::x; fn f() { y::z(); }",
        ),
        ("b.rs", "use crate::a;"),
    ];
    assert_eq!(cycles_of(&files), []);
}

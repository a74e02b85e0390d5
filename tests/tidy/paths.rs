//! The paths that code names: `use` trees and paths within expressions alike, each written out in full.

/// A path and where it stands.
#[derive(Debug, PartialEq)]
pub struct Named {
    pub line: usize,
    pub names: Vec<String>,
}

/// The paths into this crate, from its root: those of `crate::` and `oicq::`, and those of `super::` from the file they
/// stand in.
pub fn in_crate(code: &str, file: &str) -> Vec<Named> {
    let mut found = rooted(code, "crate");
    found.extend(rooted(code, "oicq"));
    let module = module_of(file);
    for mut path in rooted(code, "super") {
        let ups = 1 + path.names.iter().take_while(|name| *name == "super").count();
        path.names.drain(..ups - 1);
        // A path that climbs higher than the file lies is one of a module within it.
        let base = module.len().saturating_sub(ups);
        path.names.splice(0..0, module[..base].iter().cloned());
        found.push(path);
    }
    found
}

/// The paths into the standard library.
pub fn from_std(code: &str) -> Vec<Named> {
    rooted(code, "std")
}

/// `src/shard/search/parse.rs` is the module `shard::search::parse`.
fn module_of(file: &str) -> Vec<String> {
    let file = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    file.split('/').map(String::from).collect()
}

fn rooted(code: &str, root: &str) -> Vec<Named> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&format!("{root}::")) {
        // The last part of another name or path is no root.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let line = 1 + code[..at].matches('\n').count();
        let mut tree = Tree { rest: &code[at + root.len()..], line, found: &mut found };
        tree.after_name(&mut Vec::new());
    }
    found
}

/// What is left of a tree of paths. At the end it stands behind the tree.
struct Tree<'a> {
    rest: &'a str,
    line: usize,
    found: &'a mut Vec<Named>,
}

impl Tree<'_> {
    /// Behind a name: `::` and more, or the path's end.
    fn after_name(&mut self, names: &mut Vec<String>) {
        if !self.eat("::") {
            self.found.push(Named { line: self.line, names: names.clone() });
            return;
        }
        self.skip_space();
        if self.eat("{") {
            self.branches(names);
            return;
        }
        let name = self.name();
        if name.is_empty() {
            self.found.push(Named { line: self.line, names: names.clone() });
            return;
        }
        names.push(name);
        self.after_name(names);
        names.pop();
    }

    /// `a, b::{c, d}, self, *}`.
    fn branches(&mut self, names: &mut Vec<String>) {
        loop {
            self.skip_space();
            if self.rest.is_empty() || self.eat("}") {
                return;
            }
            let name = self.name();
            if name.is_empty() {
                // A star, or a comma.
                self.advance(self.rest.chars().next().map_or(0, char::len_utf8));
                continue;
            }
            names.push(name);
            self.after_name(names);
            names.pop();
            self.skip_space();
            if self.eat("as ") {
                self.skip_space();
                self.name();
            }
        }
    }

    fn name(&mut self) -> String {
        let length = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let name = self.rest[..length].to_string();
        self.advance(length);
        name
    }

    fn eat(&mut self, sign: &str) -> bool {
        let eaten = self.rest.starts_with(sign);
        if eaten {
            self.advance(sign.len());
        }
        eaten
    }

    fn skip_space(&mut self) {
        self.advance(self.rest.len() - self.rest.trim_start().len());
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

#[test]
fn trees_are_written_out() {
    let names = |code: &str, file: &str| {
        in_crate(code, file).into_iter().map(|path| (path.line, path.names.join("::"))).collect::<Vec<_>>()
    };
    let code = "use crate::{\n  a::{B, c::*, self},\n  d as e,\n};\nf(crate::g::H::new(x), mycrate::i, $crate::j::K)";
    let found = names(code, "src/x.rs");
    let found: Vec<_> = found.iter().map(|(line, path)| (*line, path.as_str())).collect();
    assert_eq!(found, [(2, "a::B"), (2, "a::c"), (2, "a::self"), (3, "d"), (5, "g::H::new"), (5, "j::K")]);
    assert_eq!(names("super::a::B", "src/x/y.rs"), [(1, "x::a::B".into())]);
    assert_eq!(names("super::super::a::B", "src/x/y/mod.rs"), [(1, "a::B".into())]);
}

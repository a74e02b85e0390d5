//! The house rules as a test: what architecture.md 2 and 3 say of rooms, clocks, file sizes and first lines holds in the
//! sources. A rule that is only written down is forgotten within months.

#[path = "tidy/lex.rs"]
mod lex;
#[path = "tidy/paths.rs"]
mod paths;

use lex::{blank, without_tests};
use std::fs;
use std::path::Path;

/// Lines that a file may have: more is more than one thought.
const LINES: usize = 600;

/// Which rooms a room may use (architecture.md 2). `main` is the program, `lib` the list of rooms.
const ROOMS: [(&str, &[&str]); 11] = [
    ("limits", &[]),
    ("seeded", &[]),
    ("wire", &["limits"]),
    ("link", &["limits", "wire"]),
    ("store", &["limits", "seeded", "wire"]),
    ("shard", &["limits", "seeded", "wire", "link", "store"]),
    ("client", &["limits", "wire", "link"]),
    ("server", &["limits", "seeded", "wire", "link", "store", "shard"]),
    ("sim", &["limits", "seeded", "wire", "link", "store", "shard", "client"]),
    ("main", &["server"]),
    ("lib", &["limits", "seeded", "wire", "link", "store", "shard", "client", "server", "sim"]),
];

/// What the rules may use of the store: what is kept, what is asked and what is answered, never how.
const STORE_FOR_SHARDS: [&str; 25] = [
    "Account",
    "AccountView",
    "Answer",
    "AuditAction",
    "AuditEvent",
    "Ban",
    "Banned",
    "Card",
    "Change",
    "Grant",
    "Limits",
    "Invite",
    "Mail",
    "Network",
    "NewToken",
    "Refusal",
    "Request",
    "Seen",
    "SessionRecord",
    "Stalled",
    "StoredProfile",
    "Text",
    "UserRecord",
    "details",
    "reach",
];

/// Clocks and sources of randomness, and the lint's silencer, which would let them in.
const CLOCKS: [&str; 11] = [
    "Instant::now",
    "SystemTime",
    "thread::sleep",
    ".elapsed()",
    "OsRng",
    "RandomState",
    "thread_rng",
    "getrandom",
    "rand::",
    "fastrand",
    "disallowed_methods",
];

/// Where the outside world begins: there they are allowed.
const OUTSIDE: [&str; 6] = ["src/server/", "src/client/driver", "src/main.rs", "tools/", "tests/", "benches/"];

/// Single files with a clock, and why.
const CLOCK_FILES: [(&str, &str); 3] = [
    ("src/seeded.rs", "it names a hash function whose seed is an argument"),
    ("src/store/runner.rs", "the store's thread looks after the store when it has been idle"),
    ("src/store/index/sled.rs", "opening waits for a process that has just ended to let go of the lock"),
];

/// Rooms whose tables have keys that strangers choose: there every hash table has a seed (`src/seeded.rs`).
const SEEDED: [&str; 2] = ["src/shard/", "src/server/"];

/// Hash tables without a secret seed. Those of std have one, and are kept out of the rules for their random order.
const UNSEEDED: [&str; 3] = ["rustc_hash", "FxHashMap", "FxHashSet"];

/// Where `unsafe` may stand: system calls that nothing wraps.
const UNSAFE: [&str; 2] = ["src/server/", "tools/load/"];

/// Marks of unfinished work, in code.
const UNFINISHED: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// One source file, its path with slashes from the root of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn starts_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    /// A file that exists only for tests.
    fn is_test(&self) -> bool {
        self.starts_in(&["tests/", "benches/"]) || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The room of a file under `src`.
    fn room(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// Its code without comments, texts and tests, every line where it was.
    fn code(&self) -> String {
        without_tests(&blank(&self.text, false))
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Every rule for one file.
fn complaints(source: &Source) -> Vec<String> {
    let rules = [first_line, length, unfinished, unsafe_code, rooms, clocks, unseeded];
    let mut found: Vec<String> = rules.iter().flat_map(|rule| rule(source)).collect();
    found.dedup();
    found
}

fn first_line(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    let is_room = ["/mod.rs", "/main.rs", "/lib.rs"].iter().any(|end| source.path.ends_with(end));
    let what = if is_room { "a room must say what it is for" } else { "a file must say what it is for" };
    vec![source.at(1, &format!("{what}: its first line begins with `//! `"))]
}

fn length(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines <= LINES {
        return Vec::new();
    }
    vec![source.at(LINES + 1, &format!("the file has {lines} lines; {LINES} are allowed: split it by thought"))]
}

fn unfinished(source: &Source) -> Vec<String> {
    let code = blank(&source.text, false);
    let in_code = UNFINISHED.iter().flat_map(|mark| lines_with(&code, mark).map(move |line| (line, *mark)));
    let commented = blank(&source.text, true);
    let in_comments = lines_with(&commented, concat!("FIX", "ME")).map(|line| (line, concat!("FIX", "ME")));
    in_code
        .chain(in_comments)
        .map(|(line, mark)| source.at(line, &format!("`{mark}`: finish it or take it out")))
        .collect()
}

fn unsafe_code(source: &Source) -> Vec<String> {
    let code = blank(&source.text, false);
    let raw: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for line in lines_with(&code, "unsafe") {
        if !source.starts_in(&UNSAFE) {
            found.push(source.at(line, &format!("`unsafe` is only allowed in {}", UNSAFE.join(" and "))));
        }
        let here = code.lines().nth(line - 1).unwrap_or_default();
        let opens = here.contains("unsafe {") || here.contains("unsafe impl") || here.trim_end().ends_with("unsafe");
        if opens && !explained(&raw, line) {
            found.push(source.at(line, "`unsafe` without a `// SAFETY:` comment above it"));
        }
    }
    found
}

/// Whether a comment `SAFETY:` stands on this line or above the statement that it is part of.
fn explained(raw: &[&str], line: usize) -> bool {
    if raw[line - 1].contains("// SAFETY:") {
        return true;
    }
    for above in raw[..line - 1].iter().rev().map(|above| above.trim()) {
        if above.starts_with("//") {
            if above.contains("SAFETY:") {
                return true;
            }
        } else if above.is_empty() || above.ends_with([';', '{', '}']) {
            return false;
        }
    }
    false
}

fn rooms(source: &Source) -> Vec<String> {
    let Some(room) = source.room().filter(|_| !source.is_test()) else { return Vec::new() };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![
            source.at(1, &format!("room `{room}` is not in the table of architecture.md 2 (ROOMS in tests/tidy.rs)")),
        ];
    };
    let code = source.code();
    let mut found = Vec::new();
    for path in paths::in_crate(&code, &source.path) {
        let Some(used) = path.names.first().filter(|used| *used != room) else { continue };
        if ROOMS.iter().all(|(name, _)| name != used) {
            continue;
        }
        if !allowed.contains(&used.as_str()) {
            found.push(source.at(path.line, &format!("room `{room}` may not use room `{used}`")));
        }
        if room == "shard" && used == "store" {
            let name = path.names.get(1).map_or("itself", String::as_str);
            if !STORE_FOR_SHARDS.contains(&name) {
                found.push(source.at(
                    path.line,
                    &format!("room `shard` may not use `{name}` of `store`, only its records and requests, and its rule of order"),
                ));
            }
        }
    }
    found
}

fn clocks(source: &Source) -> Vec<String> {
    if source.starts_in(&OUTSIDE) || source.is_test() || CLOCK_FILES.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    let code = source.code();
    let clocks = CLOCKS.iter().flat_map(|word| {
        lines_with(&code, word).map(move |line| {
            source.at(line, &format!("`{word}`: time and randomness come in as arguments here (architecture.md 3)"))
        })
    });
    let std_paths = paths::from_std(&code);
    let random_maps = std_paths.iter().filter(|path| {
        path.names.first().is_some_and(|name| name == "collections")
            && path.names.iter().any(|name| ["HashMap", "HashSet", "hash_map", "hash_set"].contains(&name.as_str()))
    });
    let maps = random_maps
        .map(|path| source.at(path.line, "a map of std has random order: use `seeded`'s tables, or a BTreeMap"));
    clocks.chain(maps).collect()
}

/// A hash that everybody can compute lets strangers choose keys that collide.
fn unseeded(source: &Source) -> Vec<String> {
    if !source.starts_in(&SEEDED) || source.is_test() {
        return Vec::new();
    }
    let code = source.code();
    let named = UNSEEDED.iter().flat_map(|word| lines_with(&code, word).map(move |line| (line, word)));
    let what = |(line, word)| source.at(line, &format!("`{word}`: strangers choose keys here: use `seeded`'s tables"));
    named.map(what).collect()
}

/// The numbers of the lines that contain `word`, from 1: as a whole word where it begins or ends with a letter.
fn lines_with<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let goes_on = move |a: Option<char>, b: Option<char>| is_name(a) && is_name(b);
    let has = move |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
            !goes_on(before, word.chars().next()) && !goes_on(word.chars().next_back(), after)
        })
    };
    code.lines().enumerate().filter(move |(_, line)| has(line)).map(|(at, _)| at + 1)
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for part in ["src", "tests", "benches", "tools"] {
        collect(root, &root.join(part), &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("a readable directory").path()) {
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("it is below the root").to_string_lossy().replace('\\', "/");
            found.push(Source { path: name, text: fs::read_to_string(&path).expect("a readable source") });
        }
    }
}

/// A directory under `src` or `tools` without the file that says what it is for.
fn rooms_without_a_door(sources: &[Source]) -> Vec<String> {
    let mut rooms: Vec<&str> = sources
        .iter()
        .filter_map(|source| {
            let parts: Vec<&str> = source.path.splitn(3, '/').collect();
            match parts[..] {
                ["src" | "tools", room, _] => Some(&source.path[..parts[0].len() + 1 + room.len()]),
                _ => None,
            }
        })
        .collect();
    rooms.dedup();
    let has = |path: String| sources.iter().any(|source| source.path == path);
    let doors = ["mod.rs", "src/main.rs", "src/lib.rs"];
    let shut = rooms.iter().filter(|room| !doors.iter().any(|door| has(format!("{room}/{door}"))));
    shut.map(|room| format!("{room}: a room needs a mod.rs, main.rs or lib.rs that says what it is for")).collect()
}

#[test]
fn the_house_is_tidy() {
    let sources = sources();
    assert!(sources.iter().any(|source| source.path == "src/wire/mod.rs"), "the sources are where they should be");
    let mut found = rooms_without_a_door(&sources);
    found.extend(sources.iter().flat_map(complaints));
    assert!(found.is_empty(), "{} breaches of the house rules:\n{}", found.len(), found.join("\n"));
}

/// Each rule finds what it is for, and nothing in what is right.
mod rules {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        complaints(&Source { path: path.into(), text: format!("//! A file.\n{text}") })
    }

    #[track_caller]
    fn breaks(path: &str, text: &str, words: &str) {
        let found = check(path, text);
        assert!(found.len() == 1 && found[0].contains(words), "{path}: {text}\n{found:?}");
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        assert_eq!(check(path, text), [""; 0], "{path}: {text}");
    }

    #[test]
    fn imports() {
        passes("src/wire/a.rs", "use crate::limits::NAME_BYTES; use super::error::WireError;");
        breaks("src/wire/a.rs", "use crate::shard::Shard;", "src/wire/a.rs:2: room `wire` may not use room `shard`");
        breaks(
            "src/wire/a.rs",
            "use crate::{\n    limits::X,\n    store::{Card, Mail as Post},\n};",
            ":4: room `wire` may not use room `store`",
        );
        breaks("src/link/a.rs", "fn f() { let x = crate::client::Core::new(); }", "may not use room `client`");
        breaks("src/link/deep/a.rs", "use super::super::super::store::Card;", "may not use room `store`");
        breaks("src/link/mod.rs", "use super::store::Card;", "may not use room `store`");
        passes("src/link/deep/a.rs", "use super::super::store::Card;");
        passes("src/shard/a.rs", "use crate::store::{Card, Request}; use crate::link::Link; // crate::server::run");
        breaks("src/shard/a.rs", "use crate::store::disk::Disk;", "may not use `disk` of `store`");
        passes("src/wire/a.rs", "#[cfg(test)]\nmod tests {\n    use crate::store::Card;\n}");
        passes("src/wire/a.rs", "const A: &str = \"crate::store::Card\";");
        breaks("src/wire/a.rs", "#[cfg(test)]\nmod tests;\nuse crate::store::Card;", ":4: ");
        breaks("src/main.rs", "fn main() { oicq::shard::run() }", "room `main` may not use room `shard`");
        passes("src/main.rs", "fn main() { oicq::server::run() }");
        breaks("src/cellar/mod.rs", "", "room `cellar` is not in the table");
    }

    #[test]
    fn clocks_and_random_sources() {
        breaks("src/shard/a.rs", "fn f() { std::time::Instant::now(); }", ":2: `Instant::now`");
        breaks("src/store/a.rs", "fn f() { std::thread::sleep(x) }", "`thread::sleep`");
        breaks("src/client/core.rs", "use argon2::password_hash::rand_core::OsRng;", "`OsRng`");
        breaks("src/store/a.rs", "use std::collections::{BTreeMap, HashMap};", "random order");
        breaks("src/store/a.rs", "fn f() { std::collections::HashSet::<u8>::new(); }", "random order");
        breaks("src/link/a.rs", "#![allow(clippy::disallowed_methods)]", "`disallowed_methods`");
        passes("src/shard/a.rs", "use std::time::Duration; fn f(now: Instant, operand: u8) {} // Instant::now");
        for place in [
            "src/server/a.rs",
            "src/client/driver.rs",
            "src/store/runner.rs",
            "tools/load/src/a.rs",
            "src/shard/tests/a.rs",
        ] {
            passes(place, "fn f() { Instant::now(); }");
        }
    }

    #[test]
    fn keys_that_strangers_choose() {
        breaks("src/shard/a.rs", "type Table = FxHashMap<u32, u32>;", "`FxHashMap`: strangers choose keys here");
        passes("src/shard/a.rs", "use crate::seeded::SeededMap; // not a HashMap");
        passes("src/shard/tests/a.rs", "use rustc_hash::FxHashMap;");
    }

    #[test]
    fn first_lines_and_lengths() {
        let bare = |path: &str| first_line(&Source { path: path.into(), text: "fn main() {}".into() });
        assert!(bare("src/shard/mod.rs")[0].contains("a room must say"));
        assert!(bare("tests/a.rs")[0].contains("a file must say"));
        passes("src/wire/a.rs", &"\n".repeat(LINES - 1));
        breaks("tests/a.rs", &"\n".repeat(LINES), "the file has 601 lines");
        let closed = [
            Source { path: "src/wire/a.rs".into(), text: String::new() },
            Source { path: "src/limits.rs".into(), text: String::new() },
        ];
        assert_eq!(rooms_without_a_door(&closed).len(), 1);
    }

    #[test]
    fn unfinished_work() {
        breaks("src/wire/a.rs", "fn f() { todo!() }", "`todo!`");
        breaks("tests/a.rs", "#[ignore = \"slow\"]\nfn f() {}", "`#[ignore`");
        breaks("tools/chat/src/a.rs", "fn f() { dbg!(1); }", "`dbg!`");
        breaks("benches/a.rs", concat!("// FIX", "ME later"), concat!("FIX", "ME"));
        passes(
            "src/wire/a.rs",
            "// todo! is not code\nconst A: &str = r#\"dbg!(\"x\")\"#; const C: char = '\"'; fn f<'a>() {}",
        );
    }

    #[test]
    fn unsafe_blocks() {
        breaks("src/wire/a.rs", "// SAFETY: sound\nunsafe { f() }", "`unsafe` is only allowed in");
        breaks("src/server/a.rs", "fn g() {\n    unsafe { f() }\n}", "without a `// SAFETY:`");
        breaks(
            "src/server/a.rs",
            "// SAFETY: of something else\nlet a = 1;\nlet b = unsafe { f() };",
            "without a `// SAFETY:`",
        );
        passes(
            "src/server/a.rs",
            "// SAFETY: sound,\n// and so on\nlet a =\n    unsafe { f() };\n#![deny(unsafe_op_in_unsafe_fn)]",
        );
        passes("tools/load/src/a.rs", "/* unsafe */ let a = \"unsafe {\";");
    }
}

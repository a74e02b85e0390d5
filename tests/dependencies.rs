//! What the program is made from: every dependency comes from crates.io or from here, under a licence that may be passed on
//! with it, and none of them is one that we know to be unsound.
#![cfg(feature = "server")]

use serde_json::Value;
use std::process::Command;

/// Licences that ask for no more than to be named, or that their own files stay under them. `deny.toml` has the same.
const LICENCES: [&str; 8] =
    ["Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unicode-3.0", "Zlib"];

/// The only place from which others' code comes.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates that are never built, by their name, and why: each has an empty one in its place (`vendor`).
const NEVER: [(&str, &str); 1] = [("lockfree", "unsound and no longer kept up; glommio names it and does not use it")];

/// What cargo builds for this machine, all features and tests included.
fn packages() -> Vec<Value> {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc is there");
    let about = String::from_utf8(rustc.stdout).expect("text");
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).expect("it says its platform");
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo is there");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("sound JSON");
    metadata["packages"].as_array().expect("a list").clone()
}

/// Whether a licence expression can be met with licences that we take.
fn may_be_taken(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    either(&mut rest) && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> bool {
    let mut taken = both(rest);
    while let ["OR", tail @ ..] = *rest {
        *rest = tail;
        // Both sides are read, whatever the first one was.
        taken |= both(rest);
    }
    taken
}

fn both(rest: &mut &[&str]) -> bool {
    let mut taken = one(rest);
    while let ["AND", tail @ ..] = *rest {
        *rest = tail;
        taken &= one(rest);
    }
    taken
}

fn one(rest: &mut &[&str]) -> bool {
    match *rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let taken = either(rest);
            let [")", tail @ ..] = *rest else { return false };
            *rest = tail;
            taken
        }
        [name, "WITH", exception, tail @ ..] => {
            *rest = tail;
            LICENCES.contains(&&*format!("{name} WITH {exception}"))
        }
        [name, tail @ ..] => {
            *rest = tail;
            LICENCES.contains(&name.trim_end_matches('+'))
        }
        [] => false,
    }
}

#[test]
fn every_dependency_may_be_passed_on_and_comes_from_where_it_should() {
    let packages = packages();
    assert!(packages.len() > 100, "there are that many");
    let mut wrong = Vec::new();
    for package in &packages {
        let (name, source) = (package["name"].as_str().expect("a name"), package["source"].as_str());
        let licence = package["license"].as_str().unwrap_or("none told");
        if !may_be_taken(licence) {
            wrong.push(format!("{name}: its licence is {licence}"));
        }
        // Without a source it is a folder: one of ours.
        let ours = || {
            let manifest = package["manifest_path"].as_str().expect("a path");
            manifest.starts_with(env!("CARGO_MANIFEST_DIR"))
        };
        if !source.map_or_else(ours, |source| source == REGISTRY) {
            wrong.push(format!("{name}: it comes from {source:?}"));
        }
        if let Some((_, why)) = NEVER.iter().find(|(never, _)| *never == name)
            && source.is_some()
        {
            wrong.push(format!("{name}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "ISC AND (GPL-2.0 OR ISC)",
        "MPL-2.0+",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(may_be_taken(good), "{good}");
    }
    for bad in ["", "none told", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0", "MIT GPL-3.0", "(MIT"]
    {
        assert!(!may_be_taken(bad), "{bad}");
    }
}

#[test]
fn the_other_list_of_licences_is_the_same() {
    let deny = include_str!("../deny.toml");
    let list = deny.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).expect("a list").0;
    let listed: Vec<&str> =
        list.split(',').map(|entry| entry.trim().trim_matches('"')).filter(|e| !e.is_empty()).collect();
    assert_eq!(listed, LICENCES);
}

//! The audit log: its lines, its seal, what somebody else does to it, and what a crash does.

use super::model::Random;
use super::*;
use sha2::{Digest, Sha256};
use std::io::BufReader;

fn log(disk: &SimDisk) -> String {
    String::from_utf8(disk.read("audit.log", 0, usize::MAX).expect("readable")).expect("text")
}

fn guarded(seed: u64) -> MemoryStore {
    let mut store = MemoryStore::in_memory(seed);
    store.guard_audit([0xA0; 32], 0).expect("a new disk takes it");
    store
}

/// A store with a log of these lines.
fn with_lines(details: &[&str]) -> MemoryStore {
    let mut store = guarded(1);
    for detail in details {
        assert_eq!(store.ask(Request::Audit(event(detail))), Answer::Done);
    }
    store
}

fn verify(store: &MemoryStore, log: &str) -> Result<AuditHead, AuditBreak> {
    let check = store.accounts().audit().expect("memory can be read");
    check.verify(BufReader::new(log.as_bytes())).expect("memory can be read")
}

/// Puts another log in the place of the one that is there, as somebody does who can write the file alone.
fn replace(disk: &mut SimDisk, log: &str) {
    disk.remove_if_there("audit.log").expect("removed");
    disk.append("audit.log", log.as_bytes()).expect("written");
    disk.sync("audit.log").expect("synced");
    disk.sync_dir().expect("synced");
}

/// Lines as version 0.1.0 wrote them, or somebody who knows how it did, after a line with this hash.
fn unsealed(first: u64, details: &[&str], mut previous: String) -> String {
    let mut log = String::new();
    for (seq, detail) in (first..).zip(details) {
        let line = format!("{seq} 2000-01-01T00:00:00.000Z grant 10000 10001 \"{detail}\" {previous}");
        previous = Sha256::digest(&line).iter().map(|byte| format!("{byte:02x}")).collect();
        log += &format!("{line} {previous}\n");
    }
    log
}

fn last_hash(log: &str) -> String {
    log.trim_end().rsplit(' ').next().expect("a hash").to_owned()
}

fn restart(store: MemoryStore) -> MemoryStore {
    store.crash().expect("a broken log is no reason not to open")
}

#[test]
fn a_line_is_an_event() {
    let store = with_lines(&["say \"no\"\nor 不"]);
    let log = log(store.disk());
    let zero = "0".repeat(64);
    let start = format!("1 2000-01-01T00:00:00.000Z grant 10000 10001 \"say \\\"no\\\"\\nor 不\" {zero} ");
    assert!(log.starts_with(&start), "{log}");
    assert_eq!(log.lines().count(), 1);
    assert_eq!(verify(&store, &log), Ok(store.audit_head()));
    let digest: String = Sha256::digest(start.trim_end()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_ne!(last_hash(&log), digest, "nobody can compute it from the line alone");
}

#[test]
fn a_long_detail_is_cut_between_characters() {
    let mut store = guarded(1);
    store.ask(Request::Audit(event(&"不".repeat(1_000))));
    assert_eq!(log(store.disk()).matches('不').count(), 341);
}

#[test]
fn every_change_of_a_line_is_found() {
    let store = with_lines(&["one", "two", "three"]);
    let log = log(store.disk());
    assert_eq!(verify(&store, &log).map(|head| head.seq), Ok(3));
    let check = store.accounts().audit().expect("memory can be read");
    for at in 0..log.len() {
        let mut bytes = log.clone().into_bytes();
        bytes[at] ^= 1;
        assert!(check.verify(&bytes[..]).expect("memory can be read").is_err(), "byte {at}");
    }
}

#[test]
fn what_was_cut_rewritten_or_deleted_is_found_with_its_line() {
    let store = with_lines(&["one", "two", "three"]);
    let log = log(store.disk());
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    let fresh = |details: &[&str]| unsealed(1, details, "0".repeat(64));
    for (changed, line, words) in [
        ([lines[0], lines[2]].concat(), 2, "number"),
        (lines[1..].concat(), 1, "number"),
        (lines[..1].concat(), 2, "lines 2 to 3 are missing"),
        (lines[..2].concat(), 3, "missing"),
        (String::new(), 1, "lines 1 to 3 are missing"),
        (fresh(&["one", "2", "three"]), 1, "not what the server has written"),
        ([lines[0], &unsealed(2, &["2", "three"], last_hash(lines[0]))].concat(), 2, "not what the server has written"),
        (fresh(&["one"]), 1, "not what the server has written"),
        (format!("{log}{}", unsealed(4, &["four"], last_hash(&log))), 4, "not what the server has written"),
    ] {
        let broken = verify(&store, &changed).expect_err(&changed);
        assert!(broken.line == line && broken.fault.contains(words), "{broken} {changed}");
    }
    // Half a line after the end is one that is being written.
    assert_eq!(verify(&store, &format!("{log}4 2000-")), Ok(store.audit_head()));
}

#[test]
fn a_log_of_another_store_is_another_log() {
    let mut other = MemoryStore::open(SimDisk::new(2), MemoryIndex::default(), "x", 2, &mut |_| {}).expect("new");
    other.guard_audit([7; 32], 0).expect("it takes a key");
    other.ask(Request::Audit(event("one")));
    let store = with_lines(&["one"]);
    assert_eq!(verify(&store, &log(other.disk())).map_err(|broken| broken.line), Err(1));
}

#[test]
fn a_broken_log_is_set_aside_and_monitoring_is_off_until_the_operator_knows() {
    let mut store = with_lines(&["one", "two"]);
    for name in ["a", "b"] {
        register(&mut store, name);
    }
    let grant = Grant { monitor: 10_000, target: 10_001, until_ms: 9, reason: "why".into() };
    let put = || Request::Commit(vec![Change::PutGrant(grant.clone())]);
    assert_eq!(store.ask(put()), Answer::Done);
    let changed = unsealed(1, &["one", "2"], "0".repeat(64));
    replace(&mut store.disk().clone(), &changed);
    let mut store = restart(store);
    assert_eq!(store.take_audit_alarm().map(|broken| broken.line), Some(1));
    assert_eq!(store.ask(Request::Audit(event("three"))), Answer::Refused(Refusal::AuditBroken));
    assert_eq!(log(store.disk()), changed, "it is left as it is");
    let aside = store.guard_audit([1; 32], 946_684_800_000).expect("it can be written").expect("it was broken");
    assert_eq!(&*aside.name, "audit-broken-2000-01-01T000000.000Z.log");
    assert_eq!(store.disk().read(&aside.name, 0, usize::MAX).expect("there"), changed.as_bytes());
    assert_eq!(store.guard_audit([1; 32], 946_684_800_000).expect("it can be written"), None, "once");
    let mut store = restart(store);
    let new = log(store.disk());
    assert!(new.contains(" broken 0 0 ") && new.contains(&*aside.name) && new.lines().count() == 1, "{new}");
    assert_eq!(verify(&store, &new), Ok(store.audit_head()));
    assert_eq!(store.accounts().audit().expect("readable").set_aside(), Some(&aside));
    let read = Request::Grant { monitor: 10_000, target: 10_001 };
    for refused in [read.clone(), put()] {
        assert_eq!(store.ask(refused), Answer::Refused(Refusal::AuditBroken));
    }
    assert_eq!(commit(&mut store, vec![Change::AcknowledgeAudit]), Answer::Done);
    let mut store = restart(store);
    assert_eq!(store.ask(read), Answer::Grant(Some(grant.clone())));
    assert_eq!(store.accounts().audit().expect("readable").set_aside(), None);
}

#[test]
fn a_log_that_is_changed_under_a_running_server_takes_nothing_more() {
    let mut store = with_lines(&["one", "two"]);
    let whole = log(store.disk());
    let first = whole.lines().next().expect("a line").to_owned() + "\n";
    replace(&mut store.disk().clone(), &first);
    // Whoever is in the same group is served.
    let mut group = vec![(1, Request::Audit(event("three"))), (2, Request::Register(Box::new(account("Ann"))))];
    let mut answers = Vec::new();
    store.process(&mut group, &mut answers);
    let expected = [(1, Answer::Refused(Refusal::AuditBroken)), (2, Answer::Registered(10_000))];
    assert_eq!(answers, expected);
    assert!(store.take_audit_alarm().is_some() && store.take_audit_alarm().is_none(), "told once");
    assert_eq!(log(store.disk()), first);
}

#[test]
fn a_line_that_somebody_has_appended_breaks_the_log_and_a_torn_one_does_not() {
    let whole = log(with_lines(&["one", "two"]).disk());
    let last = whole.lines().last().expect("two lines");
    for (tail, line) in [
        (format!("{last}\n"), Some(3)),
        ("garbage\n".to_owned(), Some(3)),
        (unsealed(3, &["three"], last_hash(&whole)), Some(3)),
        ("\n".to_owned(), Some(3)),
        ("3 2000-01-01T".to_owned(), None),
        ("3 2000\0\0\0\0\0\n".to_owned(), None),
    ] {
        let store = with_lines(&["one", "two"]);
        replace(&mut store.disk().clone(), &format!("{whole}{tail}"));
        let mut store = restart(store);
        assert_eq!(store.take_audit_alarm().map(|broken| broken.line), line, "{tail}");
        let kept = if line.is_some() { format!("{whole}{tail}") } else { whole.clone() };
        assert_eq!(log(store.disk()), kept, "{tail}");
    }
}

#[test]
fn lines_of_the_version_without_macs_count_up_to_the_first_with_one() {
    let old = unsealed(1, &["one", "two"], "0".repeat(64));
    let mut disk = SimDisk::new(3);
    let open = |disk: &SimDisk| MemoryStore::open(disk.clone(), MemoryIndex::default(), "x", 3, &mut |_| {});
    open(&disk).expect("new").close().expect("closed");
    replace(&mut disk, &old);
    let mut store = open(&disk).expect("an old log is good");
    assert_eq!(store.ask(Request::Audit(event("x"))), Answer::Refused(Refusal::AuditBroken), "no key yet");
    assert_eq!(store.guard_audit([5; 32], 0).expect("it can be written"), None);
    assert_eq!(verify(&store, &old), Ok(store.audit_head()), "before the first mac the end in the store holds it");
    let rewritten = unsealed(1, &["one", "2"], "0".repeat(64));
    assert_eq!(verify(&store, &rewritten).map_err(|broken| broken.line), Err(2));
    store.ask(Request::Audit(event("three")));
    let all = log(store.disk());
    assert_eq!(verify(&store, &all).map(|head| head.seq), Ok(3));
    let third = all.lines().nth(2).expect("three lines");
    assert_eq!(verify(&store, &format!("{rewritten}{third}\n")).map_err(|broken| broken.line), Err(3));
    let forged = format!("{old}{}", unsealed(3, &["three"], last_hash(&old)));
    assert_eq!(verify(&store, &forged).map_err(|broken| broken.line), Err(3));
    store.close().expect("closed");
    assert_eq!(open(&disk).expect("good").guard_audit([6; 32], 0).expect("it can be written"), None);
}

#[test]
fn the_chain_holds_over_crashes_and_full_disks() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut store = guarded(seed);
        let mut answered = 0;
        for _ in 0..4 {
            match random.below(3) {
                0 => store.disk().cut_at(Some(store.disk().operations() + 1 + random.below(12))),
                1 => store.disk().set_room(Some(random.below(900))),
                _ => {}
            }
            for _ in 0..4 {
                let mut group: Vec<_> =
                    (0..1 + random.below(3)).map(|at| ((), Request::Audit(event(&format!("{seed} {at}"))))).collect();
                let mut answers = Vec::new();
                store.process(&mut group, &mut answers);
                answered += answers.iter().filter(|(_, answer)| *answer == Answer::Done).count() as u64;
            }
            store.disk().set_room(None);
            store = store.crash().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let head = store.audit_head();
            assert!(head.seq >= answered, "seed {seed}");
            answered = head.seq;
            if head.seq > 0 {
                assert_eq!(verify(&store, &log(store.disk())), Ok(head), "seed {seed}");
            }
        }
    }
}

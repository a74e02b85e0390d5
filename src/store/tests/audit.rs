//! The audit log: its lines, its chain, and what a crash does to it.

use super::model::Random;
use super::*;
use std::io::BufReader;

fn log(disk: &SimDisk) -> String {
    String::from_utf8(disk.read("audit.log", 0, usize::MAX).expect("readable")).expect("text")
}

fn verify(log: &str) -> Result<AuditHead, AuditBreak> {
    verify_audit(BufReader::new(log.as_bytes())).expect("memory can be read")
}

#[test]
fn a_line_is_an_event() {
    let mut store = MemoryStore::in_memory(1);
    assert_eq!(store.ask(Request::Audit(event("say \"no\"\nor 不"))), Answer::Done);
    let log = log(store.disk());
    let zero = "0".repeat(64);
    let start = format!("1 2000-01-01T00:00:00.000Z grant 10000 10001 \"say \\\"no\\\"\\nor 不\" {zero} ");
    assert!(log.starts_with(&start), "{log}");
    assert_eq!(log.lines().count(), 1);
    assert_eq!(verify(&log), Ok(store.audit_head()));
}

#[test]
fn times_are_right() {
    for (ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_799_999, "2000-02-29T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
    ] {
        assert_eq!(crate::store::audit::Utc(ms).to_string(), text);
    }
}

#[test]
fn a_long_detail_is_cut_between_characters() {
    let mut store = MemoryStore::in_memory(1);
    store.ask(Request::Audit(event(&"不".repeat(1_000))));
    assert_eq!(log(store.disk()).matches('不').count(), 341);
}

#[test]
fn every_change_of_a_line_is_found() {
    let mut store = MemoryStore::in_memory(1);
    for detail in ["one", "two", "three"] {
        store.ask(Request::Audit(event(detail)));
    }
    let log = log(store.disk());
    assert_eq!(verify(&log).map(|head| head.seq), Ok(3));
    for at in 0..log.len() {
        let mut bytes = log.clone().into_bytes();
        bytes[at] ^= 1;
        let found = verify_audit(&bytes[..]).expect("memory can be read");
        assert!(found.is_err(), "byte {at}");
    }
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    assert_eq!(verify(&[lines[0], lines[2]].concat()).map_err(|fault| fault.line), Err(2));
    assert_eq!(verify(lines[1]).map_err(|fault| fault.line), Err(1));
    // Without its last line it is whole in itself, but its end is not the one that the store knows.
    assert_ne!(verify(&lines[..2].concat()), Ok(store.audit_head()));
}

#[test]
fn a_changed_or_shortened_log_does_not_open() {
    let mut store = MemoryStore::in_memory(1);
    for detail in ["one", "two"] {
        store.ask(Request::Audit(event(detail)));
    }
    let mut disk = store.disk().clone();
    drop(store);
    let size = disk.size("audit.log").expect("readable").expect("there");
    let open = |disk: &SimDisk| Store::open(disk.clone(), MemoryIndex::default(), "x", 1, &mut |_| {}).map(drop);
    disk.flip("audit.log", size as usize - 3);
    assert!(matches!(open(&disk), Err(OpenError::Damaged { .. })));
    disk.flip("audit.log", size as usize - 3);
    open(&disk).expect("whole again");
    disk.truncate("audit.log", size - 1).expect("can be cut");
    assert!(matches!(open(&disk), Err(OpenError::Damaged { .. })));
}

#[test]
fn the_chain_holds_over_crashes_and_full_disks() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut store = MemoryStore::in_memory(seed);
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
                assert_eq!(verify(&log(store.disk())), Ok(head), "seed {seed}");
            }
        }
    }
}

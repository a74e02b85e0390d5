//! Stores in real directories: the lock, kills, and what happens to the folder of the index.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn open(path: &Path) -> Result<DirStore, OpenError> {
    DirStore::open_dir(path, 5, &mut |_| {})
}

/// What a killed process leaves: a copy of the directory while the store still runs.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("can be made");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("readable").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("can be copied");
        }
    }
}

#[test]
fn a_closed_directory_opens_again() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("deep/data");
    let mut store = open(&path).expect("opens");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
    populate(&mut store);
    let whole = dump(&store);
    store.close().expect("closes");
    let store = open(&path).expect("opens");
    assert_eq!(dump(&store), whole);
}

#[test]
fn only_one_process_has_it_open() {
    let home = tempfile::tempdir().expect("a directory");
    let store = open(home.path()).expect("opens");
    let Err(error @ OpenError::Locked { .. }) = open(home.path()) else { panic!("opened twice") };
    let line = error.to_string();
    assert!(line.contains("in use by another process") && line.contains(&*home.path().to_string_lossy()), "{line}");
    store.close().expect("closes");
    open(home.path()).expect("opens");
}

#[test]
fn a_kill_at_any_time_loses_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("data");
    let mut store = open(&path).expect("opens");
    populate(&mut store);
    for round in 0..5 {
        let add = Change::AddMail(10_000, mail(round, &format!("round {round}")));
        assert_eq!(commit(&mut store, vec![add]), Answer::Done);
        if round % 2 == 0 {
            store.maintain().expect("nothing is wrong");
        }
        let killed = home.path().join(format!("killed {round}"));
        copy(&path, &killed);
        let copied = open(&killed).expect("opens");
        assert_eq!(dump(&copied), dump(&store));
    }
}

#[test]
fn a_store_that_was_not_closed_opens_again() {
    let home = tempfile::tempdir().expect("a directory");
    let mut store = open(home.path()).expect("opens");
    populate(&mut store);
    store.maintain().expect("nothing is wrong");
    commit(&mut store, vec![Change::AddMail(10_000, mail(3, "not settled"))]);
    let whole = dump(&store);
    drop(store);
    assert_eq!(dump(&open(home.path()).expect("opens")), whole);
}

#[test]
fn the_index_may_be_deleted_or_damaged() {
    let home = tempfile::tempdir().expect("a directory");
    let mut store = open(home.path()).expect("opens");
    populate(&mut store);
    store.compact().expect("nothing is wrong");
    commit(&mut store, vec![Change::AddMail(10_000, mail(3, "after the base"))]);
    let whole = dump(&store);
    store.close().expect("closes");
    let index = home.path().join("index");
    let spoil: [&dyn Fn(); 5] = [
        &|| fs::remove_dir_all(&index).expect("can be removed"),
        &|| fs::remove_file(index.join("db")).expect("can be removed"),
        &|| fs::write(index.join("db"), vec![0xAB; 300_000]).expect("can be written"),
        &|| fs::write(index.join("conf"), b"junk").expect("can be written"),
        &|| fs::File::options().write(true).open(index.join("db")).and_then(|db| db.set_len(100)).expect("can be cut"),
    ];
    for (at, spoil) in spoil.iter().enumerate() {
        spoil();
        let store = open(home.path()).unwrap_or_else(|error| panic!("spoilt in way {at}: {error}"));
        assert_eq!(dump(&store), whole, "spoilt in way {at}");
        store.close().expect("closes");
    }
}

#[test]
fn a_reader_follows_the_writer_and_ends_with_it() {
    let home = tempfile::tempdir().expect("a directory");
    let mut store = open(home.path()).expect("opens");
    let accounts = store.accounts();
    populate(&mut store);
    assert_eq!(accounts.count().expect("readable"), 3);
    let mut seen = Vec::new();
    let visit = &mut |number, _: &[u8]| {
        seen.push(number);
        ControlFlow::Continue(())
    };
    let reader = accounts.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| reader.scan(0, visit).expect("readable"));
    });
    assert_eq!(seen, [10_000, 10_001, 10_002]);
    store.close().expect("closes");
    assert!(accounts.count().is_err());
    open(home.path()).expect("opens, though the reader is still held");
}

#[test]
fn a_path_that_cannot_be_a_directory_is_one_clear_line() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("file");
    fs::write(&file, b"not a directory").expect("can be written");
    let Err(error) = open(&file) else { panic!("opened a file") };
    let line = error.to_string();
    assert!(line.starts_with("cannot create data directory") && !line.contains('\n'), "{line}");
}

//! A damaged directory is recovered but for what is damaged, and damage is noticed while nothing is lost by it.

use super::model::{Model, Random, random_request};
use super::*;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A directory with the doings of a few people, in a base and a journal, or in a journal alone.
fn directory(seed: u64, compacted: bool) -> (tempfile::TempDir, Model) {
    let place = tempfile::tempdir().expect("a directory");
    let mut store = DirStore::open_dir(place.path(), seed, &mut |_| {}).expect("a new one");
    let (mut random, mut id) = (Random(seed), 0);
    for round in 0..60 {
        store.ask(random_request(&mut random, &mut id));
        if compacted && round == 40 {
            store.compact().expect("nothing is wrong");
        }
    }
    let model = Model::of(&store);
    store.close().expect("nothing is wrong");
    (place, model)
}

/// Damages one byte of a file.
fn flip(path: &Path, offset: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("readable");
    file.write_all_at(&[byte[0] ^ 0x55], offset).expect("written");
}

fn recover(from: &Path, losses: &mut Vec<Loss>) -> (tempfile::TempDir, Salvaged) {
    let to = tempfile::tempdir().expect("a directory");
    let salvaged = salvage(from, to.path(), 9, &mut |loss| losses.push(loss)).expect("it can be recovered");
    (to, salvaged)
}

#[test]
fn a_whole_directory_is_recovered_whole_but_for_sessions() {
    for seed in 0..6 {
        let (from, mut model) = directory(seed, seed % 2 == 0);
        let mut losses = Vec::new();
        let (to, salvaged) = recover(from.path(), &mut losses);
        assert_eq!((losses, salvaged.left_out), (vec![], 0), "seed {seed}");
        let store = DirStore::open_dir(to.path(), 3, &mut |_| {}).expect("opens");
        model.sessions.clear();
        let found = Model::of(&store);
        assert_eq!(found, model, "seed {seed}");
        assert_eq!(salvaged.accounts as usize, model.accounts.len());
        assert_eq!(salvaged.messages as usize, model.mail.values().map(Vec::len).sum::<usize>());
    }
}

#[test]
fn one_damaged_byte_loses_one_frame_and_that_is_told() {
    for seed in 0..24 {
        let (from, _) = directory(seed % 4, seed % 2 == 0);
        let mut random = Random(seed);
        let mut files: Vec<_> = std::fs::read_dir(from.path())
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("journal-") || name.starts_with("base-"))
            .collect();
        files.sort();
        let name = &files[random.below(files.len() as u64) as usize];
        let path = from.path().join(name);
        let size = path.metadata().expect("there").len();
        // Every part of a header once.
        let offset = if seed < 12 { (seed * 3).min(size - 1) } else { random.below(size) };
        flip(&path, offset);
        std::fs::remove_dir_all(from.path().join("index")).expect("it is there");
        let what = format!("seed {seed}, {name} at {offset}");
        let error = DirStore::open_dir(from.path(), 2, &mut |_| {}).map(drop).expect_err("it is damaged").to_string();
        assert!(error.contains("oicqd salvage"), "{what}: {error}");
        let mut losses = Vec::new();
        let (to, salvaged) = recover(from.path(), &mut losses);
        let [loss] = &losses[..] else { panic!("{what}: {losses:?}") };
        assert!(loss.file == *name && loss.offset <= offset && offset < loss.offset + loss.bytes, "{what}: {loss}");
        if loss.offset == 0 {
            assert!(salvaged.frames + salvaged.keys > 0 && salvaged.left_out == 0, "{what}: {salvaged:?}");
        }
        // What is left agrees with itself: Model::of panics otherwise.
        let mut store = DirStore::open_dir(to.path(), 3, &mut |_| {}).expect("opens");
        let found = Model::of(&store);
        assert!(!found.accounts.is_empty() || loss.file.starts_with("base"), "{what}");
        // And goes on: no number is given out twice, and mail has new places.
        let number = register(&mut store, "new");
        assert!(!found.accounts.contains_key(&number), "{what}");
        assert_eq!(commit(&mut store, vec![Change::AddMail(number, mail(77, "new"))]), Answer::Done);
    }
}

#[test]
fn nothing_is_recovered_into_a_directory_that_is_in_use_or_from_one() {
    let (from, _) = directory(1, false);
    let to = tempfile::tempdir().expect("a directory");
    std::fs::write(to.path().join("something"), "x").expect("written");
    let error = salvage(from.path(), to.path(), 9, &mut |_| {}).expect_err("it is not empty").to_string();
    assert!(error.contains("not empty"), "{error}");
    let missing = to.path().join("missing");
    assert!(salvage(&missing, &to.path().join("new"), 9, &mut |_| {}).is_err());
    assert!(!missing.exists());
    let store = DirStore::open_dir(from.path(), 1, &mut |_| {}).expect("opens");
    let error = salvage(from.path(), &to.path().join("new"), 9, &mut |_| {}).expect_err("in use").to_string();
    assert!(error.contains("in use"), "{error}");
    drop(store);
}

#[test]
fn what_is_damaged_on_disk_is_noticed_and_a_new_base_heals_it() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let mut store = MemoryStore::in_memory(seed);
        populate(&mut store);
        if seed % 2 == 0 {
            store.compact().expect("nothing is wrong");
            commit(&mut store, vec![Change::AddMail(10_000, mail(2, "after it"))]);
        }
        commit(&mut store, vec![Change::AddMail(10_000, mail(3, "in memory"))]);
        let whole = dump(&store);
        let mut through = 0;
        let scrub = store.begin_scrub();
        let mut pace = |bytes| {
            through += bytes;
            ControlFlow::Continue(())
        };
        assert!(scrub.run(&mut pace).is_none(), "seed {seed}: nothing is wrong");
        assert!(through > 0);
        let names = store.disk().list().expect("readable");
        let names: Vec<_> =
            names.iter().filter(|name| name.starts_with("journal-") || name.starts_with("base-")).collect();
        let name = names[random.below(names.len() as u64) as usize];
        let size = store.disk().size(name).expect("readable").expect("there");
        let offset = random.below(size) as usize;
        store.disk().flip(name, offset);
        let damage = store.begin_scrub().run(&mut |_| ControlFlow::Continue(()));
        let damage = damage.unwrap_or_else(|| panic!("seed {seed}: {name} at {offset} was not noticed")).to_string();
        assert!(damage.contains(name.as_str()), "seed {seed}: {damage}");
        store.compact().expect("nothing is wrong");
        assert!(store.begin_scrub().run(&mut |_| ControlFlow::Continue(())).is_none(), "seed {seed}: still damaged");
        let disk = store.disk().clone();
        drop(store);
        let store = Store::open(disk, MemoryIndex::default(), "next boot", 5, &mut |_| {}).expect("opens");
        assert_eq!(dump(&store), whole, "seed {seed}");
    }
}

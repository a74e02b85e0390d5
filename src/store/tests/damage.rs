//! Damage is found and named, and nothing is overwritten; an index is made anew.

use super::*;

fn open(disk: &SimDisk, index: &MemoryIndex) -> Result<MemoryStore, OpenError> {
    Store::open(disk.clone(), index.clone(), "next boot", 3, &mut |_| {})
}

/// All files but what is known of the index, to see that none was changed.
fn files(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.list().expect("readable");
    let names = names.into_iter().filter(|name| name != "index.pos");
    names.map(|name| (name.clone(), disk.read(&name, 0, usize::MAX).expect("readable"))).collect()
}

fn assert_damaged(disk: &SimDisk, file: &str) {
    let before = files(disk);
    match open(disk, &MemoryIndex::default()) {
        Err(error @ OpenError::Damaged { .. }) => {
            let line = error.to_string();
            assert!(line.contains(file) && line.contains("backup") && !line.contains('\n'), "{line}");
        }
        other => panic!("not found: {:?}", other.map(drop)),
    }
    assert!(files(disk) == before, "a file was changed");
}

#[test]
fn every_byte_of_a_synced_frame_counts() {
    let mut store = populated();
    let frames_end = store.disk().size(&journal::name(1)).expect("readable").expect("there") as usize;
    commit(&mut store, vec![Change::AddMail(10_000, mail(2, "after it"))]);
    let disk = store.disk().clone();
    drop(store);
    for offset in (0..frames_end).step_by(7) {
        disk.flip(&journal::name(1), offset);
        assert_damaged(&disk, "journal-0000000001");
        disk.flip(&journal::name(1), offset);
    }
    open(&disk, &MemoryIndex::default()).expect("whole again");
}

#[test]
fn the_last_frame_counts_too_where_it_is_known_to_be_synced() {
    let mut store = populated();
    let disk = store.disk().clone();
    commit(&mut store, vec![Change::AddMail(10_000, mail(2, "last"))]);
    store.close().expect("nothing is wrong");
    let size = disk.size(&journal::name(1)).expect("readable").expect("there") as usize;
    disk.flip(&journal::name(1), size - 1);
    assert_damaged(&disk, "journal-0000000001");
}

#[test]
fn an_earlier_file_has_no_torn_end() {
    let mut store = populated();
    let disk = store.disk().clone();
    // A base that fails leaves a second journal file.
    drop(store.begin_compaction().expect("nothing is wrong"));
    commit(&mut store, vec![Change::AddMail(10_000, mail(2, "second file"))]);
    drop(store);
    let name = journal::name(1);
    let size = disk.size(&name).expect("readable").expect("there");
    disk.flip(&name, size as usize - 1);
    assert_damaged(&disk, &name);
    disk.flip(&name, size as usize - 1);
    let whole = disk.read(&name, 0, usize::MAX).expect("readable");
    let mut cut = disk.clone();
    cut.truncate(&name, 36).expect("can be cut");
    assert_damaged(&disk, &name);
    cut.remove(&name).expect("can be removed");
    assert_damaged(&disk, &name);
    cut.append(&name, &whole).expect("can be written");
    open(&disk, &MemoryIndex::default()).expect("whole again");
}

#[test]
fn a_damaged_base_is_found() {
    let mut store = populated();
    store.compact().expect("nothing is wrong");
    let disk = store.disk().clone();
    drop(store);
    let name = base::name(2);
    let size = disk.size(&name).expect("readable").expect("there") as usize;
    for offset in 0..size {
        disk.flip(&name, offset);
        assert_damaged(&disk, &name);
        disk.flip(&name, offset);
    }
    let whole = disk.read(&name, 0, usize::MAX).expect("readable");
    let mut cut = disk.clone();
    for size in 0..size {
        cut.truncate(&name, size as u64).expect("can be cut");
        assert_damaged(&disk, &name);
        cut.remove(&name).expect("can be removed");
        cut.append(&name, &whole).expect("can be written");
    }
    open(&disk, &MemoryIndex::default()).expect("whole again");
}

#[test]
fn a_missing_journal_or_format_is_damage() {
    let store = populated();
    let mut disk = store.disk().clone();
    drop(store);
    disk.rename(&journal::name(1), "aside").expect("can be renamed");
    assert_damaged(&disk, "journal-0000000001");
    disk.rename("aside", &journal::name(1)).expect("can be renamed");
    disk.rename("format", "aside").expect("can be renamed");
    assert_damaged(&disk, "format");
}

#[test]
fn a_newer_format_and_an_older_one_are_left_alone() {
    let store = populated();
    let mut disk = store.disk().clone();
    drop(store);
    disk.replace("format", b"oicq store 4\n", true).expect("can be written");
    let before = files(&disk);
    let Err(error @ OpenError::Newer { .. }) = open(&disk, &MemoryIndex::default()) else { panic!("opened") };
    assert!(error.to_string().contains("\"4\""));
    assert!(files(&disk) == before, "a file was changed");
    disk.replace("format", b"oicq store 1\n", true).expect("can be written");
    let before = files(&disk);
    let Err(error @ OpenError::Older { .. }) = open(&disk, &MemoryIndex::default()) else { panic!("opened") };
    assert!(error.to_string().contains("old format \"1\""));
    assert!(files(&disk) == before, "a file was changed");
}

#[test]
fn an_index_that_cannot_be_trusted_is_made_anew() {
    let mut store = populated();
    store.compact().expect("nothing is wrong");
    commit(&mut store, vec![Change::AddMail(10_000, mail(2, "after the base"))]);
    let whole = dump(&store);
    let (mut disk, index) = (store.disk().clone(), store.index().clone());
    store.close().expect("nothing is wrong");
    // Another index stands where the right one was.
    let other = MemoryIndex::default();
    other.apply(&[(b"\x02junk", Some(b"junk"))]).expect("works");
    assert_eq!(dump(&open(&disk, &other).expect("opens")), whole);
    // What is known of it cannot be read.
    disk.replace("index.pos", b"nonsense", true).expect("can be written");
    index.apply(&[(b"\x02junk", Some(b"junk"))]).expect("works");
    assert_eq!(dump(&open(&disk, &index).expect("opens")), whole);
}

#[test]
fn a_closed_index_is_used_after_a_power_cut_and_an_open_one_is_not() {
    let store = populated();
    let (disk, index) = (store.disk().clone(), store.index().clone());
    store.close().expect("nothing is wrong");
    disk.crash();
    let mark = [0xFE_u8];
    index.apply(&[(&mark, Some(b"still the same"))]).expect("works");
    drop(open(&disk, &index).expect("opens"));
    assert!(index.get(&mark).expect("readable").is_some());
    // It was not closed this time, and this is another boot.
    let reopened = Store::open(disk, index.clone(), "third boot", 4, &mut |_| {}).expect("opens");
    assert!(reopened.index().get(&mark).expect("readable").is_none());
}

#[test]
fn all_is_checked_before_anything_is_made_from_it() {
    let mut store = populated();
    store.compact().expect("nothing is wrong");
    let mut seen = Vec::new();
    let disk = store.disk().clone();
    drop(store);
    let report = &mut |progress: Progress| seen.push(progress.step);
    drop(Store::open(disk, MemoryIndex::default(), "next boot", 3, report).expect("opens"));
    assert_eq!(seen, [Step::Check, Step::Load]);
}

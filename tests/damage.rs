//! A damaged index under the real program: flipped bits, zeroed pages, cut files, before a start and while it runs. The
//! journal is whole, so the server must serve, and everything must be there.
#![cfg(feature = "server")]
#![allow(clippy::disallowed_methods, reason = "it waits for real processes")]

mod common;

use common::{Server, oicqd, said};
use oicq::store::{Account, Answer, Change, DirStore, Mail, Request};
use oicq::wire::Profile;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const FIRST: u32 = oicq::limits::FIRST_USER;
const USERS: u32 = 1_500;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn ask(store: &mut DirStore, request: Request) {
    let answer = store.ask(request);
    assert!(answer.is_done() || matches!(answer, Answer::Registered(_)), "{answer:?}");
}

/// A directory that was stopped cleanly, with an index of several segments that has been rewritten here and there.
fn directory() -> TempDir {
    let data = tempfile::tempdir().expect("a directory");
    let mut store = DirStore::open_dir(data.path(), 1, &mut |_| {}).expect("a new one");
    for number in 0..USERS {
        let nickname = format!("user {number}");
        let profile = Profile { nickname: &nickname, introduction: &"x".repeat(200), ..Profile::default() };
        ask(&mut store, Request::Register(Box::new(Account::new(&profile, "none".into(), 1))));
    }
    for round in 0..3 {
        for at in 0..USERS {
            let (owner, friend) = (FIRST + at, FIRST + (at * 7 + round) % USERS);
            let text = format!("message {round} for {owner}").repeat(8);
            let mail = Mail {
                seq: 0,
                flag: 2,
                kind: 0,
                from: friend,
                id: u64::from(round) + 1,
                time_ms: 1,
                text: text.as_str().into(),
            };
            let mut changes = vec![Change::AddMail(owner, mail)];
            if owner != friend {
                changes.push(Change::PutFriend { owner, friend, group: 1 });
            }
            ask(&mut store, Request::Commit(changes));
        }
        store.maintain().expect("nothing is wrong");
    }
    store.close().expect("nothing is wrong");
    let key = data.path().join("link.key");
    fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n").expect("written");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("changed");
    data
}

fn copy(data: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    fs::set_permissions(copy.path(), PermissionsExt::from_mode(0o700)).expect("changed");
    let status = Command::new("cp").arg("-r").arg(data.join(".")).arg(copy.path()).status();
    assert!(status.expect("cp exists").success());
    copy
}

/// Everything that users have there.
fn contents(data: &Path) -> Vec<String> {
    let mut store = DirStore::open_dir(data, 2, &mut |_| {}).expect("it opens");
    let all = (FIRST..FIRST + USERS).map(|number| {
        let (user, mail) = (store.ask(Request::User(number)), store.ask(Request::Mail(number)));
        assert!(matches!(user, Answer::User(Some(_))), "{number}");
        format!("{user:?} {mail:?}")
    });
    all.collect()
}

/// Damages a file of the index; says how.
fn damage(index: &Path, random: &mut Random) -> String {
    let files: Vec<_> = fs::read_dir(index)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_file() && path.metadata().expect("readable").len() > 0)
        .collect();
    let database = index.join("db");
    let path = if random.below(4) > 0 { &database } else { &files[random.below(files.len() as u64) as usize] };
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it can be written");
    let size = file.metadata().expect("readable").len();
    let at = random.below(size);
    let name = path.file_name().expect("a name").to_string_lossy();
    match random.below(4) {
        0 => {
            file.set_len(at).expect("cut");
            format!("{name} cut at {at}")
        }
        1 => {
            let at = at / 4096 * 4096;
            file.write_all_at(&vec![0; 4096.min((size - at) as usize)], at).expect("written");
            format!("{name} zeroed at {at}")
        }
        _ => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("readable");
            byte[0] ^= 1 << random.below(8);
            file.write_all_at(&byte, at).expect("written");
            format!("{name} flipped at {at}")
        }
    }
}

#[test]
fn a_server_starts_on_a_damaged_index_and_nothing_is_missing() {
    let whole = directory();
    let expected = contents(copy(whole.path()).path());
    let seeds = std::env::var("DAMAGE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(12);
    let mut remade = 0;
    for seed in 0..seeds {
        let data = copy(whole.path());
        let mut random = Random(seed);
        let what = damage(&data.path().join("index"), &mut random);
        println!("seed {seed}: {what}");
        let mut server = Server::start(data.path(), 1);
        assert!(server.banner.contains(&format!("accounts {USERS}")), "seed {seed}, {what}: {}", server.banner);
        server.signal("TERM");
        assert!(
            server.process.wait().expect("it ends").success(),
            "seed {seed}, {what}: {}",
            said(&mut server.process)
        );
        let words = said(&mut server.process);
        assert!(words.lines().count() <= 1, "seed {seed}, {what}: {words}");
        remade += u32::from(words.contains("the index was made anew"));
        assert!(contents(data.path()) == expected, "seed {seed}, {what}: something is missing");
    }
    assert!(remade > 0, "no damage was found");
}

#[test]
fn a_server_whose_index_is_damaged_while_it_runs_goes_on() {
    let whole = directory();
    let expected = contents(copy(whole.path()).path());
    for seed in 0..3 {
        let data = copy(whole.path());
        let mut server = Server::start(data.path(), 1);
        let file = OpenOptions::new().write(true).open(data.path().join("index/db")).expect("it can be written");
        let size = file.metadata().expect("readable").len();
        let mut random = Random(seed);
        for _ in 0..200 {
            let at = random.below(size / 4096) * 4096;
            file.write_all_at(&[0; 4096], at).expect("written");
        }
        // The list reads all of it; what fails is mended, and then it is whole.
        let list = || oicqd(data.path()).args(["account", "list"]).output().expect("it runs");
        let mut listed = list();
        for _ in 0..50 {
            if listed.status.success() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
            listed = list();
        }
        let words = String::from_utf8_lossy(&listed.stdout).into_owned();
        let (status, refusal) = (listed.status, String::from_utf8_lossy(&listed.stderr).into_owned());
        assert_eq!(
            words.lines().count() as u32,
            USERS,
            "seed {seed}: {status} {refusal} {}",
            said(&mut server.process)
        );
        server.kill();
        assert!(contents(data.path()) == expected, "seed {seed}: something is missing");
    }
}

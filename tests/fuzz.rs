//! Fuzzing of everything that reads what a stranger sent, or what a disk gave back: each entry point with what must hold
//! whatever the bytes are, over a small corpus and many seeded mutations of it.
//!
//! `cargo test --test fuzz` runs a short round. A long one, and another one each time:
//!
//! ```text
//! OICQ_FUZZ_ROUNDS=1000000 OICQ_FUZZ_SEED=$RANDOM cargo test --release --test fuzz
//! ```
//!
//! A failure prints the seed and the input as hex. Put the input into `tests/corpus/<entry>/` as a `.hex` file, and it is
//! tried first from then on. In a `.hex` file lines that begin with `#` say what is odd about it; other files are taken
//! as they are. To fuzz with a coverage-guided fuzzer, call the bodies below from its targets: each is a `fn(&[u8])`.
#![cfg(feature = "server")]

use oicq::limits::{DATA_HEADER_BYTES, DATAGRAM_BYTES, HEADER_BYTES, QUERY_BYTES, SEARCH_USERS, TAG_BYTES};
use oicq::link::{Ciphers, Dropped, Frames, Keys, Link, Packet, Side};
use oicq::shard::search::parse;
use oicq::store::{Account, AccountView, Grant, Mail};
use oicq::wire::{Dialect, PublicProfile, Server, User, WireError, stream_frame_bytes};
use serde_json::Value;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

/// Mutations of each file of the corpus, unless OICQ_FUZZ_ROUNDS says otherwise.
const ROUNDS: u64 = 2_000;
/// Where they begin, unless OICQ_FUZZ_SEED says otherwise: the same in every run, so that a red test stays red.
const SEED: u64 = 0x1999_0210;

// ---- the bodies

/// What decodes is encoded to a frame, no longer than it was, that decodes to the same.
fn user(bytes: &[u8]) {
    for dialect in [Dialect::Classic, Dialect::Link] {
        match User::decode(bytes, dialect) {
            Ok(message) => {
                let mut again = Vec::new();
                message.encode(&mut again);
                assert!(again.len() <= bytes.len(), "{message:?} has grown");
                assert_eq!(User::decode(&again, dialect), Ok(message));
                if let User::Register { profile, .. } | User::Update { profile, .. } = message {
                    let _ = profile.check();
                }
            }
            Err(error) => names_a_place(error, bytes),
        }
    }
}

/// The same for what a server sends: a client must not trust it more.
fn server(bytes: &[u8]) {
    for dialect in [Dialect::Classic, Dialect::Link] {
        match Server::decode(bytes, dialect) {
            Ok(message) => {
                let mut again = Vec::new();
                message.encode(&mut again);
                assert!(again.len() <= bytes.len(), "{message:?} has grown");
                assert_eq!(Server::decode(&again, dialect), Ok(message));
            }
            Err(error) => names_a_place(error, bytes),
        }
    }
}

fn names_a_place(error: WireError, bytes: &[u8]) {
    assert!(error.offset <= bytes.len(), "{error}: there are {} bytes", bytes.len());
    assert!(!error.to_string().is_empty());
}

/// Cutting frames from a stream ends, and how the stream was cut into reads makes no difference.
fn stream(bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        let whole = stream_frame_bytes(rest);
        for early in 0..rest.len().min(HEADER_BYTES + 1) {
            let told = stream_frame_bytes(&rest[..early]);
            assert!(told == whole || told == Ok(None), "{told:?} after {early} bytes, then {whole:?}");
        }
        match whole {
            Ok(Some(length)) if length <= rest.len() => {
                assert!(length >= HEADER_BYTES, "a frame has a header");
                user(&rest[..length]);
                rest = &rest[length..];
            }
            Ok(_) => return,
            Err(error) => return names_a_place(error, rest),
        }
    }
}

/// A search is understood or refused in a few words; whom it finds is within the numbers that it asks for.
fn search(bytes: &[u8]) {
    let sql = String::from_utf8_lossy(bytes);
    let query = match parse(&sql) {
        Ok(query) => query,
        Err(error) => return assert!(error.to_string().len() < 2 * QUERY_BYTES),
    };
    assert!(query.limit() <= SEARCH_USERS);
    assert_eq!(parse(&sql).as_ref(), Ok(&query), "the same text is the same search");
    let people = [
        PublicProfile::default(),
        PublicProfile {
            nickname: "小明",
            age: 20,
            city: "深圳",
            introduction: "aaaaaaaaaaaaaaaa",
            ..Default::default()
        },
    ];
    for (profile, number) in people.iter().zip([0, 10_001]) {
        let found = query.matches(number, profile, 1);
        assert!(!found || query.numbers().contains(&number), "{query:?} prunes {number}");
    }
}

/// A record is read in place as it is read whole, and written as it was meant.
fn account(bytes: &[u8]) {
    let view = AccountView::decode(bytes);
    let whole = Account::decode(bytes);
    match (view, whole) {
        (Ok(view), Ok(whole)) => {
            assert_eq!(view.profile, whole.profile());
            assert_eq!((view.disabled, view.password), (whole.disabled, &*whole.password));
            assert_eq!(view.card(10_001).nickname.as_ref(), whole.profile().nickname);
            assert_eq!(Account::decode(&whole.encode()), Ok(whole));
        }
        (Err(view), Err(whole)) => {
            assert_eq!(view, whole);
            names_a_place(view, bytes);
        }
        (view, whole) => panic!("in place {view:?}, whole {whole:?}"),
    }
}

fn mail(bytes: &[u8]) {
    match Mail::decode(7, bytes) {
        Ok((mail, None)) => assert_eq!(Mail::decode(7, &mail.encode()), Ok((mail, None))),
        // Its text is kept elsewhere.
        Ok((mail, Some(_))) => assert!(mail.text.is_empty()),
        Err(error) => names_a_place(error, bytes),
    }
}

fn grant(bytes: &[u8]) {
    match Grant::decode(10_001, 10_002, bytes) {
        Ok(grant) => assert_eq!(Grant::decode(10_001, 10_002, &grant.encode()), Ok(grant)),
        Err(error) => names_a_place(error, bytes),
    }
}

/// A packet is read, or what is wrong with it has a place. Encoded again it is the same but for its padding.
fn packet(bytes: &[u8]) {
    for from in [Side::Client, Side::Server] {
        match Packet::decode(bytes, from) {
            Ok(Packet::Data { .. }) => {}
            Ok(packet) => {
                let mut again = Vec::new();
                packet.encode(&mut again);
                assert_eq!(Packet::decode(&again, from), Ok(packet));
            }
            Err(error) => names_a_place(error, bytes),
        }
    }
}

/// Records that a peer with the right keys has sealed: whatever they are, the link stays within its bounds and answers
/// with packets that the other side can read.
fn records(bytes: &[u8]) {
    let keys = Keys { to_server: [1; 32], to_client: [2; 32] };
    for side in [Side::Server, Side::Client] {
        let mut link = Link::new(side, 10_001, 7, keys);
        let mut peer = Link::new(side.peer(), 10_001, 7, keys);
        let (mut ciphers, mut frames, mut packet) = (Ciphers::new(4), Frames::default(), Vec::new());
        link.send(&[1; 3_000]);
        let plain = &bytes[..bytes.len().min(DATAGRAM_BYTES - DATA_HEADER_BYTES - TAG_BYTES)];
        link.seal_for_test(side.peer(), plain, &mut ciphers, &mut packet);
        let _ = link.receive(5, &mut packet, &mut ciphers, &mut frames);
        let handed_up: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        assert!(handed_up <= bytes.len(), "{handed_up} bytes of {}", bytes.len());
        for now in [5, 20, 700] {
            for _ in 0..64 {
                packet.clear();
                if !link.poll(now, &mut ciphers, &mut packet) {
                    break;
                }
                assert!(packet.len() <= DATAGRAM_BYTES);
                frames.clear();
                let taken = peer.receive(now, &mut packet, &mut ciphers, &mut frames);
                assert!(!matches!(taken, Err(Dropped::Malformed | Dropped::Forged)), "{taken:?}");
            }
        }
    }
}

// ---- the entries

#[test]
fn frames_of_users() {
    run("frame", user, frames());
}

#[test]
fn frames_of_servers() {
    run("frame", server, frames());
}

#[test]
fn packets() {
    let link: Value = serde_json::from_str(include_str!("vectors/link-next.json")).expect("the vectors are JSON");
    let handshake = &link["suites_handshake"];
    let whole =
        [&handshake["hello"], &handshake["welcome"], &link["resume"]].map(|packet| hex(packet.as_str().expect("hex")));
    let data = link["packets"].as_array().expect("a list").iter();
    let data: Vec<_> = data.map(|one| hex(one["packet"].as_str().expect("hex"))).collect();
    run("packet", packet, whole.into_iter().chain(data).collect());
}

#[test]
fn sealed_records() {
    let link: Value = serde_json::from_str(include_str!("vectors/link-next.json")).expect("the vectors are JSON");
    let data = link["packets"].as_array().expect("a list").iter();
    let plain = data.map(|one| hex(one["plaintext"].as_str().expect("hex")));
    run("records", records, plain.collect());
}

#[test]
fn streams() {
    let all = frames().concat();
    let mut seeds = frames();
    seeds.extend([all[..all.len() / 2].to_vec(), all]);
    run("frame", stream, seeds);
}

#[test]
fn searches() {
    run("search", search, Vec::new());
}

#[test]
fn accounts() {
    let records = frames().into_iter().filter_map(|frame| match User::decode(&frame, Dialect::Link) {
        Ok(User::Register { profile, .. }) => Some(Account::new(&profile, "$argon2id$".into(), 1).encode()),
        _ => None,
    });
    run("account", account, records.collect());
}

#[test]
fn mails() {
    let stored = Mail { seq: 7, flag: 2, kind: 0, from: 10_001, id: 3, time_ms: 4, text: "你好, world".into() };
    run("mail", mail, vec![stored.encode()]);
}

#[test]
fn grants() {
    let granted = Grant { monitor: 10_001, target: 10_002, until_ms: u64::MAX, reason: "案件 7".into() };
    run("grant", grant, vec![granted.encode()]);
}

// ---- the corpus

/// All vectors, good and malformed.
fn frames() -> Vec<Vec<u8>> {
    let vectors: Value = serde_json::from_str(include_str!("vectors/frames.json")).expect("the vectors are JSON");
    let frames = ["frames", "malformed"].into_iter().flat_map(|list| vectors[list].as_array().expect("a list").clone());
    frames.map(|frame| hex(frame["hex"].as_str().expect("hex"))).collect()
}

/// The files of an entry, in order of name.
fn corpus(entry: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(entry);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("a readable directory").path()).collect();
    files.sort();
    let read = |path: &Path| match path.extension() {
        Some(extension) if extension == "hex" => hex(&fs::read_to_string(path).expect("a text")),
        _ => fs::read(path).expect("a readable file"),
    };
    files.iter().map(|path| read(path)).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<u32> = lines.flat_map(str::chars).filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

// ---- the machinery

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Tries every seed as it is, then mutations of each.
fn run(entry: &str, body: fn(&[u8]), mut seeds: Vec<Vec<u8>>) {
    seeds.extend(corpus(entry));
    let (seed, rounds) = (setting("OICQ_FUZZ_SEED", SEED), setting("OICQ_FUZZ_ROUNDS", ROUNDS));
    println!("{entry}: {} files, OICQ_FUZZ_ROUNDS={rounds} OICQ_FUZZ_SEED={seed}", seeds.len());
    seeds.iter().for_each(|bytes| attempt(body, bytes));
    let mut random = Random::new(seed);
    for _ in 0..rounds {
        for at in 0..seeds.len() {
            let mut bytes = seeds[at].clone();
            for _ in 0..=random.below(4) {
                mutate(&mut bytes, &seeds, &mut random);
            }
            if random.below(2) == 0 {
                mend_length(&mut bytes);
            }
            attempt(body, &bytes);
        }
    }
}

fn attempt(body: fn(&[u8]), bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(bytes))) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("input: {hex}");
        resume_unwind(panic);
    }
}

/// One change, of the kinds that break parsers.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    const EDGES: [u8; 8] = [0x00, 0x01, 0x7F, 0x80, 0xC0, 0xFE, 0xFF, b'\''];
    let at = random.below(bytes.len() + 1);
    let to = at + random.below(bytes.len() - at + 1);
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = EDGES[random.below(EDGES.len())],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..to)),
        4 => bytes.extend_from_within(at..to),
        5 => splice(bytes, at, &seeds[random.below(seeds.len())], random),
        // Lengths and counts: a lie about what follows.
        6 => overwrite(bytes, at, &(random.edge() as u16).to_be_bytes()),
        7 => overwrite(bytes, at, &random.edge().to_be_bytes()),
        _ => bytes.push(EDGES[random.below(EDGES.len())]),
    }
    // Nothing above this is ever read, and doubling must end somewhere.
    bytes.truncate(1 << 16);
}

/// Puts a piece of another file in.
fn splice(bytes: &mut Vec<u8>, at: usize, other: &[u8], random: &mut Random) {
    let from = random.below(other.len() + 1);
    let to = from + random.below(other.len() - from + 1);
    bytes.splice(at..at, other[from..to].iter().copied());
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (byte, new) in bytes[at..].iter_mut().zip(with) {
        *byte = *new;
    }
}

/// Makes the length of a frame true again: else hardly a changed frame would come past its header.
fn mend_length(bytes: &mut [u8]) {
    if bytes.len() >= HEADER_BYTES && matches!(bytes[0], 0x81 | 0x82) {
        let length = (bytes.len() - HEADER_BYTES) as u32;
        bytes[4..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    }
}

/// xorshift64*: small, fast and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Its state must not be zero.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// A number near a border.
    fn edge(&mut self) -> u32 {
        const BORDERS: [u32; 8] = [0, 1, 0xFF, 0x100, 60_000, 0xFFFF, 0x7FFF_FFFF, u32::MAX];
        let border = BORDERS[self.below(BORDERS.len())];
        border.wrapping_add(self.below(3) as u32).wrapping_sub(1)
    }
}

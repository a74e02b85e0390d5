//! Accounts for a measurement, written straight into a data directory by the store: with tokens, so that signing in costs
//! no Argon2id, and with friend lists.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oicq::limits::{COMMIT_GROUP, GROUP_FRIENDS, STORE_SETTLE};
use oicq::store::{Account, Answer, Change, DirStore, FsDisk, MemoryIndex, NewToken, Packed, Request, Store};
use oicq::wire::Profile;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

/// The file beside the store with a number and a token in each line, for its owner alone.
const TOKENS: &str = "load-tokens";
/// The tokens outlive those that the server gives: of an account's eight, the one that ends first goes.
const TOKEN_DAYS: u64 = 3_650;
/// No password fits it: these accounts are only for tokens.
const NO_PASSWORD: &str = "none";
/// How the degrees fall off: few have very many friends.
const PARETO: f64 = 1.5;

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Accounts.
    pub users: usize,
    /// Friends of each, on average.
    pub friends: usize,
    /// So many of them list the first account.
    pub watchers: usize,
    /// Of all chance in it.
    pub seed: u64,
}

/// Accounts that can sign in.
pub struct Prepared {
    /// Number of the first; the others follow.
    pub first: u32,
    /// Their tokens.
    pub tokens: Vec<String>,
}

/// Fills a new or empty data directory. `progress` hears how many of the steps are done.
pub fn write(directory: &Path, plan: Plan, progress: &mut dyn FnMut(u64)) -> Result<Prepared, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", directory.display());
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(wrong)?;
    if fs::read_dir(directory).map_err(wrong)?.next().is_some() {
        return Err(format!("{} is not empty; give a directory of its own", directory.display()));
    }
    let mut chance = ChaCha20Rng::seed_from_u64(plan.seed);
    let now_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis() as u64);
    let lists = friends(plan, &mut chance);
    // Tokens must not be guessed from the seed: the accounts may stay.
    let mut secret = ChaCha20Rng::from_seed(random(&wrong)?);
    let store = FsDisk::open(directory)
        .and_then(|disk| Store::open(disk, Packed::new(MemoryIndex::default()), "", secret.next_u64(), &mut |_| {}))
        .map_err(|error| error.to_string())?;
    let mut writer = Writer { store, group: Vec::new(), answers: Vec::new(), first: None, maintained: Instant::now() };
    let mut done = 0;
    for user in 0..plan.users {
        writer.ask(Request::Register(Box::new(account(user, now_ms, &mut chance))))?;
        done += 1;
        progress(done);
    }
    writer.process()?;
    let first = writer.first.ok_or("the store has registered nobody")?;
    let until_ms = now_ms + TOKEN_DAYS * 24 * 3_600 * 1_000;
    let mut tokens = Vec::with_capacity(plan.users);
    for (user, list) in lists.iter().enumerate() {
        let mut bytes = [0; 32];
        secret.fill_bytes(&mut bytes);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let owner = first + user as u32;
        let hash = Sha256::digest(&token).into();
        let token_record = NewToken { number: owner, hash, until_ms, session: 0, instead_of: None };
        let mut changes = vec![Change::PutToken(token_record)];
        changes.extend(list.iter().map(|friend| Change::PutFriend { owner, friend: first + friend, group: 1 }));
        writer.ask(Request::Commit(changes))?;
        tokens.push(token);
        done += 1;
        progress(done);
    }
    writer.process()?;
    writer.close().map_err(wrong)?;
    let store = DirStore::open_dir(directory, secret.next_u64(), &mut |_| {}).map_err(|error| error.to_string())?;
    store.close().map_err(wrong)?;
    keep(directory, first, &tokens).map_err(wrong)?;
    make_key(directory, &mut secret).map_err(wrong)?;
    Ok(Prepared { first, tokens })
}

/// Reads the tokens of a directory that was prepared: those of the first `users` accounts.
pub fn read(directory: &Path, users: usize) -> Result<Prepared, String> {
    let path = directory.join(TOKENS);
    let file = File::open(&path)
        .map_err(|error| format!("{}: {error}; `oicq-load prepare` writes it, with the accounts", path.display()))?;
    let mut lines = BufReader::new(file).lines().map_while(Result::ok);
    let (mut first, mut tokens) = (None, Vec::new());
    while tokens.len() < users {
        let Some(line) = lines.next() else {
            return Err(format!("{} has {} accounts, fewer than --users {users}", path.display(), tokens.len()));
        };
        let entry = line.split_once(' ').and_then(|(number, token)| Some((number.parse::<u32>().ok()?, token)));
        let (number, token) = entry.ok_or_else(|| format!("{} is no file of tokens", path.display()))?;
        if *first.get_or_insert(number) + tokens.len() as u32 != number {
            return Err(format!("{}: the numbers do not follow each other", path.display()));
        }
        tokens.push(token.to_owned());
    }
    Ok(Prepared { first: first.ok_or("no users were asked for")?, tokens })
}

/// The key of the server that will run there: where there are accounts it is not made at the first start.
fn make_key(directory: &Path, secret: &mut ChaCha20Rng) -> std::io::Result<()> {
    let mut key = [0; 32];
    secret.fill_bytes(&mut key);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.join("link.key"))?;
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(key))
}

fn keep(directory: &Path, first: u32, tokens: &[String]) -> std::io::Result<()> {
    let path = directory.join(TOKENS);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut out = BufWriter::new(file);
    for (number, token) in (first..).zip(tokens) {
        writeln!(out, "{number} {token}")?;
    }
    out.flush()
}

fn random(wrong: &dyn Fn(std::io::Error) -> String) -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut seed)).map_err(wrong)?;
    Ok(seed)
}

fn account(user: usize, now_ms: u64, chance: &mut ChaCha20Rng) -> Account {
    const CITIES: [&str; 8] = ["北京", "上海", "广州", "深圳", "成都", "武汉", "西安", "南京"];
    let nickname = format!("load {user}");
    let dice = chance.next_u32();
    let profile = Profile {
        nickname: &nickname,
        portrait: (dice & 0x3F) as u16,
        sex: (dice >> 6) as u8 % 3,
        age: 14 + (dice >> 8) as u8 % 50,
        province: (dice >> 16) as u8 % 34,
        city: CITIES[(dice >> 24) as usize % CITIES.len()],
        ..Profile::default()
    };
    Account::new(&profile, NO_PASSWORD.into(), now_ms)
}

/// Friends are all over the place, which is slow to put into an index on the disk: it is made in one go at the end, from a
/// base.
struct Writer {
    store: Store<FsDisk, Packed<MemoryIndex>>,
    group: Vec<((), Request)>,
    answers: Vec<((), Answer)>,
    first: Option<u32>,
    maintained: Instant,
}

impl Writer {
    fn ask(&mut self, request: Request) -> Result<(), String> {
        self.group.push(((), request));
        if self.group.len() == COMMIT_GROUP { self.process() } else { Ok(()) }
    }

    fn process(&mut self) -> Result<(), String> {
        if crate::sys::stopping() {
            return Err("interrupted; remove the directory, it is not complete".into());
        }
        self.store.process(&mut self.group, &mut self.answers);
        for ((), answer) in self.answers.drain(..) {
            match answer {
                Answer::Registered(number) => {
                    self.first.get_or_insert(number);
                }
                answer if answer.is_done() => {}
                other => {
                    let fault = self.store.take_fault().map_or_else(|| format!("{other:?}"), |fault| fault.to_string());
                    return Err(format!("the store has failed: {fault}"));
                }
            }
        }
        if self.maintained.elapsed() > STORE_SETTLE {
            self.maintained = Instant::now();
            return self.store.maintain().map_err(|error| format!("the store has failed: {error}"));
        }
        Ok(())
    }

    fn close(mut self) -> std::io::Result<()> {
        self.store.compact()?;
        self.store.close()
    }
}

/// Who lists whom. Friends list each other, as people mostly do, so that whoever lists many is listed by many; how many is
/// Pareto's, cut where a group is full.
fn friends(plan: Plan, chance: &mut ChaCha20Rng) -> Vec<Vec<u32>> {
    let least = least_degree(plan.friends as f64);
    let mut ends: Vec<u32> = Vec::with_capacity(plan.users * (plan.friends + 1));
    for user in 0..plan.users {
        let uniform = f64::from(chance.next_u32()).mul_add(1.0 / 4_294_967_296.0, f64::EPSILON);
        let degree = (least * uniform.powf(-1.0 / PARETO)).round().min(GROUP_FRIENDS as f64 - 1.0);
        // One of these ends meets another at random.
        ends.extend(std::iter::repeat_n(user as u32, degree as usize));
    }
    for index in (1..ends.len()).rev() {
        ends.swap(index, (chance.next_u64() % (index as u64 + 1)) as usize);
    }
    let mut lists = vec![Vec::new(); plan.users];
    for pair in ends.chunks_exact(2) {
        if pair[0] != pair[1] {
            lists[pair[0] as usize].push(pair[1]);
            lists[pair[1] as usize].push(pair[0]);
        }
    }
    for (user, list) in lists.iter_mut().enumerate() {
        if (1..=plan.watchers).contains(&user) {
            list.push(0);
        }
        list.sort_unstable();
        list.dedup();
    }
    lists
}

/// The least degree with which the mean is the one that is wanted.
fn least_degree(mean: f64) -> f64 {
    let most = GROUP_FRIENDS as f64 - 1.0;
    let mean_of = |least: f64| (PARETO * least - most * (least / most).powf(PARETO)) / (PARETO - 1.0);
    let (mut low, mut high) = (0.0, most);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if mean_of(middle) < mean { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn degrees_are_skewed_around_their_mean() {
        let plan = Plan { users: 20_000, friends: 20, watchers: 1_000, seed: 1 };
        let lists = friends(plan, &mut ChaCha20Rng::seed_from_u64(1));
        let total: usize = lists.iter().map(Vec::len).sum();
        let mean = total as f64 / 20_000.0;
        assert!((19.0..21.0).contains(&mean), "{mean}");
        let mut degrees: Vec<usize> = lists.iter().map(Vec::len).collect();
        degrees.sort_unstable();
        assert!(degrees[10_000] < 15 && degrees[19_900] > 100 && degrees[19_999] <= GROUP_FRIENDS);
        assert_eq!(lists.iter().filter(|list| list.contains(&0)).count(), {
            let others = lists[0].iter().filter(|friend| **friend > 1_000).count();
            1_000 + others
        });
        assert_eq!(lists, friends(plan, &mut ChaCha20Rng::seed_from_u64(1)), "the same seed, the same lists");
    }

    #[test]
    fn what_is_prepared_can_be_read_and_is_the_owners() {
        let scratch = crate::child::Scratch::new().unwrap();
        let directory = scratch.path().join("data");
        let plan = Plan { users: 50, friends: 4, watchers: 10, seed: 1 };
        let made = write(&directory, plan, &mut |_| {}).unwrap();
        let read_back = read(&directory, 50).unwrap();
        assert_eq!((made.first, &made.tokens), (read_back.first, &read_back.tokens));
        let mode = fs::metadata(directory.join(TOKENS)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(read(&directory, 51).err().unwrap().contains("has 50 accounts"));
        assert!(write(&directory, plan, &mut |_| {}).err().unwrap().contains("is not empty"));
        let mut store = DirStore::open_dir(&directory, 1, &mut |_| {}).unwrap();
        let Answer::User(Some(user)) = store.ask(Request::User(made.first + 5)) else { panic!("an account") };
        assert!(user.friends.contains(&(made.first, 1)));
        let hash = Sha256::digest(&made.tokens[5]).into();
        let Answer::Token(Some(_)) = store.ask(Request::Token { number: made.first + 5, hash }) else {
            panic!("a token")
        };
    }
}

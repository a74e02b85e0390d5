//! How many accounts a second a search goes through: encoded records, decoded in place, as the search thread has them, from
//! memory and from a store.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oicq::limits::COMMIT_GROUP;
use oicq::shard::search::{Scan, parse};
use oicq::store::{Account, AccountView, Answer, DirStore, Request};
use oicq::wire::Profile;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const ACCOUNTS: u32 = 100_000;

/// The first city is the one that is looked for; nobody in it is of the age that is looked for, so nothing ends early.
const CITIES: [&str; 8] = ["深圳", "北京", "上海", "广州", "Chengdu", "武汉", "西安", "Hangzhou"];

/// Nobody fits either of them.
const SEARCHES: [(&str, &str); 2] =
    [("age_and_city", "age BETWEEN 18 AND 30 AND city = '深圳'"), ("introduction_like", "introduction LIKE '%world%'")];

fn account(number: u32) -> Account {
    let city = CITIES[(number % 8) as usize];
    let profile = Profile {
        nickname: &format!("user{number}"),
        portrait: (number % 256) as u16,
        password: "",
        sex: (number % 3) as u8,
        age: if number.is_multiple_of(8) { 40 } else { 18 + (number % 13) as u8 },
        name: "王小明",
        country: 86,
        province: (number % 34) as u8,
        city,
        address: "华强北路 1 号",
        postcode: "518000",
        education: 4,
        school: "深圳大学",
        occupation: 3,
        telephone: "0755-1234567",
        pager: "126-98765",
        email: &format!("user{number}@example.com"),
        hobby: "围棋, walking, worn-out words",
        introduction: "你好! I was here before the web was wide; write to me about whatever wonders you want to know.",
        authorization: 0,
    };
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    Account::new(&profile, hash.into(), 0)
}

fn search(c: &mut Criterion) {
    let records: Vec<(u32, Vec<u8>)> =
        (10_000..10_000 + ACCOUNTS).map(|number| (number, account(number).encode())).collect();
    let mut group = c.benchmark_group("search");
    group.throughput(Throughput::Elements(ACCOUNTS.into())).sample_size(20);
    for (name, sql) in SEARCHES {
        let query = parse(sql).expect("a good search");
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut scan = Scan::new(query.clone());
                for (number, bytes) in &records {
                    let account = AccountView::decode(bytes).expect("a good record");
                    if scan.offer(*number, &account, 1).is_break() {
                        unreachable!("nobody fits");
                    }
                }
                black_box(scan.finish())
            });
        });
    }
    group.finish();
}

/// The same accounts in a store that was closed and opened again, as after a start.
fn stored(directory: &Path) -> DirStore {
    let mut store = DirStore::open_dir(directory, 1, &mut |_| {}).expect("opens");
    let (mut group, mut answers) = (Vec::new(), Vec::new());
    for number in 0..ACCOUNTS {
        group.push(((), Request::Register(Box::new(account(10_000 + number)))));
        if group.len() == COMMIT_GROUP || number + 1 == ACCOUNTS {
            store.process(&mut group, &mut answers);
            assert!(answers.drain(..).all(|((), answer)| matches!(answer, Answer::Registered(_))));
        }
    }
    store.close().expect("closes");
    DirStore::open_dir(directory, 1, &mut |_| {}).expect("opens again")
}

fn search_store(c: &mut Criterion) {
    let home = tempfile::tempdir_in(".").expect("a directory on a real disk");
    let store = stored(home.path());
    let accounts = store.accounts();
    let mut group = c.benchmark_group("search a store");
    group.throughput(Throughput::Elements(ACCOUNTS.into())).sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (name, sql) in SEARCHES {
        let query = parse(sql).expect("a good search");
        group.bench_function(name, |b| {
            b.iter(|| {
                let (mut scan, mut seen) = (Scan::new(query.clone()), 0);
                let mut visit = |number: u32, record: &[u8]| {
                    seen += 1;
                    scan.offer(number, &AccountView::decode(record).expect("a good record"), 1)
                };
                accounts.scan(10_000, &mut visit).expect("reads");
                assert_eq!(seen, ACCOUNTS);
                black_box(scan.finish())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, search, search_store);
criterion_main!(benches);

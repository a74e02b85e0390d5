//! What the search language takes, what it refuses and in which words, and what its conditions mean.

mod naive;

use super::*;
use crate::limits::{QUERY_BYTES, SEARCH_DEPTH};
use crate::store::{Account, AccountView};
use crate::wire::Profile;

const MING: PublicProfile<'_> = PublicProfile {
    nickname: "小明",
    portrait: 17,
    sex: 1,
    age: 20,
    name: "Wang Xiaoming",
    country: 86,
    province: 11,
    city: "深圳",
    address: "华强北路 1 号",
    postcode: "518000",
    education: 4,
    school: "深圳大学",
    occupation: 3,
    telephone: "0755-1234567",
    pager: "126-98765",
    email: "Ming@Example.com",
    hobby: "围棋",
    introduction: "你好, World; it's 100%_me -- really",
};

fn fits(sql: &str) -> bool {
    parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).matches(10_001, &MING, 3)
}

fn refusal(sql: &str) -> String {
    parse(sql).expect_err(sql).to_string()
}

#[test]
fn every_column_has_its_english_and_its_chinese_name() {
    let columns = [
        ("number", "服务号", "10001"),
        ("nickname", "昵称", "'小明'"),
        ("sex", "性别", "1"),
        ("age", "年龄", "20"),
        ("name", "真实姓名", "'wang xiaoming'"),
        ("country", "国家", "86"),
        ("province", "省", "11"),
        ("city", "市", "'深圳'"),
        ("address", "地址", "'华强北路 1 号'"),
        ("postcode", "邮编", "'518000'"),
        ("education", "学历", "4"),
        ("school", "毕业院校", "'深圳大学'"),
        ("occupation", "职业", "3"),
        ("telephone", "电话", "'0755-1234567'"),
        ("pager", "寻呼", "'126-98765'"),
        ("email", "电邮", "'ming@example.com'"),
        ("hobby", "爱好", "'围棋'"),
        ("introduction", "说明", "'你好, world; it''s 100%_me -- really'"),
        ("status", "状态", "3"),
    ];
    assert_eq!(columns.len(), columns::COLUMNS.len());
    for (english, chinese, literal) in columns {
        for name in [english, &english.to_uppercase(), chinese] {
            assert!(fits(&format!("{name} = {literal}")), "{name}");
            assert!(!fits(&format!("{name} <> {literal}")), "{name}");
            assert!(fits(&format!("SELECT * FROM users WHERE {name} IN ({literal})")), "{name}");
        }
    }
}

#[test]
fn conditions_mean_what_sql_means() {
    let yes = [
        "SELECT * FROM users",
        "select * from USERS where age = 20",
        "city = '深圳' AND age BETWEEN 18 AND 30",
        "age = 1 OR age = 20 AND sex = 1",
        "NOT age = 1 AND sex = 1",
        "NOT (age = 20 AND sex = 2)",
        "NOT NOT age = 20",
        "((age = 20))",
        "age <> 21 AND age != 21 AND age < 21 AND age <= 20 AND age > 19 AND age >= 20",
        "age > -1 AND age BETWEEN -5 AND 20 AND age IN (-1, 020)",
        "age NOT BETWEEN 21 AND 30 AND age NOT IN (1, 2)",
        "age NOT BETWEEN 30 AND 10",
        "age < 9223372036854775807 AND age > -9223372036854775808",
        "nickname LIKE '小_' AND nickname NOT LIKE '_' AND nickname LIKE '%'",
        "email LIKE 'ming@%.COM' AND email IN ('x', 'MING@EXAMPLE.COM')",
        "name < 'wang z' AND name > 'WANG' AND name BETWEEN 'V' AND 'x'",
        "name NOT BETWEEN 'a' AND 'b' AND name >= 'wang xiaoming' AND name <= 'wang xiaoming'",
        "introduction LIKE '%WORLD%' AND introduction LIKE '%it''s%'",
        "introduction LIKE '%-- really'",
        "status=3AND age>19",
        "age\n=\t20\r\nAND\u{3000}sex = 1",
    ];
    for sql in yes {
        assert!(fits(sql), "{sql}");
    }
    let no = ["age = 1 OR age = 20 AND sex = 2", "(age = 1 OR age = 20) AND sex = 2", "NOT age = 20 OR sex = 2"];
    for sql in no {
        assert!(!fits(sql), "{sql}");
    }
}

#[test]
fn like_takes_runs_and_single_characters() {
    let cases = [
        ("", "", true),
        ("", "%", true),
        ("", "_", false),
        ("a", "", false),
        ("abc", "a%c", true),
        ("abc", "A_C", true),
        ("abc", "a_", false),
        ("abc", "%b%", true),
        ("abc", "%%%", true),
        ("abc", "%_%_%_%", true),
        ("abc", "%_%_%_%_%", false),
        ("aab", "%ab", true),
        ("abab", "%ab", true),
        ("ababc", "%abc%", true),
        ("mississippi", "%iss%ip%i", true),
        ("mississippi", "%iss%ix%i", false),
        ("你好世界", "__世_", true),
        ("你好世界", "%好%界", true),
        ("你好世界", "___", false),
        ("👋🏽é", "___", true),
        ("É", "é", false),
        ("a%b", "a%b", true),
        ("a\\%b", "a\\%b", true),
    ];
    for (text, pattern, expected) in cases {
        assert_eq!(like::Pattern::new(pattern).fits(text), expected, "{text} LIKE {pattern}");
    }
}

#[test]
fn order_and_limit() {
    let query = |sql: &str| {
        let query = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        (query.descending(), query.limit())
    };
    assert_eq!(query("age = 5"), (false, 50));
    assert_eq!(query("age = 5 ORDER BY number"), (false, 50));
    assert_eq!(query("age = 5 order by 服务号 asc limit 0"), (false, 0));
    assert_eq!(query("age = 5 ORDER BY NUMBER DESC LIMIT 50"), (true, 50));
    assert_eq!(query("SELECT * FROM users ORDER BY number DESC"), (true, 50));
    assert_eq!(query("SELECT * FROM users LIMIT 7"), (false, 7));
}

#[test]
fn everything_else_is_refused_by_name() {
    let refused = [
        ("", "expected a column at the end"),
        ("DROP TABLE users", "\"DROP\" is not allowed here"),
        ("DELETE FROM users", "\"DELETE\" is not allowed here"),
        ("age = 5; age = 6", "\";\" is not allowed here"),
        ("SELECT * FROM users; DROP TABLE users", "\";\" is not allowed here"),
        ("SELECT nickname FROM users", "expected * near \"nickname\""),
        ("SELECT DISTINCT * FROM users", "expected * near \"DISTINCT\""),
        ("SELECT * FROM mailbox", "expected users near \"mailbox\""),
        ("SELECT * FROM users u WHERE age = 5", "unknown column \"u\""),
        ("SELECT * FROM users AS u", "\"AS\" is not allowed here"),
        ("SELECT * FROM users, users", "unknown column \"users\""),
        ("SELECT * FROM users JOIN users", "\"JOIN\" is not allowed here"),
        ("SELECT * FROM users age = 5", "expected the end of the search near \"age\""),
        ("SELECT * FROM", "expected users at the end"),
        ("age = 5 UNION SELECT * FROM users", "\"UNION\" is not allowed here"),
        ("age = 5 GROUP BY age", "\"GROUP\" is not allowed here"),
        ("age IN (SELECT * FROM users)", "\"SELECT\" is not allowed here"),
        ("EXISTS (age = 5)", "function \"EXISTS\" is not allowed"),
        ("upper(nickname) = 'X'", "function \"upper\" is not allowed"),
        ("nickname = lower('X')", "function \"lower\" is not allowed"),
        ("nickname('x')", "function \"nickname\" is not allowed"),
        ("CAST(age AS text) = '5'", "function \"CAST\" is not allowed"),
        ("foo = 1", "unknown column \"foo\""),
        ("password = 'x'", "\"password\" is not allowed here"),
        ("portrait = 1", "unknown column \"portrait\""),
        ("users.age = 1", "unknown column \"users\""),
        ("age = NULL", "\"NULL\" is not allowed here"),
        ("age IS NULL", "\"IS\" is not allowed here"),
        ("age = 5 OFFSET 3", "\"OFFSET\" is not allowed here"),
        ("nickname = \"x\"", "\"x\" is not allowed; a text stands in single quotes"),
        ("\"nickname\" = 'x'", "\"nickname\" is not allowed; a text stands in single quotes"),
        ("`nickname` = 'x'", "`nickname` is not allowed; a text stands in single quotes"),
        ("nickname LIKE 'a!%' ESCAPE '!'", "\"ESCAPE\" is not allowed here"),
        ("nickname ILIKE 'a'", "\"ILIKE\" is not allowed here"),
        ("nickname = 'a' COLLATE nocase", "\"COLLATE\" is not allowed here"),
        ("nickname = 'a", "expected a closing quote at the end"),
        ("nickname = N'a'", "\"N'a'\" is not allowed here"),
        ("nickname = X'61'", "\"X'61'\" is not allowed here"),
        ("nickname = 'a' || 'b'", "\"||\" is not allowed here"),
        ("nickname = 'a' 'b'", "expected the end of the search near \"'b'\""),
        ("age == 5", "\"==\" is not allowed here"),
        ("age = 5 + 1", "\"+\" is not allowed here"),
        ("age = 5 - 1", "expected the end of the search near \"-\""),
        ("age - 5 = 1", "expected an operator near \"-\""),
        ("age = 1.5", "number \"1.5\" is not an integer, or too large"),
        ("age = 1e3", "number \"1e3\" is not an integer, or too large"),
        ("age = 9223372036854775808", "number \"9223372036854775808\" is not an integer, or too large"),
        ("age = 5 -- x", "comment \"--\" is not allowed"),
        ("age = 5 /* x */", "comment \"/*\" is not allowed"),
        ("age /* x */ = 5", "comment \"/*\" is not allowed"),
        ("age = 5 /* x", "comment \"/*\" is not allowed"),
        ("age = $1", "\"$1\" is not allowed here"),
        ("age = ?", "\"?\" is not allowed here"),
        ("age = 5， sex = 1", "\"，\" is not allowed here"),
        ("age = 'x'", "column \"age\" is compared with an integer, not with 'x'"),
        ("city = 5", "column \"city\" is compared with a 'text', not with 5"),
        ("年龄 BETWEEN 1 AND 'x'", "column \"年龄\" is compared with an integer, not with 'x'"),
        ("age LIKE '5'", "LIKE is not allowed on \"age\": it is a number"),
        ("age = sex", "expected an integer near \"sex\""),
        ("5 = age", "expected a column near \"5\""),
        ("age", "expected an operator at the end"),
        ("age AND sex", "expected an operator near \"AND\""),
        ("age NOT = 5", "expected LIKE, IN or BETWEEN near \"=\""),
        ("age IN ()", "expected an integer near \")\""),
        ("age IN 5", "expected ( near \"5\""),
        ("age IN (5, 6", "expected \",\" or \")\" at the end"),
        ("(age = 5", "expected \")\" at the end"),
        ("age = 5)", "expected the end of the search near \")\""),
        ("(age) = 5", "expected an operator near \")\""),
        ("age BETWEEN 5", "expected AND at the end"),
        ("age = 5 ORDER BY age", "ORDER BY \"age\" is not allowed; only by number"),
        ("age = 5 ORDER BY number, number", "expected the end of the search near \",\""),
        ("age = 5 ORDER BY number ASC DESC", "expected the end of the search near \"DESC\""),
        ("age = 5 ORDER number", "expected BY near \"number\""),
        ("age = 5 LIMIT 51", "LIMIT 51 is not allowed; at most 50"),
        ("age = 5 LIMIT 99999999999999999999", "LIMIT 99999999999999999999 is not allowed; at most 50"),
        ("age = 5 LIMIT -1", "expected a number of users near \"-\""),
        ("age = 5 LIMIT", "expected a number of users at the end"),
        ("age = 5 LIMIT 5 ORDER BY number", "expected the end of the search near \"ORDER\""),
        ("age = 5 LIMIT 5, 10", "expected the end of the search near \",\""),
        ("WHERE age = 5", "expected a column near \"WHERE\""),
        ("ORDER BY number", "expected a column near \"ORDER\""),
        ("age = 5\0", "\"\0\" is not allowed here"),
    ];
    for (sql, words) in refused {
        assert_eq!(refusal(sql), words, "{sql}");
    }
    let long = format!("nickname = '{}'", "x".repeat(QUERY_BYTES));
    assert_eq!(refusal(&long), "the search has 1037 bytes; at most 1024 are allowed");
}

#[test]
fn depth_is_bounded_and_takes_little_stack() {
    let deepest = [
        format!("{}age=1{}", "(".repeat(SEARCH_DEPTH), ")".repeat(SEARCH_DEPTH)),
        format!("{}age=1", "NOT ".repeat(SEARCH_DEPTH)),
        format!("{}age=1{}", "age=1 AND(".repeat(SEARCH_DEPTH), ")".repeat(SEARCH_DEPTH)),
        format!("{}age=1", "age=1 OR ".repeat(110)),
    ];
    let too_deep = [
        format!("({}age=1{})", "(".repeat(SEARCH_DEPTH), ")".repeat(SEARCH_DEPTH)),
        format!("NOT {}age=1", "NOT ".repeat(SEARCH_DEPTH)),
        "(".repeat(QUERY_BYTES),
        "NOT ".repeat(QUERY_BYTES / 4),
        "NOT(".repeat(QUERY_BYTES / 4),
    ];
    let others = [
        format!("age{}", "=age".repeat(250)),
        format!("age={}1", "- ".repeat(500)),
        format!("age {}", "BETWEEN age ".repeat(80)),
        format!("age {}", "IN (age ".repeat(120)),
        format!("age IN ({}1)", "1,".repeat(500)),
    ];
    // A quarter of a megabyte, without optimisation: an eighth of what a thread has.
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        for sql in deepest {
            let query = parse(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            let _ = query.clone().matches(10_001, &MING, 1);
        }
        for sql in too_deep {
            assert_eq!(refusal(&sql), "brackets and NOTs are nested more than 64 deep");
        }
        for sql in others {
            let _ = parse(&sql);
        }
    });
    thread.expect("a thread").join().expect("no stack overflow");
}

#[test]
fn numbers_prune_the_scan() {
    let numbers = |sql: &str| parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).numbers();
    assert_eq!(numbers("SELECT * FROM users"), 0..=u32::MAX);
    assert_eq!(numbers("number > 10000 AND (age = 5 AND number <= 20000)"), 10_001..=20_000);
    assert_eq!(numbers("number >= 10000 AND number < 20000"), 10_000..=19_999);
    assert_eq!(numbers("服务号 = 10001 AND number <> 5"), 10_001..=10_001);
    assert_eq!(numbers("number IN (30000, 10005, 20000)"), 10_005..=30_000);
    assert_eq!(numbers("number BETWEEN 5 AND 99999999999"), 5..=u32::MAX);
    assert_eq!(numbers("number = 5 OR age = 5"), 0..=u32::MAX);
    assert_eq!(numbers("NOT number = 5"), 0..=u32::MAX);
    for empty in ["number < 0", "number > 4294967295", "number = 5 AND number = 6", "number BETWEEN 6 AND 5"] {
        assert!(numbers(empty).is_empty(), "{empty}");
    }
}

/// The accounts 10000 to 10099; every tenth is disabled.
fn accounts() -> Vec<(u32, Vec<u8>)> {
    let account = |number: u32| {
        let profile = Profile {
            nickname: "n",
            portrait: 1,
            password: "",
            sex: (number % 3) as u8,
            age: 20,
            name: "",
            country: 0,
            province: 7,
            city: "c",
            address: "",
            postcode: "",
            education: 0,
            school: "",
            occupation: 0,
            telephone: "",
            pager: "",
            email: "",
            hobby: "",
            introduction: "",
            authorization: 2,
        };
        let mut account = Account::new(&profile, "hash".into(), 0);
        account.disabled = number.is_multiple_of(10);
        (number, account.encode())
    };
    (10_000..10_100).map(account).collect()
}

/// Runs a search in slices of `slice` accounts, as a server does.
fn run(sql: &str, slice: usize) -> (Vec<u32>, usize) {
    let accounts = accounts();
    let mut scan = Scan::new(parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}")));
    let mut offered = 0;
    while !scan.remaining().is_empty() {
        let mut next: Vec<_> = accounts.iter().filter(|(number, _)| scan.remaining().contains(number)).collect();
        if scan.query().descending() {
            next.reverse();
        }
        if next.is_empty() {
            break;
        }
        for (number, record) in next.into_iter().take(slice) {
            offered += 1;
            let view = AccountView::decode(record).expect("a good record");
            if scan.offer(*number, &view, 1).is_break() {
                break;
            }
        }
    }
    (scan.finish().iter().map(|card| card.number).collect(), offered)
}

#[test]
fn a_scan_rests_and_goes_on() {
    for slice in [1, 3, 7, 1_000] {
        let everybody: Vec<u32> = (10_000..10_100).filter(|number| number % 10 != 0).take(50).collect();
        assert_eq!(run("SELECT * FROM users", slice), (everybody, 56), "slices of {slice}");
        assert_eq!(run("number > 10095", slice), (vec![10_096, 10_097, 10_098, 10_099], 4));
        assert_eq!(run("sex = 0 ORDER BY number DESC LIMIT 3", slice), (vec![10_098, 10_095, 10_092], 8));
        assert_eq!(run("number IN (10000, 10001)", slice), (vec![10_001], 2), "disabled accounts are not found");
        assert_eq!(run("age = 20 LIMIT 0", slice), (vec![], 0));
        assert_eq!(run("number = 10001 AND number = 10002", slice), (vec![], 0));
    }
}

#[test]
fn what_was_offered_before_is_not_found_twice() {
    let (number, record) = accounts().swap_remove(1);
    let view = AccountView::decode(&record).expect("a good record");
    let mut scan = Scan::new(parse("province = 7").expect("a good search"));
    assert!(scan.offer(number, &view, 1).is_continue());
    assert!(scan.offer(number, &view, 1).is_continue());
    assert_eq!(scan.remaining(), number + 1..=u32::MAX);
    assert_eq!(scan.finish(), [view.card(number)]);
}

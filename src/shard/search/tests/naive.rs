//! Random searches against a naive evaluator of the same conditions, and rubbish against the parser.

use super::super::*;
use proptest::prelude::*;
use proptest::sample::select;

/// A condition as a test writes it: texts as texts, LIKE by plain recursion.
#[derive(Debug, Clone)]
enum Naive {
    And(Box<Naive>, Box<Naive>),
    Or(Box<Naive>, Box<Naive>),
    Not(Box<Naive>),
    Test { column: &'static str, operator: &'static str, values: Vec<Literal> },
}

#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Literal {
    Number(i64),
    Text(String),
}

#[derive(Debug)]
struct Someone {
    number: u32,
    age: u8,
    status: u8,
    city: String,
    hobby: String,
}

impl Someone {
    fn get(&self, column: &str) -> Literal {
        match column {
            "number" => Literal::Number(self.number.into()),
            "年龄" => Literal::Number(self.age.into()),
            "Status" => Literal::Number(self.status.into()),
            "city" => Literal::Text(self.city.to_ascii_lowercase()),
            "爱好" => Literal::Text(self.hobby.to_ascii_lowercase()),
            other => panic!("{other}"),
        }
    }
}

impl Literal {
    fn sql(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
        }
    }

    fn folded(&self) -> Self {
        match self {
            Self::Number(number) => Self::Number(*number),
            Self::Text(text) => Self::Text(text.to_ascii_lowercase()),
        }
    }
}

impl Naive {
    fn sql(&self) -> String {
        match self {
            Self::And(a, b) => format!("({} AND {})", a.sql(), b.sql()),
            Self::Or(a, b) => format!("({} or {})", a.sql(), b.sql()),
            Self::Not(a) => format!("NOT {}", a.sql()),
            Self::Test { column, operator, values } => {
                let values: Vec<String> = values.iter().map(Literal::sql).collect();
                match *operator {
                    "IN" | "NOT IN" => format!("{column} {operator} ({})", values.join(", ")),
                    "BETWEEN" | "NOT BETWEEN" => format!("{column} {operator} {} AND {}", values[0], values[1]),
                    _ => format!("{column} {operator} {}", values[0]),
                }
            }
        }
    }

    fn holds(&self, someone: &Someone) -> bool {
        match self {
            Self::And(a, b) => a.holds(someone) && b.holds(someone),
            Self::Or(a, b) => a.holds(someone) || b.holds(someone),
            Self::Not(a) => !a.holds(someone),
            Self::Test { column, operator, values } => {
                let (value, values) = (someone.get(column), values.iter().map(Literal::folded).collect::<Vec<_>>());
                match *operator {
                    "=" => value == values[0],
                    "<>" | "!=" => value != values[0],
                    "<" => value < values[0],
                    "<=" => value <= values[0],
                    ">" => value > values[0],
                    ">=" => value >= values[0],
                    "IN" => values.contains(&value),
                    "NOT IN" => !values.contains(&value),
                    "BETWEEN" => values[0] <= value && value <= values[1],
                    "NOT BETWEEN" => value < values[0] || values[1] < value,
                    "LIKE" => like(&value, &values[0]),
                    "NOT LIKE" => !like(&value, &values[0]),
                    other => panic!("{other}"),
                }
            }
        }
    }
}

fn like(text: &Literal, pattern: &Literal) -> bool {
    fn fits(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|taken| fits(&text[taken..], rest)),
            ['_', rest @ ..] => !text.is_empty() && fits(&text[1..], rest),
            [first, rest @ ..] => text.first() == Some(first) && fits(&text[1..], rest),
        }
    }
    match (text, pattern) {
        (Literal::Text(text), Literal::Text(pattern)) => {
            fits(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>())
        }
        _ => panic!("LIKE is for texts"),
    }
}

const OPERATORS: [&str; 12] = ["=", "<>", "!=", "<", "<=", ">", ">=", "IN", "NOT IN", "BETWEEN", "NOT BETWEEN", "LIKE"];

fn test_of_number() -> impl Strategy<Value = Naive> {
    let number = prop_oneof![-2i64..8, 9_998i64..10_006].prop_map(Literal::Number);
    (select(vec!["number", "年龄", "Status"]), select(OPERATORS[..11].to_vec()), prop::collection::vec(number, 2..4))
        .prop_map(|(column, operator, values)| Naive::Test { column, operator, values })
}

/// Few letters, so that things match; all of a text's troubles: case, quotes, wildcards, several bytes a letter.
const LETTERS: &str = "[abAB深圳é%_' ]{0,6}";

fn test_of_text() -> impl Strategy<Value = Naive> {
    let text = LETTERS.prop_map(Literal::Text);
    let operators: Vec<_> = OPERATORS.into_iter().chain(["LIKE", "LIKE", "NOT LIKE"]).collect();
    (select(vec!["city", "爱好"]), select(operators), prop::collection::vec(text, 2..4))
        .prop_map(|(column, operator, values)| Naive::Test { column, operator, values })
}

fn condition() -> impl Strategy<Value = Naive> {
    prop_oneof![test_of_number(), test_of_text()].prop_recursive(5, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Naive::And(a.into(), b.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Naive::Or(a.into(), b.into())),
            inner.prop_map(|a| Naive::Not(a.into())),
        ]
    })
}

fn someone() -> impl Strategy<Value = Someone> {
    (9_999u32..10_005, 0u8..7, select(vec![1u8, 3, 4]), LETTERS, LETTERS)
        .prop_map(|(number, age, status, city, hobby)| Someone { number, age, status, city, hobby })
}

/// Words of the language and some that are not, for sentences that are almost right.
fn almost() -> impl Strategy<Value = String> {
    let words = "SELECT * FROM users WHERE age nickname 省 = <> < >= LIKE NOT IN BETWEEN AND OR ( ) , - 5 -7 'a%' '深' \
                 ORDER BY number ASC DESC LIMIT 3 ; upper NULL IS -- /* */ \" ' 1.5 . x";
    prop::collection::vec(select(words.split(' ').collect::<Vec<_>>()), 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_condition_holds_where_the_naive_one_does(condition in condition(), people in prop::collection::vec(someone(), 1..8)) {
        let sql = condition.sql();
        prop_assume!(sql.len() <= crate::limits::QUERY_BYTES);
        let query = parse(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        for someone in people {
            let profile = PublicProfile { age: someone.age, city: &someone.city, hobby: &someone.hobby, ..PublicProfile::default() };
            let found = query.matches(someone.number, &profile, someone.status);
            prop_assert_eq!(found, condition.holds(&someone), "{}", sql);
            prop_assert!(!found || query.numbers().contains(&someone.number), "{} prunes {}", sql, someone.number);
        }
    }

    #[test]
    fn like_is_what_plain_recursion_says(text in LETTERS, pattern in LETTERS) {
        let (lower, folded) = (Literal::Text(text.to_ascii_lowercase()), Literal::Text(pattern.to_ascii_lowercase()));
        prop_assert_eq!(super::super::like::Pattern::new(&pattern).fits(&text), like(&lower, &folded));
    }

    /// Precedence without brackets: OR of ANDs.
    #[test]
    fn and_binds_more_tightly_than_or(tests in prop::collection::vec((test_of_number(), any::<bool>()), 1..8), someone in someone()) {
        let mut sql = String::new();
        let mut sums = vec![true];
        for (at, (test, or)) in tests.iter().enumerate() {
            if at > 0 {
                sql.push_str(if *or { " OR " } else { " AND " });
            }
            if at > 0 && *or {
                sums.push(true);
            }
            sql.push_str(&test.sql());
            *sums.last_mut().expect("one") &= test.holds(&someone);
        }
        let query = parse(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let profile = PublicProfile { age: someone.age, ..PublicProfile::default() };
        prop_assert_eq!(query.matches(someone.number, &profile, someone.status), sums.contains(&true), "{}", sql);
    }

    #[test]
    fn no_text_makes_it_panic(sql in "\\PC{0,200}") {
        let _ = parse(&sql);
    }

    #[test]
    fn no_sentence_makes_it_panic(sql in almost()) {
        if let Err(error) = parse(&sql) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn no_damage_makes_it_panic(condition in condition(), at in any::<prop::sample::Index>(), with in any::<char>()) {
        let mut letters: Vec<char> = condition.sql().chars().collect();
        let at = at.index(letters.len());
        letters[at] = with;
        let _ = parse(&letters.iter().collect::<String>());
        letters.truncate(at);
        let _ = parse(&letters.iter().collect::<String>());
    }
}

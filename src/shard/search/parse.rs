//! From text to a [`Query`].
//!
//! `sqlparser` splits the text into words and walks them. Its own expressions are not used: they are all of SQL, and take
//! some 50 KiB of stack for each bracket. What is not a word or sign of this small language is refused before anything
//! else, by name; the grammar below then fits a screen, and recurses only over brackets and NOTs, which it counts.

use super::columns::{Column, NumberColumn};
use super::condition::Condition;
use super::error::QueryError;
use super::{Query, predicate};
use crate::limits::{QUERY_BYTES, SEARCH_DEPTH, SEARCH_USERS};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace, Word};

/// SQL without any vendor's additions, whose names may be Chinese.
#[derive(Debug)]
struct OicqDialect;

impl Dialect for OicqDialect {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_'
    }
}

/// Understands a search (protocol.md 4.1), or says which word of it cannot be understood.
pub fn parse(sql: &str) -> Result<Query, QueryError> {
    if sql.len() > QUERY_BYTES {
        return Err(QueryError::TooLong(sql.len()));
    }
    let tokens = words(sql)?;
    let (tokens, bare) = strip_select(tokens)?;
    check_vocabulary(&tokens)?;
    let mut parser = Parser::new(&OicqDialect).with_tokens(tokens);
    let condition = if bare || parser.parse_keyword(Keyword::WHERE) {
        parse_any(&mut parser, 0)?
    } else {
        Condition::All(Vec::new())
    };
    let descending = parse_order(&mut parser)?;
    let limit = parse_limit(&mut parser)?;
    match parser.next_token().token {
        Token::EOF => Ok(Query { condition, descending, limit }),
        other => Err(unexpected("the end of the search", &other)),
    }
}

/// Splits the text into words and signs, without the space between them.
fn words(sql: &str) -> Result<Vec<Token>, QueryError> {
    let tokens = Tokenizer::new(&OicqDialect, sql).tokenize().map_err(|error| {
        // Nothing but an end that is missing stops it: of a comment, or of something in quotes.
        if error.message.contains("comment") {
            QueryError::Comment("/*".into())
        } else {
            unexpected("a closing quote", &Token::EOF)
        }
    })?;
    let comment = tokens.iter().find_map(|token| match token {
        Token::Whitespace(Whitespace::SingleLineComment { prefix, .. }) => Some(prefix.clone()),
        Token::Whitespace(Whitespace::MultiLineComment(_)) => Some("/*".into()),
        _ => None,
    });
    match comment {
        Some(mark) => Err(QueryError::Comment(mark)),
        None => Ok(tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect()),
    }
}

/// Takes `SELECT * FROM users` off the front. Without it what is left is the condition alone: `true`.
fn strip_select(mut tokens: Vec<Token>) -> Result<(Vec<Token>, bool), QueryError> {
    if !matches!(tokens.first(), Some(Token::Word(word)) if word.keyword == Keyword::SELECT) {
        return Ok((tokens, true));
    }
    let head = ["SELECT", "*", "FROM", "users"];
    for (at, expected) in head.iter().enumerate() {
        let token = tokens.get(at).unwrap_or(&Token::EOF);
        if !token.to_string().eq_ignore_ascii_case(expected) {
            return Err(unexpected(expected, token));
        }
    }
    tokens.drain(..head.len());
    Ok((tokens, false))
}

/// Refuses every word and sign that is not part of the language.
fn check_vocabulary(tokens: &[Token]) -> Result<(), QueryError> {
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Word(word) => check_word(word, tokens.get(at + 1))?,
            Token::Number(digits, long) => {
                if *long || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(QueryError::NotAnInteger(token.to_string()));
                }
            }
            Token::DoubleQuotedString(_) => return Err(QueryError::Quoted(token.to_string())),
            Token::SingleQuotedString(_) | Token::LParen | Token::RParen | Token::Comma | Token::Minus => {}
            Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => {}
            other => return Err(QueryError::NotAllowed(other.to_string())),
        }
    }
    Ok(())
}

fn check_word(word: &Word, next: Option<&Token>) -> Result<(), QueryError> {
    const KEYWORDS: [Keyword; 12] = [
        Keyword::WHERE,
        Keyword::AND,
        Keyword::OR,
        Keyword::NOT,
        Keyword::LIKE,
        Keyword::IN,
        Keyword::BETWEEN,
        Keyword::ORDER,
        Keyword::BY,
        Keyword::ASC,
        Keyword::DESC,
        Keyword::LIMIT,
    ];
    let text = word.to_string();
    if word.quote_style.is_some() {
        return Err(QueryError::Quoted(text));
    }
    if KEYWORDS.contains(&word.keyword) {
        return Ok(());
    }
    let called = next == Some(&Token::LParen);
    match Column::named(&text) {
        Some(_) if !called => Ok(()),
        _ if word.keyword == Keyword::SELECT => Err(QueryError::NotAllowed(text)),
        _ if called => Err(QueryError::Function(text)),
        // A word of SQL is taken for a word of SQL, every other for a column.
        _ if word.keyword != Keyword::NoKeyword => Err(QueryError::NotAllowed(text)),
        _ => Err(QueryError::UnknownColumn(text)),
    }
}

/// `a OR b`. `depth` counts the brackets and NOTs around it; all that recurses here goes by it.
fn parse_any(parser: &mut Parser<'_>, depth: usize) -> Result<Condition, QueryError> {
    let mut parts = vec![parse_all(parser, depth)?];
    while parser.parse_keyword(Keyword::OR) {
        parts.push(parse_all(parser, depth)?);
    }
    Ok(alone(&mut parts).unwrap_or(Condition::Any(parts)))
}

/// `a AND b`.
fn parse_all(parser: &mut Parser<'_>, depth: usize) -> Result<Condition, QueryError> {
    let mut parts = vec![parse_part(parser, depth)?];
    while parser.parse_keyword(Keyword::AND) {
        parts.push(parse_part(parser, depth)?);
    }
    Ok(alone(&mut parts).unwrap_or(Condition::All(parts)))
}

fn alone(parts: &mut Vec<Condition>) -> Option<Condition> {
    if parts.len() == 1 { parts.pop() } else { None }
}

/// `NOT a`, `(a)` or a predicate.
fn parse_part(parser: &mut Parser<'_>, depth: usize) -> Result<Condition, QueryError> {
    if depth > SEARCH_DEPTH {
        return Err(QueryError::TooDeep);
    }
    if parser.parse_keyword(Keyword::NOT) {
        return Ok(Condition::Not(Box::new(parse_part(parser, depth + 1)?)));
    }
    if !parser.consume_token(&Token::LParen) {
        return predicate::parse(parser);
    }
    let inner = parse_any(parser, depth + 1)?;
    match parser.next_token().token {
        Token::RParen => Ok(inner),
        other => Err(unexpected("\")\"", &other)),
    }
}

/// `ORDER BY number [ASC|DESC]`: whether it is descending.
fn parse_order(parser: &mut Parser<'_>) -> Result<bool, QueryError> {
    if !parser.parse_keyword(Keyword::ORDER) {
        return Ok(false);
    }
    if !parser.parse_keyword(Keyword::BY) {
        return Err(unexpected("BY", &parser.peek_token().token));
    }
    let token = parser.next_token().token;
    match &token {
        Token::Word(word) if Column::named(&word.value) == Some(Column::Number(NumberColumn::Number)) => {}
        Token::EOF => return Err(unexpected("number", &token)),
        other => return Err(QueryError::OrderBy(other.to_string())),
    }
    let descending = parser.parse_keyword(Keyword::DESC);
    let _ascending = !descending && parser.parse_keyword(Keyword::ASC);
    Ok(descending)
}

/// `LIMIT n`; without it as many as an answer holds.
fn parse_limit(parser: &mut Parser<'_>) -> Result<usize, QueryError> {
    if !parser.parse_keyword(Keyword::LIMIT) {
        return Ok(SEARCH_USERS);
    }
    match parser.next_token().token {
        Token::Number(digits, _) => {
            digits.parse().ok().filter(|limit| *limit <= SEARCH_USERS).ok_or(QueryError::Limit(digits))
        }
        other => Err(unexpected("a number of users", &other)),
    }
}

pub(super) fn unexpected(expected: &str, token: &Token) -> QueryError {
    let near = if *token == Token::EOF { String::new() } else { token.to_string() };
    QueryError::Expected { expected: expected.into(), near }
}

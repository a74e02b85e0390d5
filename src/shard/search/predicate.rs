//! One predicate: a column, an operator, and literals of the column's kind.

use super::columns::Column;
use super::condition::{Comparison, Condition, NumberTest, TextTest};
use super::error::QueryError;
use super::like::Pattern;
use super::parse::unexpected;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

/// Reads `column = literal`, `column [NOT] LIKE 'text'`, `column [NOT] IN (…)` or `column [NOT] BETWEEN a AND b`.
pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Condition, QueryError> {
    let token = parser.next_token().token;
    let Token::Word(word) = &token else { return Err(unexpected("a column", &token)) };
    let Some(column) = Column::named(&word.value) else { return Err(unexpected("a column", &token)) };
    let negated = parser.parse_keyword(Keyword::NOT);
    let condition = match column {
        Column::Number(column) => Condition::Number(column, number_test(parser, &word.value, negated)?),
        Column::Text(column) => Condition::Text(column, text_test(parser, &word.value, negated)?),
    };
    Ok(if negated { Condition::Not(Box::new(condition)) } else { condition })
}

fn number_test(parser: &mut Parser<'_>, column: &str, negated: bool) -> Result<NumberTest, QueryError> {
    match operator(parser, negated)? {
        Operator::Compare(comparison) => Ok(NumberTest::Compare(comparison, integer(parser, column)?)),
        Operator::Between => {
            let (low, high) = bounds(parser, |parser| integer(parser, column))?;
            Ok(NumberTest::Between(low, high))
        }
        Operator::In => Ok(NumberTest::In(list(parser, |parser| integer(parser, column))?)),
        Operator::Like => Err(QueryError::LikeOnNumber(column.into())),
    }
}

/// Texts are compared without regard to ASCII case, so they are kept in lower case.
fn text_test(parser: &mut Parser<'_>, column: &str, negated: bool) -> Result<TextTest, QueryError> {
    let lower = |parser: &mut Parser<'_>| Ok(text(parser, column)?.to_ascii_lowercase().into_boxed_str());
    match operator(parser, negated)? {
        Operator::Compare(comparison) => Ok(TextTest::Compare(comparison, lower(parser)?)),
        Operator::Between => {
            let (low, high) = bounds(parser, lower)?;
            Ok(TextTest::Between(low, high))
        }
        Operator::In => Ok(TextTest::In(list(parser, lower)?)),
        Operator::Like => Ok(TextTest::Like(Pattern::new(&text(parser, column)?))),
    }
}

enum Operator {
    Compare(Comparison),
    Between,
    In,
    Like,
}

/// The operator; after a NOT it must be one of words.
fn operator(parser: &mut Parser<'_>, negated: bool) -> Result<Operator, QueryError> {
    let token = parser.next_token().token;
    Ok(match &token {
        Token::Word(word) if word.keyword == Keyword::BETWEEN => Operator::Between,
        Token::Word(word) if word.keyword == Keyword::IN => Operator::In,
        Token::Word(word) if word.keyword == Keyword::LIKE => Operator::Like,
        other if negated => return Err(unexpected("LIKE, IN or BETWEEN", other)),
        Token::Eq => Operator::Compare(Comparison::Equal),
        Token::Neq => Operator::Compare(Comparison::Unequal),
        Token::Lt => Operator::Compare(Comparison::Less),
        Token::LtEq => Operator::Compare(Comparison::LessOrEqual),
        Token::Gt => Operator::Compare(Comparison::Greater),
        Token::GtEq => Operator::Compare(Comparison::GreaterOrEqual),
        other => return Err(unexpected("an operator", other)),
    })
}

/// `a AND b`.
fn bounds<T>(
    parser: &mut Parser<'_>,
    mut literal: impl FnMut(&mut Parser<'_>) -> Result<T, QueryError>,
) -> Result<(T, T), QueryError> {
    let low = literal(parser)?;
    if !parser.parse_keyword(Keyword::AND) {
        return Err(unexpected("AND", &parser.peek_token().token));
    }
    Ok((low, literal(parser)?))
}

/// `(a, b, …)`, at least one.
fn list<T>(
    parser: &mut Parser<'_>,
    mut literal: impl FnMut(&mut Parser<'_>) -> Result<T, QueryError>,
) -> Result<Box<[T]>, QueryError> {
    if !parser.consume_token(&Token::LParen) {
        return Err(unexpected("(", &parser.peek_token().token));
    }
    let mut values = vec![literal(parser)?];
    while parser.consume_token(&Token::Comma) {
        values.push(literal(parser)?);
    }
    match parser.next_token().token {
        Token::RParen => Ok(values.into()),
        other => Err(unexpected("\",\" or \")\"", &other)),
    }
}

fn text(parser: &mut Parser<'_>, column: &str) -> Result<String, QueryError> {
    match parser.next_token().token {
        Token::SingleQuotedString(text) => Ok(text),
        other => Err(wrong_kind(column, "a 'text'", &other)),
    }
}

fn integer(parser: &mut Parser<'_>, column: &str) -> Result<i64, QueryError> {
    let sign = if parser.consume_token(&Token::Minus) { "-" } else { "" };
    match parser.next_token().token {
        Token::Number(digits, _) => {
            let word = format!("{sign}{digits}");
            word.parse().map_err(|_| QueryError::NotAnInteger(word))
        }
        other => Err(wrong_kind(column, "an integer", &other)),
    }
}

fn wrong_kind(column: &str, expected: &'static str, token: &Token) -> QueryError {
    match token {
        Token::Number(..) | Token::SingleQuotedString(_) => {
            QueryError::WrongKind { column: column.into(), expected, near: token.to_string() }
        }
        other => unexpected(expected, other),
    }
}

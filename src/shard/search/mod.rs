//! The search language (protocol.md 4.1): a condition over the columns of a profile.

/// A search that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {}
pub fn parse(_sql: &str) -> Result<Query, String> {
    Ok(Query {})
}

//! Just enough of Rust's lexing to tell code from comments and texts.

/// The source with texts, characters and (unless kept) comments replaced by spaces; every line stays where it was.
pub fn blank(source: &str, keep_comments: bool) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let name_before = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let (length, keep) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), keep_comments)
        } else if rest.starts_with("/*") {
            (block_comment(rest), keep_comments)
        } else if let Some(length) = text(rest, name_before) {
            (length, false)
        } else {
            (first.len_utf8(), true)
        };
        let (part, after) = rest.split_at(length);
        if keep {
            out.push_str(part);
        } else {
            out.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    out
}

/// The length of a comment that may hold others.
fn block_comment(source: &str) -> usize {
    let bytes = source.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        let step = match &bytes[at..] {
            [b'/', b'*', ..] => 1,
            [b'*', b'/', ..] => -1,
            _ => 0,
        };
        depth += step;
        at += if step == 0 { 1 } else { 2 };
        if depth == 0 {
            return at;
        }
    }
    source.len()
}

/// The length of a text or character literal at the start, if there is one.
fn text(source: &str, name_before: bool) -> Option<usize> {
    let prefix = if name_before {
        0
    } else {
        ["br", "cr", "b", "c", "r"].iter().find(|p| opens(source, p)).map_or(0, |p| p.len())
    };
    let raw = source[..prefix].contains('r');
    let body = &source[prefix..];
    if raw {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let inner = &body[hashes + 1..];
        return Some(inner.find(&close).map_or(source.len(), |at| prefix + hashes + 1 + at + close.len()));
    }
    match body.as_bytes().first()? {
        b'"' => Some(prefix + closing(body, '"')),
        b'\'' if is_character(body) => Some(prefix + closing(body, '\'')),
        _ => None,
    }
}

fn opens(source: &str, prefix: &str) -> bool {
    source.strip_prefix(prefix).is_some_and(|rest| {
        let quoted = if prefix.ends_with('r') { rest.trim_start_matches('#') } else { rest };
        quoted.starts_with('"') || (prefix == "b" && rest.starts_with('\''))
    })
}

/// A character and not a lifetime: `'\n'` or `'x'`.
fn is_character(body: &str) -> bool {
    let mut inner = body.chars().skip(1);
    inner.next() == Some('\\') || inner.next() == Some('\'')
}

/// The length up to the closing quote, escapes passed over.
fn closing(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    body.len()
}

/// Blank code without the items under `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let (before, item) = rest.split_at(at);
        out.push_str(before);
        let (item, after) = item.split_at(item_length(item));
        out.extend(item.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = after;
    }
    out + rest
}

/// An item ends with its closing brace, or with a semicolon outside of braces.
fn item_length(item: &str) -> usize {
    let mut depth = 0;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

#[test]
fn only_code_is_left() {
    let same = |source: &str, code: &str| assert_eq!(blank(source, false), code, "{source}");
    same("a // b\nc", "a     \nc");
    same("a /* b /* c */ d */ e", "a                   e");
    same("f(\"a\\\"b\", 'x', '\\'', b'\"') + r", "f(      ,    ,     ,     ) + r");
    same("r#\"a\"b\"# c 'a: loop {} &'a str", "         c 'a: loop {} &'a str");
    same("/*/ a */ b", "         b");
    assert_eq!(blank("a // \"b\n\"c\"", true), "a // \"b\n   ");
    assert_eq!(without_tests("a;#[cfg(test)] mod t { fn f() { {} } } b"), format!("a;{} b", " ".repeat(36)));
}

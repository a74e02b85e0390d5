//! What goes to the terminal: whole lines, with nothing in them that a terminal would obey.

use oicq::client::{Group, Person, Status};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a prompt stands on the last line of the terminal.
static PROMPTED: AtomicBool = AtomicBool::new(false);

/// Prints a line as soon as it is known, above the prompt if there is one.
pub fn line(text: &str) {
    let mut out = io::stdout().lock();
    // A closed pipe is no reason to panic, and there is nobody left to tell.
    let _ = if PROMPTED.load(Ordering::Relaxed) { write!(out, "\r\x1b[K{text}\n> ") } else { writeln!(out, "{text}") };
    let _ = out.flush();
}

/// Prints a line with the time before it: for what was not asked for.
pub fn news(text: &str) {
    line(&format!("{} {text}", chrono::Local::now().format("%H:%M:%S")));
}

/// Shows the prompt, on a terminal only.
pub fn prompt() {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let mut out = io::stdout().lock();
        let _ = write!(out, "> ");
        let _ = out.flush();
        PROMPTED.store(true, Ordering::Relaxed);
    }
}

/// The line after the prompt has been read.
pub fn answered() {
    PROMPTED.store(false, Ordering::Relaxed);
}

/// A text from someone else in one line: control characters could move the cursor or change its colour, and marks of
/// writing direction could make one text look like another.
pub fn clean(text: &str) -> String {
    let one = |c: char| match c {
        '\t' => ' ',
        _ if c.is_control() => '\u{fffd}',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => {
            '\u{fffd}'
        }
        _ => c,
    };
    text.replace("\r\n", "\n").replace('\n', " / ").chars().map(one).collect()
}

/// A status in a word.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Online => "online",
        Status::Hidden => "hidden",
        Status::Busy => "busy",
        Status::Offline => "offline",
    }
}

/// Groups with their friends.
pub fn groups(groups: &[Group]) {
    for group in groups {
        line(&format!("[{}] {} ({})", group.number, clean(&group.name), group.friends.len()));
        for friend in &group.friends {
            line(&format!("    {:<10} {:<8} {}", friend.number, status(friend.status), clean(&friend.nickname)));
        }
    }
}

/// People who were found.
pub fn people(people: &[Person]) {
    for person in people {
        let city = if person.city.is_empty() { String::new() } else { format!(", {}", clean(&person.city)) };
        line(&format!("{:<10} {}{city}", person.number, clean(&person.nickname)));
    }
    line(&format!("{} found", people.len()));
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn a_text_cannot_command_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\nc\td\u{202e}e"), "a\u{fffd}[31mb / c d\u{fffd}e");
        assert_eq!(clean("你好，世界"), "你好，世界");
    }
}

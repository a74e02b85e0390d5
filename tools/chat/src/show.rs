//! What goes to the terminal: whole lines, with nothing in them that a terminal would obey. Everything that this program
//! prints for people or scripts goes through here, so that no caller can forget it.

use oicq::client::{Group, Person, Status};
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a prompt stands on the last line of the terminal.
static PROMPTED: AtomicBool = AtomicBool::new(false);

/// Prints lines as soon as they are known, above the prompt if there is one.
pub fn line(text: &str) {
    let text = harmless(text);
    let mut out = io::stdout().lock();
    // A closed pipe is no reason to panic, and there is nobody left to tell.
    let _ = if PROMPTED.load(Ordering::Relaxed) { write!(out, "\r\x1b[K{text}\n> ") } else { writeln!(out, "{text}") };
    let _ = out.flush();
}

/// Prints a line with the time before it: for what was not asked for.
pub fn news(text: &str) {
    line(&format!("{} {text}", chrono::Local::now().format("%H:%M:%S")));
}

/// Prints what is wrong, in one line: `oicq: …` where a command ends by it, `! …` where the next line is read.
pub fn error(mark: &str, text: &str) {
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "{mark} {}", clean(text));
}

/// Prints the lines of a script's answer; tells whether anybody still reads.
pub fn answer(text: &str) -> bool {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", harmless(text)).and_then(|()| out.flush()).is_ok()
}

/// An object in one line. What a terminal would obey is escaped: it shows nothing, and whoever reads it has all of it.
pub fn json(object: &Value) -> String {
    let text = object.to_string();
    if !text.contains(is_harmful) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_harmful(letter) {
            let mut units = [0; 2];
            let escapes = letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"));
            safe.extend(escapes);
        } else {
            safe.push(letter);
        }
    }
    safe
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

/// Whether a letter does something else than to be seen: control characters move the cursor or change its colour, marks of
/// writing direction make one text look like another, and what has no width hides in a name.
pub fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}')
}

/// A text from someone else in one line, with nothing in it that a terminal would obey.
pub fn clean(text: &str) -> String {
    let one = |letter: char| match letter {
        '\t' => ' ',
        _ if is_harmful(letter) => '\u{fffd}',
        _ => letter,
    };
    text.replace("\r\n", "\n").replace('\n', " / ").chars().map(one).collect()
}

/// The same for a text of several lines.
fn harmless(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
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
    use super::*;
    use serde_json::json;

    /// Colours, a title, a C1 sequence, a delete, an override of direction, a mark of it, and letters without width.
    const NASTY: &str = "a\x1b[31mb\x1b]0;c\x07d\u{9b}2Je\x7ff\u{202e}g\u{61c}h\u{200b}i\u{feff}j\u{2066}k";

    #[test]
    fn a_text_cannot_command_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\nc\td\u{202e}e"), "a\u{fffd}[31mb / c d\u{fffd}e");
        assert!(!clean(NASTY).contains(is_harmful));
        for text in ["你好，世界", "👨‍👩‍👧 🇨🇳 ❤️", "नमस्ते", "café"] {
            assert_eq!(clean(text), text);
        }
        assert_eq!(harmless("one\n\x1btwo"), "one\n\u{fffd}two");
    }

    #[test]
    fn an_object_is_whole_and_harmless() {
        let object = json!({ "text": format!("{NASTY} 你好 \u{e0001}") });
        let line = super::json(&object);
        assert!(!line.contains(is_harmful), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), object);
        assert_eq!(super::json(&json!({ "a": "你好" })), r#"{"a":"你好"}"#);
    }
}

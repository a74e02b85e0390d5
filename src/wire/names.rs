//! What a name may look like (protocol.md 1.4): people read it in one line, and must not be deceived by what they cannot
//! see.

use super::profile::ProfileFault;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Characters that have a category of visible ones and show nothing: the fillers of Hangul, and a Braille cell without
/// dots.
const BLANK: [char; 5] = ['\u{115F}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{FFA0}'];
/// Joiners: scripts and emoji are spelt with them, but only between two characters.
const JOINERS: [char; 2] = ['\u{200C}', '\u{200D}'];
/// What the flags of regions are spelt with, behind a black flag.
const TAGS: std::ops::RangeInclusive<char> = '\u{E0020}'..='\u{E007F}';
/// Format characters that are seen: they stand around the digits that follow them.
const SEEN_FORMAT: [char; 13] = [
    '\u{600}',
    '\u{601}',
    '\u{602}',
    '\u{603}',
    '\u{604}',
    '\u{605}',
    '\u{6DD}',
    '\u{70F}',
    '\u{890}',
    '\u{891}',
    '\u{8E2}',
    '\u{110BD}',
    '\u{110CD}',
];

/// Whether a name may be given: of a user, a group or a file. Names that were given before this rule stay.
pub fn check_name(what: &str, name: &str, most: usize) -> Result<(), ProfileFault> {
    check_line(what, name, most)?;
    if !name.chars().any(is_visible) {
        return Err(ProfileFault::NotAllowed(format!("{what} must have at least one visible character")));
    }
    let edge = |c: char| c.is_whitespace() || JOINERS.contains(&c);
    if name.starts_with(edge) || name.ends_with(edge) {
        return Err(ProfileFault::NotAllowed(format!("{what} must not begin or end with a space")));
    }
    Ok(())
}

/// Whether a text can be shown in one line as it is. It may be empty.
pub fn check_line(what: &str, text: &str, most: usize) -> Result<(), ProfileFault> {
    if text.len() > most {
        let text = format!("{what} is {} bytes long; at most {most} are allowed", text.len());
        return Err(ProfileFault::TooLong(text));
    }
    // The usual text needs no look at each of its characters' categories.
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    match text.chars().find(|c| !plain && deceives(*c)) {
        None => Ok(()),
        Some(c) => {
            let text = format!("{what} must not have the character U+{:04X}, which is not seen", u32::from(c));
            Err(ProfileFault::NotAllowed(text))
        }
    }
}

/// Whether a character changes what is around it, or is there without being seen: control and format characters, among
/// them all that change the direction of writing, and those that break a line.
fn deceives(c: char) -> bool {
    match c.general_category() {
        GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator => true,
        GeneralCategory::Format => !JOINERS.contains(&c) && !TAGS.contains(&c) && !SEEN_FORMAT.contains(&c),
        _ => false,
    }
}

/// Whether something is seen where it stands alone.
fn is_visible(c: char) -> bool {
    let seen = matches!(
        c.general_category_group(),
        GeneralCategoryGroup::Letter
            | GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
    );
    seen && !BLANK.contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str) -> bool {
        check_name("nickname", name, 64).is_ok()
    }

    #[test]
    fn names_that_people_have() {
        let family = "👨\u{200D}👩\u{200D}👧";
        let persian = "می\u{200C}خواهم";
        let scotland = "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}";
        for name in
            ["a", "小明", "Li Lei", "Han  Meimei", "*", "7", "é", "e\u{301}", "❤\u{FE0F}", "ｆｕｌｌ　ｗｉｄｔｈ"]
        {
            assert!(taken(name), "{name:?}");
        }
        assert!(taken(family) && taken(persian) && taken(scotland));
    }

    #[test]
    fn names_that_nobody_can_see_or_that_look_like_another() {
        let blank = ["", " ", "\u{3000}", "\u{A0}", "\u{2800}", "\u{3164}", "\u{115F}\u{1160}", "\u{200D}", "\u{FE0F}"];
        let direction = ["\u{202E}gnim", "a\u{200E}", "a\u{200F}b", "\u{61C}a", "\u{2066}a\u{2069}", "\u{202A}a"];
        let lines =
            ["a\nb", "a\r", "a\u{85}b", "a\u{2028}b", "a\u{2029}b", "a\u{B}b", "a\tb", "a\0", "\u{7F}a", "\u{9B}a"];
        let unseen =
            ["a\u{200B}b", "a\u{AD}b", "\u{FEFF}a", "a\u{2060}b", "a\u{180E}b", "a ", " a", "a\u{200D}", "\u{200C}a"];
        for name in blank.iter().chain(&direction).chain(&lines).chain(&unseen) {
            assert!(!taken(name), "{name:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let why = |name: &str| check_name("nickname", name, 64).expect_err("refused").to_string();
        assert_eq!(why(&"n".repeat(65)), "nickname is 65 bytes long; at most 64 are allowed");
        assert_eq!(why(" "), "nickname must have at least one visible character");
        assert_eq!(why("a\u{202E}b"), "nickname must not have the character U+202E, which is not seen");
        assert_eq!(why("a "), "nickname must not begin or end with a space");
        assert_eq!(check_line("city", "", 64), Ok(()));
        assert!(check_line("city", "a\nb", 64).is_err());
    }
}

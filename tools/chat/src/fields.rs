//! The fields of a profile by name: shown, asked for, and changed one at a time (protocol.md 1.4, 3.1).

use oicq::client::{Details, OwnedProfile, Privacy, Reach};

/// A field that is text.
type TextField = (&'static str, fn(&mut OwnedProfile) -> &mut String);
/// A field that is a number, with its highest value and what its values mean.
type CodeField = (&'static str, u8, &'static str, fn(&mut OwnedProfile) -> &mut u8);
/// A field that is one of a few words, with what each means. Its number is its place.
type ChoiceField = (&'static str, &'static [&'static str], &'static str);

const TEXTS: &[TextField] = &[
    ("nickname", |profile| &mut profile.nickname),
    ("name", |profile| &mut profile.name),
    ("city", |profile| &mut profile.city),
    ("address", |profile| &mut profile.address),
    ("postcode", |profile| &mut profile.postcode),
    ("school", |profile| &mut profile.school),
    ("telephone", |profile| &mut profile.telephone),
    ("pager", |profile| &mut profile.pager),
    ("email", |profile| &mut profile.email),
    ("hobby", |profile| &mut profile.hobby),
    ("introduction", |profile| &mut profile.introduction),
];

const CODES: &[CodeField] = &[
    ("sex", 2, "0 not given, 1 male, 2 female", |profile| &mut profile.sex),
    ("age", u8::MAX, "years", |profile| &mut profile.age),
    ("country", u8::MAX, "a code", |profile| &mut profile.country),
    ("province", u8::MAX, "a code", |profile| &mut profile.province),
    ("education", u8::MAX, "a code", |profile| &mut profile.education),
    ("occupation", u8::MAX, "a code", |profile| &mut profile.occupation),
];

const CHOICES: &[ChoiceField] = &[
    (AUTHORIZATION, &["anyone", "ask", "nobody"], "anyone may add me, ask me first, or nobody may"),
    (REACH, &["everybody", "friends"], "everybody may write to me, or only friends: those in my list"),
    (
        DETAILS,
        &["everybody", "friends", "nobody"],
        "who sees my name, address, postcode, telephone, pager and e-mail: everybody, friends, or nobody",
    ),
];

/// Who may add a user: the field that the server tells nobody, its owner neither.
pub const AUTHORIZATION: &str = "authorization";
/// Who may write to a user.
pub const REACH: &str = "reach";
/// Who sees what a user tells of where and who they are.
pub const DETAILS: &str = "details";

/// The fields that say what others may do.
pub const PRIVACY: [&str; 3] = [AUTHORIZATION, REACH, DETAILS];

/// What to ask for at a full registration, besides nickname and password, with what may be answered.
pub fn questions() -> impl Iterator<Item = (&'static str, String)> {
    let texts = TEXTS.iter().skip(1).map(|(name, _)| (*name, (*name).to_owned()));
    let codes = CODES.iter().map(|(name, _, meaning, _)| (*name, format!("{name} ({meaning})")));
    let choices = CHOICES.iter().map(|(name, words, _)| (*name, format!("{name} ({})", words.join(", "))));
    texts.chain(codes).chain(choices).chain([("portrait", "portrait (0 to 255)".to_owned())])
}

/// Every field that can be changed on its own, but the password.
pub fn names() -> Vec<&'static str> {
    std::iter::once("nickname").chain(questions().map(|(name, _)| name)).collect()
}

/// The words that a field can be, if it is one of a few.
pub fn choices(field: &str) -> &'static [&'static str] {
    CHOICES.iter().find(|(name, ..)| *name == field).map_or(&[], |(_, words, _)| words)
}

/// What the values of a field mean; nothing for text.
pub fn meaning(field: &str) -> &'static str {
    let code = CODES.iter().map(|(name, _, meaning, _)| (*name, *meaning));
    let mut all = code.chain(CHOICES.iter().map(|(name, _, meaning)| (*name, *meaning)));
    all.find(|(name, _)| *name == field).map_or("", |(_, meaning)| meaning)
}

/// What is entered for a value as it is shown.
pub fn entered(field: &str, shown: &str) -> String {
    match (field, shown) {
        ("sex", "male") => "1".to_owned(),
        ("sex", "female") => "2".to_owned(),
        _ => shown.to_owned(),
    }
}

/// Changes a field. The protocol's lengths are checked when the profile is sent.
pub fn set(profile: &mut OwnedProfile, field: &str, value: &str) -> Result<(), String> {
    if let Some((_, access)) = TEXTS.iter().find(|(name, _)| *name == field) {
        *access(profile) = value.to_owned();
        return Ok(());
    }
    if let Some((name, most, meaning, access)) = CODES.iter().find(|(name, ..)| *name == field) {
        let value = if value.is_empty() { "0" } else { value };
        let code = value.parse::<u8>().ok().filter(|code| code <= most);
        *access(profile) = code.ok_or_else(|| format!("'{value}' is no {name}; 0 to {most} is right: {meaning}"))?;
        return Ok(());
    }
    if let Some((name, words, meaning)) = CHOICES.iter().find(|(name, ..)| *name == field) {
        // The number is what it was before there were words.
        let at = value.parse().ok().or_else(|| words.iter().position(|word| *word == value));
        let at = at.filter(|at| *at < words.len());
        let wrong = || format!("'{value}' is no {name}; it is one of {}: {meaning}", words.join(", "));
        choose(profile, name, at.ok_or_else(wrong)?);
        return Ok(());
    }
    if field == "portrait" {
        profile.portrait =
            value.parse::<u8>().map_err(|_| format!("'{value}' is no portrait; 0 to 255 is right"))?.into();
        return Ok(());
    }
    let known: Vec<&str> = questions().map(|(name, _)| name).collect();
    Err(format!("there is no field '{field}'; there are nickname, password, {}", known.join(", ")))
}

fn choose(profile: &mut OwnedProfile, field: &str, at: usize) {
    let mut privacy = profile.privacy.unwrap_or_default();
    match (field, at) {
        (AUTHORIZATION, at) => {
            profile.authorization = u8::try_from(at).unwrap_or_default();
            return;
        }
        (REACH, 0) => privacy.reach = Reach::Everybody,
        (REACH, _) => privacy.reach = Reach::Listed,
        (_, 0) => privacy.details = Details::Everybody,
        (_, 1) => privacy.details = Details::Listed,
        (..) => privacy.details = Details::Nobody,
    }
    profile.privacy = Some(privacy);
}

/// The fields that are given, one a line; password and authorization are nobody's business.
pub fn lines(profile: &OwnedProfile) -> Vec<(&'static str, String)> {
    let mut profile = profile.clone();
    let mut lines: Vec<(&str, String)> =
        TEXTS.iter().map(|(name, access)| (*name, access(&mut profile).clone())).collect();
    lines.extend(CODES.iter().map(|(name, _, _, access)| (*name, *access(&mut profile))).map(|(name, code)| {
        let text = match (name, code) {
            (_, 0) => String::new(),
            ("sex", 1) => "male".to_owned(),
            ("sex", 2) => "female".to_owned(),
            _ => code.to_string(),
        };
        (name, text)
    }));
    lines.push(("portrait", profile.portrait.to_string()));
    if let Some(Privacy { reach, details }) = profile.privacy {
        lines.push((REACH, choices(REACH)[reach as usize].to_owned()));
        lines.push((DETAILS, choices(DETAILS)[details as usize].to_owned()));
    }
    lines.retain(|(_, text)| !text.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_can_be_answered() {
        let mut profile = OwnedProfile::new("Li Lei", "secret");
        for (field, _) in questions() {
            set(&mut profile, field, "1").unwrap();
        }
        set(&mut profile, "nickname", "Han Meimei").unwrap();
        assert!(set(&mut profile, AUTHORIZATION, "").is_err(), "nothing is not anyone");
        let mut cleared = profile.clone();
        set(&mut cleared, "age", "").unwrap();
        assert_eq!(cleared.age, 0);
        assert_eq!(lines(&profile).len(), names().len() - 1, "all but authorization");
        assert_eq!(profile.as_wire().check(), Ok(()));
    }

    #[test]
    fn what_others_may_do_is_chosen_by_word() {
        let mut profile = OwnedProfile::new("Li Lei", "secret");
        for (field, word) in CHOICES.iter().flat_map(|(name, words, _)| words.iter().map(move |word| (*name, *word))) {
            set(&mut profile, field, word).unwrap();
            if field != AUTHORIZATION {
                assert!(lines(&profile).contains(&(field, word.to_owned())), "{field} {word}");
            }
        }
        assert_eq!(profile.authorization, 2);
        assert_eq!(profile.privacy, Some(Privacy { reach: Reach::Listed, details: Details::Nobody }));
        assert_eq!(
            set(&mut profile, REACH, "nobody").unwrap_err(),
            "'nobody' is no reach; it is one of everybody, friends: everybody may write to me, or only friends: those in my list"
        );
    }

    #[test]
    fn wrong_values_are_explained() {
        let mut profile = OwnedProfile::default();
        let error = set(&mut profile, "sex", "7").unwrap_err();
        assert_eq!(error, "'7' is no sex; 0 to 2 is right: 0 not given, 1 male, 2 female");
        assert!(
            set(&mut profile, "shoe", "42").unwrap_err().starts_with("there is no field 'shoe'; there are nickname")
        );
    }
}

//! The fields of a profile by name: shown, asked for, and changed one at a time (protocol.md 1.4).

use oicq::client::OwnedProfile;

/// A field that is text.
type TextField = (&'static str, fn(&mut OwnedProfile) -> &mut String);
/// A field that is a number, with its highest value and what its values mean.
type CodeField = (&'static str, u8, &'static str, fn(&mut OwnedProfile) -> &mut u8);

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
    (AUTHORIZATION, 2, "0 anyone may add me, 1 ask me first, 2 nobody may", |profile| &mut profile.authorization),
];

/// The field that the server tells nobody, its owner neither.
pub const AUTHORIZATION: &str = "authorization";

/// What to ask for at a full registration, besides nickname and password, with what may be answered.
pub fn questions() -> impl Iterator<Item = (&'static str, String)> {
    let texts = TEXTS.iter().skip(1).map(|(name, _)| (*name, (*name).to_owned()));
    let codes = CODES.iter().map(|(name, _, meaning, _)| (*name, format!("{name} ({meaning})")));
    texts.chain(codes).chain([("portrait", "portrait (0 to 255)".to_owned())])
}

/// Every field that can be changed on its own, but the password.
pub fn names() -> Vec<&'static str> {
    std::iter::once("nickname").chain(questions().map(|(name, _)| name)).collect()
}

/// What the values of a field mean; nothing for text.
pub fn meaning(field: &str) -> &'static str {
    let code = CODES.iter().find(|(name, ..)| *name == field);
    code.map_or("", |(_, _, meaning, _)| meaning)
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
        let value = if value.is_empty() && *name != AUTHORIZATION { "0" } else { value };
        let code = value.parse::<u8>().ok().filter(|code| code <= most);
        *access(profile) = code.ok_or_else(|| format!("'{value}' is no {name}; 0 to {most} is right: {meaning}"))?;
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

/// The fields that are given, one a line; password and authorization are nobody's business.
pub fn lines(profile: &OwnedProfile) -> Vec<(&'static str, String)> {
    let mut profile = profile.clone();
    let mut lines: Vec<(&str, String)> =
        TEXTS.iter().map(|(name, access)| (*name, access(&mut profile).clone())).collect();
    let codes = CODES.iter().filter(|(name, ..)| *name != AUTHORIZATION);
    lines.extend(codes.map(|(name, _, _, access)| (*name, *access(&mut profile))).map(|(name, code)| {
        let text = match (name, code) {
            (_, 0) => String::new(),
            ("sex", 1) => "male".to_owned(),
            ("sex", 2) => "female".to_owned(),
            _ => code.to_string(),
        };
        (name, text)
    }));
    lines.push(("portrait", profile.portrait.to_string()));
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
        assert_eq!(lines(&profile).len(), TEXTS.len() + CODES.len(), "portrait for authorization");
        assert_eq!(profile.as_wire().check(), Ok(()));
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

//! A profile that owns its texts.

use crate::wire::{Profile, PublicProfile, User};

/// A profile that owns its texts: the fields are those of [`Profile`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are documented at wire::Profile")]
pub struct OwnedProfile {
    pub nickname: String,
    pub portrait: u16,
    pub password: String,
    pub sex: u8,
    pub age: u8,
    pub name: String,
    pub country: u8,
    pub province: u8,
    pub city: String,
    pub address: String,
    pub postcode: String,
    pub education: u8,
    pub school: String,
    pub occupation: u8,
    pub telephone: String,
    pub pager: String,
    pub email: String,
    pub hobby: String,
    pub introduction: String,
    pub authorization: u8,
    /// Only a user's own profile has it. Sent without it, it stays as it is.
    pub privacy: Option<Privacy>,
}

/// Who may write to a user, and who sees what (protocol.md 3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Who may write.
    pub reach: Reach,
    /// Who sees and finds by the details.
    pub details: Details,
}

impl Privacy {
    /// From the fields of a profile; `None` if they are not there, or mean nothing that this library knows.
    pub(super) fn from_codes(reach: Option<u8>, details: Option<u8>) -> Option<Self> {
        let reach = match reach? {
            0 => Reach::Everybody,
            1 => Reach::Listed,
            _ => return None,
        };
        let details = match details? {
            0 => Details::Everybody,
            1 => Details::Listed,
            2 => Details::Nobody,
            _ => return None,
        };
        Some(Self { reach, details })
    }
}

/// Who may write to a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Everybody.
    #[default]
    Everybody,
    /// Those in the user's own list.
    Listed,
}

/// Who sees a user's real name, address, postcode, telephone, pager and e-mail, and finds the user by them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Details {
    /// Everybody.
    Everybody,
    /// Those in the user's own list.
    #[default]
    Listed,
    /// Nobody but the user.
    Nobody,
}

impl OwnedProfile {
    /// The least that a registration needs. Everything else is not given; anybody may add this user.
    pub fn new(nickname: &str, password: &str) -> Self {
        Self { nickname: nickname.to_owned(), password: password.to_owned(), ..Self::default() }
    }

    /// As a registration; `invite` is a code.
    pub(super) fn as_registration<'a>(&'a self, invite: Option<&'a str>) -> User<'a> {
        // A field can only be left out with those behind it (protocol.md 1.2).
        let privacy = self.privacy.or(invite.map(|_| Privacy::default()));
        let (reach, details) = codes(privacy);
        User::Register { profile: self.as_wire(), reach, details, invite }
    }

    /// As a change of one's own profile: without the password, or with a new one and the old.
    pub(super) fn as_update<'a>(&'a self, me: u32, old_password: Option<&'a str>) -> User<'a> {
        let (reach, details) = codes(self.privacy);
        let mut profile = self.as_wire();
        if old_password.is_none() {
            profile.password = "";
        }
        // A server that tells nothing of privacy knows nothing of old passwords either.
        User::Update { me, profile, reach, details, old_password: old_password.filter(|_| self.privacy.is_some()) }
    }

    /// As it goes into a frame.
    pub fn as_wire(&self) -> Profile<'_> {
        Profile {
            nickname: &self.nickname,
            portrait: self.portrait,
            password: &self.password,
            sex: self.sex,
            age: self.age,
            name: &self.name,
            country: self.country,
            province: self.province,
            city: &self.city,
            address: &self.address,
            postcode: &self.postcode,
            education: self.education,
            school: &self.school,
            occupation: self.occupation,
            telephone: &self.telephone,
            pager: &self.pager,
            email: &self.email,
            hobby: &self.hobby,
            introduction: &self.introduction,
            authorization: self.authorization,
        }
    }
}

fn codes(privacy: Option<Privacy>) -> (Option<u8>, Option<u8>) {
    (privacy.map(|privacy| privacy.reach as u8), privacy.map(|privacy| privacy.details as u8))
}

/// Password and authorization, which nobody is told, are empty and 0.
impl From<PublicProfile<'_>> for OwnedProfile {
    fn from(profile: PublicProfile<'_>) -> Self {
        Self {
            nickname: profile.nickname.to_owned(),
            portrait: profile.portrait,
            password: String::new(),
            sex: profile.sex,
            age: profile.age,
            name: profile.name.to_owned(),
            country: profile.country,
            province: profile.province,
            city: profile.city.to_owned(),
            address: profile.address.to_owned(),
            postcode: profile.postcode.to_owned(),
            education: profile.education,
            school: profile.school.to_owned(),
            occupation: profile.occupation,
            telephone: profile.telephone.to_owned(),
            pager: profile.pager.to_owned(),
            email: profile.email.to_owned(),
            hobby: profile.hobby.to_owned(),
            introduction: profile.introduction.to_owned(),
            authorization: 0,
            privacy: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Dialect;

    fn sent(frame: User<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_left_out_has_nothing_behind_it() {
        let mut profile = OwnedProfile::new("小明", "secret");
        let fields = |bytes: &[u8]| match User::decode(bytes, Dialect::Link).unwrap() {
            User::Register { reach, details, invite, .. } => (reach, details, invite.map(str::to_owned)),
            User::Update { reach, details, old_password, .. } => (reach, details, old_password.map(str::to_owned)),
            other => panic!("{other:?}"),
        };
        assert_eq!(fields(&sent(profile.as_registration(None))), (None, None, None));
        let code = Some("KRDT-93QM".to_owned());
        assert_eq!(fields(&sent(profile.as_registration(code.as_deref()))), (Some(0), Some(1), code));
        assert_eq!(fields(&sent(profile.as_update(10_000, Some("old one")))), (None, None, None));
        profile.privacy = Some(Privacy { reach: Reach::Listed, details: Details::Nobody });
        assert_eq!(fields(&sent(profile.as_registration(None))), (Some(1), Some(2), None));
        let old = Some("old one".to_owned());
        assert_eq!(fields(&sent(profile.as_update(10_000, old.as_deref()))), (Some(1), Some(2), old));
    }

    #[test]
    fn a_password_is_only_changed_on_purpose() {
        let profile = OwnedProfile { privacy: Some(Privacy::default()), ..OwnedProfile::new("小明", "secret") };
        let password = |frame| match frame {
            User::Update { profile, .. } => profile.password,
            other => panic!("{other:?}"),
        };
        assert_eq!(password(profile.as_update(10_000, None)), "");
        assert_eq!(password(profile.as_update(10_000, Some("old one"))), "secret");
    }

    #[test]
    fn ones_own_profile_says_who_may_write() {
        let privacy = Some(Privacy { reach: Reach::Listed, details: Details::Everybody });
        assert_eq!(Privacy::from_codes(Some(1), Some(0)), privacy);
        assert_eq!((Privacy::from_codes(None, None), Privacy::from_codes(Some(7), Some(0))), (None, None));
    }
}

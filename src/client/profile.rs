//! A profile that owns its texts.

use crate::wire::{Profile, PublicProfile};

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
}

impl OwnedProfile {
    /// The least that a registration needs. Everything else is not given; anybody may add this user.
    pub fn new(nickname: &str, password: &str) -> Self {
        Self { nickname: nickname.to_owned(), password: password.to_owned(), ..Self::default() }
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
        }
    }
}

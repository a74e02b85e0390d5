//! The profile of a user (protocol.md 1.4).

use super::names::{check_line, check_name};
use super::record::record;
use crate::limits::{
    INTRODUCTION_BYTES, LINE_BYTES, NAME_BYTES, PASSWORD_BYTES, PASSWORD_BYTES_LEAST, PHONE_BYTES, PORTRAIT_MAX,
    POSTCODE_BYTES, SHORT_TEXT_BYTES,
};
use std::fmt;

record! {
    /// What a user tells about themself at registration, in the order of protocol.md 1.4. By default it tells nothing, and
    /// anyone may add the user.
    #[derive(Default)]
    Profile ['a] {
        /// Nickname (昵称), 1 to 64 bytes: see [`check_name`].
        nickname: &'a str,
        /// Portrait (头像), 0 to 255.
        portrait: u16,
        /// Password (口令), 6 to 128 bytes; empty where it stays as it is.
        password: &'a str,
        /// Sex (性别): 0 not given, 1 male, 2 female.
        sex: u8,
        /// Age (年龄), in years.
        age: u8,
        /// Real name (真实姓名), at most 64 bytes.
        name: &'a str,
        /// Country (国家): a code that the server keeps and does not interpret.
        country: u8,
        /// Province (省): a code.
        province: u8,
        /// City (市), at most 64 bytes.
        city: &'a str,
        /// Address (地址), at most 255 bytes.
        address: &'a str,
        /// Postcode (邮编), at most 16 bytes.
        postcode: &'a str,
        /// Education (学历): a code.
        education: u8,
        /// School (毕业院校), at most 128 bytes.
        school: &'a str,
        /// Occupation (职业): a code.
        occupation: u8,
        /// Telephone (电话), at most 32 bytes.
        telephone: &'a str,
        /// Pager (寻呼), at most 32 bytes.
        pager: &'a str,
        /// E-mail (电邮), at most 128 bytes.
        email: &'a str,
        /// Hobby (爱好), at most 255 bytes.
        hobby: &'a str,
        /// Introduction (说明), at most 1,024 bytes.
        introduction: &'a str,
        /// Authorization (身份验证): 0 anyone may add me, 1 ask me first, 2 nobody may.
        authorization: u8,
    }

    /// A profile as others may read it: without password and authorization.
    #[derive(Default)]
    PublicProfile ['a] {
        /// Nickname (昵称).
        nickname: &'a str,
        /// Portrait (头像).
        portrait: u16,
        /// Sex (性别).
        sex: u8,
        /// Age (年龄).
        age: u8,
        /// Real name (真实姓名).
        name: &'a str,
        /// Country (国家).
        country: u8,
        /// Province (省).
        province: u8,
        /// City (市).
        city: &'a str,
        /// Address (地址).
        address: &'a str,
        /// Postcode (邮编).
        postcode: &'a str,
        /// Education (学历).
        education: u8,
        /// School (毕业院校).
        school: &'a str,
        /// Occupation (职业).
        occupation: u8,
        /// Telephone (电话).
        telephone: &'a str,
        /// Pager (寻呼).
        pager: &'a str,
        /// E-mail (电邮).
        email: &'a str,
        /// Hobby (爱好).
        hobby: &'a str,
        /// Introduction (说明).
        introduction: &'a str,
    }
}

impl PublicProfile<'_> {
    /// As somebody reads it who may not see the details (protocol.md 3.1): real name, address, postcode, telephone, pager
    /// and e-mail are empty.
    pub fn without_details(self) -> Self {
        Self { name: "", address: "", postcode: "", telephone: "", pager: "", email: "", ..self }
    }
}

/// What is not allowed in a profile or a name, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileFault {
    /// A text is longer than it may be.
    TooLong(String),
    /// A value has no meaning.
    NotAllowed(String),
}

impl fmt::Display for ProfileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::TooLong(text) | Self::NotAllowed(text)) = self;
        f.write_str(text)
    }
}

impl<'a> Profile<'a> {
    /// What others may read of it.
    pub fn public(&self) -> PublicProfile<'a> {
        PublicProfile {
            nickname: self.nickname,
            portrait: self.portrait,
            sex: self.sex,
            age: self.age,
            name: self.name,
            country: self.country,
            province: self.province,
            city: self.city,
            address: self.address,
            postcode: self.postcode,
            education: self.education,
            school: self.school,
            occupation: self.occupation,
            telephone: self.telephone,
            pager: self.pager,
            email: self.email,
            hobby: self.hobby,
            introduction: self.introduction,
        }
    }

    /// What is not allowed in it; `Ok` where all of protocol.md 1.4 holds. Too long is refused, never cut. The password may
    /// be empty: see [`check_new`](Self::check_new).
    pub fn check(&self) -> Result<(), ProfileFault> {
        check_name("nickname", self.nickname, NAME_BYTES)?;
        let lines = [
            ("real name", self.name, NAME_BYTES),
            ("city", self.city, NAME_BYTES),
            ("address", self.address, SHORT_TEXT_BYTES),
            ("postcode", self.postcode, POSTCODE_BYTES),
            ("school", self.school, LINE_BYTES),
            ("telephone", self.telephone, PHONE_BYTES),
            ("pager", self.pager, PHONE_BYTES),
            ("email", self.email, LINE_BYTES),
        ];
        lines.iter().try_for_each(|(name, text, most)| check_line(name, text, *most))?;
        let texts = [("hobby", self.hobby, SHORT_TEXT_BYTES), ("introduction", self.introduction, INTRODUCTION_BYTES)];
        if let Some((name, text, most)) = texts.iter().find(|(_, text, most)| text.len() > *most) {
            let text = format!("{name} is {} bytes long; at most {most} are allowed", text.len());
            return Err(ProfileFault::TooLong(text));
        }
        if !self.password.is_empty() {
            check_password(self.password)?;
        }
        within(&[
            ("portrait", self.portrait, PORTRAIT_MAX),
            ("sex", u16::from(self.sex), 2),
            ("authorization", u16::from(self.authorization), 2),
        ])
    }

    /// The same for a registration, which cannot do without a password.
    pub fn check_new(&self) -> Result<(), ProfileFault> {
        self.check()?;
        check_password(self.password)
    }
}

/// Whether a password may be set. Those that were set before this rule stay.
pub fn check_password(password: &str) -> Result<(), ProfileFault> {
    match password.len() {
        PASSWORD_BYTES_LEAST..=PASSWORD_BYTES => Ok(()),
        n if n > PASSWORD_BYTES => {
            Err(ProfileFault::TooLong(format!("password is {n} bytes long; at most {PASSWORD_BYTES} are allowed")))
        }
        n => Err(ProfileFault::NotAllowed(format!(
            "password is {n} bytes long; at least {PASSWORD_BYTES_LEAST} are needed"
        ))),
    }
}

/// Whether these can be set: who may write to a user, and who sees the user's details (protocol.md 3.1).
pub fn check_privacy(reach: Option<u8>, details: Option<u8>) -> Result<(), ProfileFault> {
    within(&[("reach", reach.unwrap_or(0).into(), 1), ("details", details.unwrap_or(0).into(), 2)])
}

fn within(codes: &[(&str, u16, u16)]) -> Result<(), ProfileFault> {
    match codes.iter().find(|(_, value, most)| value > most) {
        Some((name, value, most)) => {
            Err(ProfileFault::NotAllowed(format!("{name} is {value}; it must be 0 to {most}")))
        }
        None => Ok(()),
    }
}

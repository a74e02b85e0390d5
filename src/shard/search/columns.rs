//! The columns of a search (protocol.md 4.1): one row each.

use crate::wire::PublicProfile;

/// What a condition looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person<'a> {
    pub number: u32,
    pub profile: &'a PublicProfile<'a>,
    /// The visible one.
    pub status: u8,
}

/// A column; its kind says what it can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Number(NumberColumn),
    Text(TextColumn),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberColumn {
    Number,
    Sex,
    Age,
    Country,
    Province,
    Education,
    Occupation,
    Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextColumn {
    Nickname,
    Name,
    City,
    Address,
    Postcode,
    School,
    Telephone,
    Pager,
    Email,
    Hobby,
    Introduction,
}

/// The two names of each column.
pub(super) const COLUMNS: [(&str, &str, Column); 19] = [
    ("number", "服务号", Column::Number(NumberColumn::Number)),
    ("nickname", "昵称", Column::Text(TextColumn::Nickname)),
    ("sex", "性别", Column::Number(NumberColumn::Sex)),
    ("age", "年龄", Column::Number(NumberColumn::Age)),
    ("name", "真实姓名", Column::Text(TextColumn::Name)),
    ("country", "国家", Column::Number(NumberColumn::Country)),
    ("province", "省", Column::Number(NumberColumn::Province)),
    ("city", "市", Column::Text(TextColumn::City)),
    ("address", "地址", Column::Text(TextColumn::Address)),
    ("postcode", "邮编", Column::Text(TextColumn::Postcode)),
    ("education", "学历", Column::Number(NumberColumn::Education)),
    ("school", "毕业院校", Column::Text(TextColumn::School)),
    ("occupation", "职业", Column::Number(NumberColumn::Occupation)),
    ("telephone", "电话", Column::Text(TextColumn::Telephone)),
    ("pager", "寻呼", Column::Text(TextColumn::Pager)),
    ("email", "电邮", Column::Text(TextColumn::Email)),
    ("hobby", "爱好", Column::Text(TextColumn::Hobby)),
    ("introduction", "说明", Column::Text(TextColumn::Introduction)),
    ("status", "状态", Column::Number(NumberColumn::Status)),
];

impl Column {
    /// The column of this name. English names may be written in any case.
    pub fn named(name: &str) -> Option<Self> {
        let row =
            COLUMNS.iter().find(|(english, chinese, _)| name.eq_ignore_ascii_case(english) || name == *chinese)?;
        Some(row.2)
    }
}

impl NumberColumn {
    #[inline]
    pub fn of(self, person: &Person<'_>) -> i64 {
        let profile = person.profile;
        match self {
            Self::Number => person.number.into(),
            Self::Sex => profile.sex.into(),
            Self::Age => profile.age.into(),
            Self::Country => profile.country.into(),
            Self::Province => profile.province.into(),
            Self::Education => profile.education.into(),
            Self::Occupation => profile.occupation.into(),
            Self::Status => person.status.into(),
        }
    }
}

impl TextColumn {
    /// Whether it is one of the details that not everybody may see (protocol.md 3.1).
    pub fn is_detail(self) -> bool {
        matches!(self, Self::Name | Self::Address | Self::Postcode | Self::Telephone | Self::Pager | Self::Email)
    }

    #[inline]
    pub fn of<'a>(self, person: &Person<'a>) -> &'a str {
        let profile = person.profile;
        match self {
            Self::Nickname => profile.nickname,
            Self::Name => profile.name,
            Self::City => profile.city,
            Self::Address => profile.address,
            Self::Postcode => profile.postcode,
            Self::School => profile.school,
            Self::Telephone => profile.telephone,
            Self::Pager => profile.pager,
            Self::Email => profile.email,
            Self::Hobby => profile.hobby,
            Self::Introduction => profile.introduction,
        }
    }
}

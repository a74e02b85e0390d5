//! What other parts of the program say in English, in the language of the screen: errors, and what profile fields mean.

use super::lang::{Words, fill};
use crate::fields;

/// What is said in English, and the same in Chinese; `{}` is anything, `{2}` the third of them. The first that fits counts.
const SAID: &[(&str, &str)] = &[
    ("a message is 1 to {} bytes long; this one has {}", "一条消息为 1 到 {} 字节，这一条有 {} 字节"),
    ("a message to oneself is refused; give another number", "不能给自己发消息，请换一个号码"),
    ("nobody is in that group", "这个分组里没有人"),
    ("{} offers no file", "{} 没有发来文件"),
    ("{} is no file; give the path of one", "{} 不是文件，请输入文件的路径"),
    ("{} is no file; move it away", "{} 不是文件，请先移走"),
    ("{} has {} bytes; at most {} can be sent", "{} 有 {} 字节，最多可发送 {} 字节"),
    ("there are {} files called {} already; move some away", "已有 {} 个名为 {} 的文件，请移走一些"),
    ("the connection broke; {} is to be offered again", "连接中断，{} 需要重新发送"),
    ("{} takes no new file", "{} 中无法新建文件"),
    ("{}; messages wait at the server until it can", "{}；消息先留在服务器上"),
    ("the history cannot be written: {}", "聊天记录无法写入：{}"),
    ("the history cannot be read: {}", "聊天记录无法读取：{}"),
    ("the key cannot be kept: {}", "密钥无法保存：{}"),
    ("the token cannot be kept, the password will be needed again: {}", "令牌无法保存，下次还要输入密码：{}"),
    ("message {} to {} has to wait for the next sign-in", "消息 {}（给 {}）要等到下次登录再发送"),
    (
        "{} is open in another oicq of this profile; --profile NAME keeps another account apart",
        "{} 已在另一个 oicq 中打开；用 --profile 名称 可同时使用别的账号",
    ),
    ("'{}' is no {}; 0 to {} is right: {}", "“{0}”不对，应为 0 到 {2}"),
    ("'{}' is no {}; 0 to {} is right", "“{0}”不对，应为 0 到 {2}"),
    ("'{}' is no {}; it is one of {}: {}", "“{0}”不对，应为 {2}"),
    ("there is no field '{}'; {}", "资料中没有“{}”这一项"),
    ("{}: No such file or directory (os error {})", "{}：没有这个文件或目录"),
    ("{}: Permission denied (os error {})", "{}：没有权限"),
    ("{}: No space left on device (os error {})", "{}：磁盘已满"),
    ("the disk is full", "磁盘已满"),
    ("registration is closed", "注册已关闭"),
    ("an invite code is needed", "注册需要邀请码"),
    ("this invite code is not good", "邀请码无效，或已经用过"),
    ("this account waits for the operator's approval", "这个账号等待管理员批准"),
    ("banned until {}: {}", "封禁到 {}：{}"),
    ("banned for good: {}", "永久封禁：{}"),
    ("signed in from another place: this session has ended", "你的号码在别处登录，这次登录已结束"),
    ("your password was changed: sign in again", "密码已被修改，请重新登录"),
];

/// The parts of a text where a template has `{}`.
fn parts<'a>(template: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = template.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut parts = Vec::new();
    let pieces: Vec<&str> = pieces.collect();
    for (at, piece) in pieces.iter().enumerate() {
        let is_last = at + 1 == pieces.len();
        let end = if is_last { rest.strip_suffix(piece)?.len() } else { rest.find(piece)? };
        parts.push(&rest[..end]);
        rest = &rest[end + piece.len()..];
    }
    rest.is_empty().then_some(parts)
}

impl Words {
    /// What another part of the program has said.
    pub fn said(&self, text: &str) -> String {
        if !self.is_chinese() {
            return text.to_owned();
        }
        for (en, zh) in SAID {
            if let Some(parts) = parts(en, text) {
                let parts: Vec<String> = parts.into_iter().map(|part| self.said(part)).collect();
                let numbered = |text: String, (at, part): (usize, &String)| text.replace(&format!("{{{at}}}"), part);
                let text = parts.iter().enumerate().fold((*zh).to_owned(), numbered);
                return fill(&text, &parts.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        text.to_owned()
    }

    /// What is wrong with a command that was written.
    pub fn wrong_command(&self, line: &str, error: String) -> String {
        let word = line.split_whitespace().next().unwrap_or_default();
        let fits = |form: &&str| form.strip_prefix('/').is_some_and(|form| form.split(' ').next() == Some(word));
        match self.commands.lines().find(fits) {
            None => fill(self.no_command, &[word]),
            Some(form) if self.is_chinese() => fill(self.usage, &[form.split("  ").next().unwrap_or(form)]),
            Some(_) => error,
        }
    }

    /// What the values of a profile's field mean; nothing for text.
    pub fn meaning(&self, field: &str) -> String {
        let meaning = match (field, fields::meaning(field)) {
            _ if !fields::choices(field).is_empty() => {
                let choice = |word: &&str| format!("{word} ({})", self.choice(field, word));
                return fields::choices(field).iter().map(choice).collect::<Vec<_>>().join(", ");
            }
            ("portrait", _) => "0–255",
            (_, meaning) if !self.is_chinese() || meaning.is_empty() => meaning,
            ("sex", _) => "0 不填，1 男，2 女",
            ("age", _) => "岁数",
            _ => "代码，0–255",
        };
        meaning.to_owned()
    }

    /// A field's value as it is shown.
    pub fn value(&self, field: &str, value: &str) -> String {
        let shown = match (field, value) {
            ("sex", "male") if self.is_chinese() => "男",
            ("sex", "female") if self.is_chinese() => "女",
            _ if fields::choices(field).contains(&value) => self.choice(field, value),
            _ => value,
        };
        shown.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lang::{EN, ZH};
    use crate::fields;

    #[test]
    fn what_is_said_is_said_in_chinese() {
        let full = "the history cannot be written: the disk is full; messages wait at the server until it can";
        assert_eq!(ZH.said(full), "聊天记录无法写入：磁盘已满；消息先留在服务器上");
        assert_eq!(EN.said(full), full);
        assert_eq!(ZH.said("'x' is no sex; 0 to 2 is right: 0 not given"), "“x”不对，应为 0 到 2");
        assert_eq!(ZH.said("/a b: No such file or directory (os error 2)"), "/a b：没有这个文件或目录");
        assert_eq!(ZH.said("banned until 2026-12-05 10:37:56 UTC: spam"), "封禁到 2026-12-05 10:37:56 UTC：spam");
        assert_eq!(ZH.said("something else"), "something else");
    }

    #[test]
    fn a_wrong_command_is_explained() {
        let error = "'x' is not a service number".to_owned();
        assert_eq!(EN.wrong_command("add x", error.clone()), error);
        assert_eq!(ZH.wrong_command("add x", error.clone()), "用法：/add 号码");
        assert_eq!(ZH.wrong_command("dance", error.clone()), "没有命令“dance”，/help 列出全部");
        assert_eq!(EN.wrong_command("dance", error), "there is no command 'dance'; /help lists all");
    }

    #[test]
    fn fields_are_explained_in_both_languages() {
        assert_eq!((ZH.value("sex", "male"), EN.value("sex", "male")), ("男".into(), "male".into()));
        assert_eq!(EN.value("authorization", "ask"), "whoever asks first");
        assert_eq!(
            (ZH.value("authorization", "nobody"), ZH.value("details", "friends")),
            ("不允许".into(), "只有我列表中的人".into())
        );
        for field in fields::PRIVACY {
            assert!(fields::choices(field).iter().all(|word| !EN.choice(field, word).is_empty()), "{field}");
        }
        assert!(fields::questions().all(|(field, _)| ZH.meaning(field).is_empty() == EN.meaning(field).is_empty()));
    }
}

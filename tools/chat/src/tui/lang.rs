//! Every word of the full screen, in English and Chinese. A language without one of them does not compile.

use crate::args::Language;
use crate::engine::Engine;
use crate::fields;
use oicq::client::{Error, Status, reason};

macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// What the full screen says; `{}` is filled in.
        #[derive(Debug)]
        pub struct Words {
            $(pub $name: &'static str,)*
        }

        /// English.
        pub static EN: Words = Words { $($name: $en,)* };
        /// Chinese.
        pub static ZH: Words = Words { $($name: $zh,)* };
    };
}

words! {
    me: "me", "我";
    friends: "Friends", "好友";
    others: "Others", "其他人";
    no_friends: "No friends yet: F2, then Add a friend", "还没有好友：按 F2，选“添加好友”";
    search: "search: ", "搜索：";
    nobody_open: "Choose somebody on the left (Tab), or press F2 for everything you can do.", "在左边选一位好友（Tab），或按 F2 查看全部功能。";
    nothing_said: "Nothing was said yet. Write below and press Enter.", "还没有消息。在下面输入，按回车发送。";
    keys: "F1 Help  F2 Menu  F3 Search  F4 Notices  Tab Friends  ^N Unread  ^Q Quit", "F1 帮助  F2 菜单  F3 搜索  F4 通知  Tab 好友  ^N 未读  ^Q 退出";
    keys_list: "Type to search  ↑↓ Choose  Enter Open  Esc Back  F1 Help  F2 Menu", "输入即搜索  ↑↓ 选择  回车 打开  Esc 返回  F1 帮助  F2 菜单";
    keys_popup: "↑↓ Choose  Enter OK  Esc Back", "↑↓ 选择  回车 确定  Esc 返回";
    keys_form: "Enter Next  Esc Back", "回车 下一步  Esc 返回";
    keys_last: "Enter OK  Esc Back", "回车 确定  Esc 返回";
    keys_confirm: "y Yes  n No", "y 是  n 否";
    keys_text: "↑↓ Scroll  Esc Back", "↑↓ 滚动  Esc 返回";
    online: "online", "在线";
    hidden: "hidden", "隐身";
    busy: "do not disturb", "请勿打扰";
    offline: "offline", "离线";
    connecting: "connecting…", "正在连接…";
    delayed: "the server makes us wait…", "服务器要求等待…";
    delayed_why: "Wrong passwords were tried: the server makes us wait, half a minute at most.", "有人试过错误密码，服务器让登录等待，最多半分钟。";
    no_answer: "no answer from the server; trying again", "服务器没有应答，正在重试";
    silent: "the server does not answer; what you write waits", "服务器没有应答，写下的消息会等待";
    slowed: "slow down: {} wait", "请慢一点：{} 条等待中";
    slow_down: "The server asks us to slow down: {} wait, and go out by themselves.", "服务器要求放慢：{} 条消息等待中，会自动发出。";
    later: "The server cannot take messages now ({}): {} wait, and are sent again.", "服务器暂时收不了消息（{}）：{} 条等待中，会再次发送。";
    banned_title: "Banned", "已被封禁";
    banned: "The operator has banned this account, or the network that you are in:\n\n{}", "管理员封禁了这个账号，或你所在的网络：\n\n{}";
    pending_title: "Not let in yet", "等待批准";
    pending: "NUMBER is yours, and the operator has to let it in first:\n\n{}\n\nKeep the number. Ctrl-R tries again, now or another day.", "NUMBER 是你的号码，但要等管理员批准才能登录：\n\n{}\n\n请记住号码。按 Ctrl-R 重试，过几天再试也可以。";
    signed_out: "not signed in (F2)", "未登录（F2）";
    refused: "refused: {}", "被拒绝：{}";
    welcome: "Welcome to OICQ", "欢迎使用 OICQ";
    ask_server: "Server", "服务器";
    ask_server_hint: "its line, oicq://HOST:PORT/?key=…, or HOST:PORT", "服务器行 oicq://主机:端口/?key=…，或 主机:端口";
    sign_in: "Sign in", "登录";
    sign_in_hidden: "Sign in hidden", "隐身登录";
    sign_up: "Sign up for a number", "注册新号码";
    sign_up_full: "Sign up with a whole profile", "注册并填写完整资料";
    other_server: "Another server", "换一个服务器";
    number: "Number", "号码";
    number_hint: "your number, like 10001", "你的号码，例如 10001";
    other_hint: "their number, like 10001", "对方的号码，例如 10001";
    not_a_number: "'{}' is not a service number, like 10001", "“{}”不是号码，号码例如 10001";
    nickname: "Nickname", "昵称";
    nickname_hint: "how others see you", "别人看到的名字";
    not_empty: "this cannot be empty", "不能为空";
    password: "Password", "密码";
    password_hint: "it is not shown", "不会显示";
    password_again: "The same again", "再输一次";
    old_password: "Present password", "现在的密码";
    other_password: "this is not your present password; once more", "现在的密码不对，请重新输入";
    new_password: "New password", "新密码";
    new_password_hint: "at least 6 letters; it is not shown", "至少 6 个字符，不会显示";
    too_short: "a password has at least 6 letters", "密码至少 6 个字符";
    invite: "Invite code", "邀请码";
    invite_hint: "from the operator of the server", "向服务器管理员索取";
    closed_title: "Nobody can sign up here", "暂停注册";
    closed: "The server says: {}.\n\nAsk the operator of the server, who can make an account for you. Whoever has a number signs in as always.", "{}。\n\n请联系服务器管理员，由管理员为你开号。已有号码的人照常登录。";
    two_passwords: "these were two different passwords; once more", "两次密码不同，请重新输入";
    your_number: "Your number is {}. Keep it: it is how you sign in.", "你的号码是 {}，请记住，登录要用。";
    optional: "or nothing", "可不填";
    optional_meaning: "or nothing; {}", "可不填；{}";
    no_groups: "There is no group that can be deleted.", "没有可以删除的分组。";
    usage: "the form is: {}", "用法：{}";
    no_command: "there is no command '{}'; /help lists all", "没有命令“{}”，/help 列出全部";
    wrong_password: "wrong number or password", "号码或密码错误";
    elsewhere: "Signed out; Ctrl-R signs in again: {}", "你已下线，按 Ctrl-R 重新登录：{}";
    no_session: "signed out (Ctrl-R)", "已下线（Ctrl-R）";
    not_signed_in: "not signed in (Ctrl-R signs in)", "还没有登录（按 Ctrl-R 登录）";
    restored: "connected again", "已重新连接";
    heard: "the server answers again", "服务器恢复应答";
    key_title: "THE SERVER'S KEY HAS CHANGED", "服务器的密钥变了";
    key_text: "{} shows another key than the one that was kept, and no answer with the right one has come. Either its operator has made a new one, or somebody else answers in its place and wants to read along. Nothing was said to it.", "{} 出示的密钥与保存的不同，也没有收到用正确密钥的应答。要么管理员换了密钥，要么有人冒充服务器、想偷看消息。还没有向它发送任何内容。";
    key_kept: "kept:  {}", "保存的：{}";
    key_shown: "shown: {}", "出示的：{}";
    key_question: "Ask the operator. Only if the shown key is right, type  trust  and press Enter; Esc keeps the old one.", "请询问管理员。只有确认出示的密钥正确，才输入 trust 并回车；Esc 保留原来的密钥。";
    key_learnt: "the key of the server, kept from now on: {}", "服务器密钥，已保存：{}";
    key_refused: "the server's key has changed; nothing is sent (Ctrl-R asks again)", "服务器密钥已变，停止发送（按 Ctrl-R 再次询问）";
    menu: "Menu", "菜单";
    m_add: "Add a friend", "添加好友";
    m_open: "Talk", "聊天";
    m_chat: "Talk to a number", "与某号码聊天";
    m_delete: "Delete this friend", "删除该好友";
    m_profile_of: "View profile", "查看资料";
    m_move: "Move this friend to a group", "移动该好友到分组";
    m_block: "Block this person", "屏蔽该用户";
    m_unblock: "Unblock this person", "取消屏蔽";
    m_send_file: "Send a file", "发送文件";
    m_files: "Files", "文件";
    m_group_add: "Add a group", "新建分组";
    m_group_rename: "Rename a group", "重命名分组";
    m_group_delete: "Delete a group", "删除分组";
    m_broadcast: "Message to a group", "群发消息";
    m_online: "Who is online", "谁在线";
    m_find: "Search users", "查找用户";
    m_requests: "Requests", "验证请求";
    m_status: "Change status", "更改状态";
    m_my_profile: "Edit my profile", "修改资料";
    m_privacy: "Privacy: who may add me, write to me, see my details", "隐私：谁可以加我、给我发消息、看联系资料";
    m_password: "Change password", "修改密码";
    m_history: "Search the history", "搜索聊天记录";
    m_export: "Export this conversation", "导出聊天记录";
    as_text: "As text", "文本";
    as_json: "As JSON, one object a line", "JSON，每行一个对象";
    m_notices: "Notices", "通知";
    m_help: "Help", "帮助";
    m_sign_out: "Sign out", "退出登录";
    m_quit: "Quit", "退出程序";
    choose_group: "Which group?", "哪个分组？";
    all_friends: "All friends", "全部好友";
    reason: "Reason", "理由";
    reason_hint: "what they will read", "对方会看到";
    needs_ask: "{} wants to be asked first.", "{} 需要身份验证。";
    needs_ask_offline: "{} wants to be asked first, and is offline: the answer may take a while.", "{} 需要身份验证，现在不在线，答复可能较晚。";
    nobody_may: "{} lets nobody add them.", "{} 不允许任何人添加。";
    added: "{} is your friend.", "{} 已成为你的好友。";
    asked: "{} has been asked.", "已向 {} 发送请求。";
    deleted: "{} is no longer in your list.", "{} 已不在你的列表中。";
    added_by: "{} has added you. F2, Requests: add them, too.", "{} 添加了你。可在 F2“验证请求”中加对方。";
    wants_you: "{} asks to add you: {}", "{} 请求加你为好友：{}";
    agreed: "{} agreed to be added.", "{} 同意了你的请求。";
    disagreed: "{} does not want to be added.", "{} 拒绝了你的请求。";
    accept: "Accept", "同意";
    refuse: "Refuse", "拒绝";
    add_back: "Add {}", "添加 {}";
    accepted: "you let {} add you", "你同意了 {} 的请求";
    you_refused: "you refused {}", "你拒绝了 {} 的请求";
    no_requests: "No requests are open.", "没有待处理的请求。";
    new_friend: "{} is in your list now.", "{} 已加入你的好友列表。";
    is_now: "{} is {}", "{} {}";
    name: "Name", "名称";
    text: "Text", "内容";
    group_done: "The groups are changed.", "分组已更改。";
    moved: "{} is moved.", "{} 已移动。";
    blocked: "Nothing is taken from {} any more.", "已屏蔽 {}。";
    unblocked: "Everything is taken from {} again.", "已取消屏蔽 {}。";
    condition: "Condition", "条件";
    find_examples: "\
Like:
  nickname LIKE '小%'
  city = '深圳' AND age < 30
  number > 10000 AND number <= 10010 OR 昵称 = '老王'
Every field of a profile can be asked for, in English or Chinese.", "\
例如：
  昵称 LIKE '小%'
  市 = '深圳' AND 年龄 < 30
  服务号 > 10000 AND 服务号 <= 10010 OR nickname = '老王'
资料中的每一项都可以查找，名称用中文或英文。";
    found: "{} found", "找到 {} 人";
    nobody: "nobody", "没有人";
    more: "more…", "更多…";
    profile_saved: "Your profile is changed.", "资料已修改。";
    password_saved: "Your password is changed. All your other sessions have ended.", "密码已修改，你的其他登录都已失效。";
    file_path: "File", "文件";
    file_path_hint: "its path; ~ is your home", "文件路径，~ 表示主目录";
    offers_file: "{} offers a file: {} ({})", "{} 发来文件：{}（{}）";
    take: "Take it", "接收";
    offered: "{} is offered; waiting for an answer", "已发出文件请求：{}";
    file_done: "{}: done, {}, SHA-256 {}", "{}：完成，{}，SHA-256 {}";
    file_failed: "{}: {}", "{}：{}";
    file_broken: "{}: the connection broke; it goes on by itself", "{}：连接中断，恢复后自动继续";
    file_refused: "{} does not take the file", "{} 拒绝接收文件";
    no_files: "No files are on their way.", "没有正在传输的文件。";
    find_history: "Search the history", "搜索聊天记录";
    exported: "written to {}", "已写入 {}";
    notices: "Notices", "通知";
    no_notices: "Nothing happened yet.", "还没有通知。";
    server_says: "server: {}", "服务器：{}";
    history_well: "the history can be written again", "聊天记录恢复可写";
    sure_delete: "Delete {} from your list?", "确定从列表中删除 {}？";
    sure_block: "Take nothing more from {}?", "确定屏蔽 {}？";
    quit_unsent: "{} messages have no receipt yet; they are kept and sent the next time", "{} 条消息还没有回执，已保存，下次登录时发送";
    too_small: "The window is too small", "窗口太小";
    open_first: "Open a conversation first (Tab).", "请先打开一个会话（Tab）。";
    who_may_add: "Who may add me", "谁可以加我";
    who_may_write: "Who may write to me", "谁可以给我发消息";
    who_sees: "Who sees my details", "谁能看联系资料";
    who_may_first: "first choose under Privacy (F2) who may add you: the server tells nobody", "请先在 F2“隐私”中选择谁可以加你（服务器不会告知）";
    anyone: "anyone", "任何人";
    ask_first: "whoever asks first", "需要验证";
    nobody_may_add: "nobody", "不允许";
    everybody: "everybody", "任何人";
    listed: "only people in my list", "只有我列表中的人";
    nobody_else: "nobody but me", "只有我自己";
    help: "\
Keys
  F1              this page
  F2              menu: everything that can be done
  F3              search the history
  F4              notices
  Tab             between the friend list and the input line
  ↑ ↓             choose in the list; bring back what was written
  Enter           open, or send
  Alt-Enter       a new line in the message (also Ctrl-J)
  PgUp PgDn       scroll; Ctrl-Home and Ctrl-End: first and last message
  Alt-↑ Alt-↓     previous and next conversation
  Ctrl-N          next conversation with something unread
  Ctrl-R          sign in again
  Ctrl-Q          quit (also Ctrl-C)
  Esc             back
  Mouse           click somebody or a hint below; the wheel scrolls;
                  --no-mouse leaves it to the terminal

Marks
  …               waits to be sent
  ✓               stored by the server: a crash loses nothing
  ✓✓              delivered: the other one's program has it
  ✗               refused, with the reason
  ●  ◐  ○         online, do not disturb, offline (or hidden)

Commands can be written, too, like /add 10001; /help lists them.
A line that begins with // is said, with one /.

Everything between you and the server is encrypted;
its operator could read what it relays.", "\
按键
  F1              本页
  F2              菜单：全部功能
  F3              搜索聊天记录
  F4              通知
  Tab             在好友列表与输入行之间切换
  ↑ ↓             列表中选择；输入行中翻看以前输入的内容
  回车            打开或发送
  Alt-回车        消息中换行（也可用 Ctrl-J）
  PgUp PgDn       滚动；Ctrl-Home、Ctrl-End：最早、最新消息
  Alt-↑ Alt-↓     上一个、下一个会话
  Ctrl-N          下一个有未读消息的会话
  Ctrl-R          重新登录
  Ctrl-Q          退出（也可用 Ctrl-C）
  Esc             返回
  鼠标            点击好友或下面的提示，滚轮滚动；
                  --no-mouse 把鼠标留给终端

标记
  …               等待发送
  ✓               服务器已存储，崩溃也不会丢失
  ✓✓              已送达对方的程序
  ✗               被拒绝，附原因
  ●  ◐  ○         在线、请勿打扰、离线（或隐身）

也可以直接输入命令，例如 /add 10001、/status busy；/help 列出全部。
以 // 开头的行按普通消息发送（去掉一个 /）。

你与服务器之间的内容都已加密；服务器管理员能看到它转发的内容。";
    commands: "\
/say NUMBER TEXT          say something to one user
/to NUMBER                open the conversation with a user
/all GROUP TEXT           say something to a group; 0 is all groups
/list                     groups and friends with their numbers
/add NUMBER               add a friend
/ask NUMBER REASON        ask someone who wants to be asked before
/accept NUMBER            let someone who asked add you
/refuse NUMBER            do not
/delete NUMBER            delete a friend
/group add NAME           add a group
/group rename GROUP NAME  rename one
/group delete GROUP       delete one
/move NUMBER GROUP        move a friend to a group
/online [START]           who is online, by number, beyond START
/find CONDITION           search users, like: city = '深圳' AND age < 30
/view NUMBER              someone's profile
/profile                  your own, and change it
/set FIELD VALUE          change one field, like: /set city 深圳
/set reach WHO            who may write to you: everybody or friends
/set details WHO          who sees your details: WHO may be nobody, too
/set password             change the password
/status STATUS            online, hidden, busy or offline
/send NUMBER FILE         offer a file
/take NUMBER [OFFER]      take a file: of several the first, or this one
/reject NUMBER [OFFER]    do not take it
/block NUMBER             take nothing more from someone
/unblock NUMBER           take it again
/sign out                 sign out and stay here
/quit                     end", "\
/say 号码 内容            给一位用户发消息
/to 号码                  打开与某人的会话
/all 分组 内容            给一个分组群发消息；0 表示全部分组
/list                     分组和好友，附编号
/add 号码                 添加好友
/ask 号码 理由            向需要验证的人发送请求
/accept 号码              同意对方加你
/refuse 号码              拒绝
/delete 号码              删除好友
/group add 名称           新建分组
/group rename 分组 名称   重命名分组
/group delete 分组        删除分组
/move 号码 分组           移动好友到分组
/online [起始号码]        谁在线，按号码排列
/find 条件                查找用户，例如：市 = '深圳' AND 年龄 < 30
/view 号码                查看某人的资料
/profile                  查看、修改自己的资料
/set 项目 值              修改一项，例如：/set city 深圳
/set reach 谁             谁可以给你发消息：everybody 或 friends（好友）
/set details 谁           谁能看联系资料：everybody、friends、nobody
/set password             修改密码
/status 状态              online（在线）、hidden（隐身）、busy、offline
/send 号码 文件           发送文件
/take 号码 [编号]         接收对方发来的文件（有多个时为第一个）
/reject 号码 [编号]       不接收
/block 号码               屏蔽某人
/unblock 号码             取消屏蔽
/sign out                 退出登录，程序继续
/quit                     退出程序";
}

/// The words of a language.
pub fn words(language: Language) -> &'static Words {
    match language {
        Language::En => &EN,
        Language::Zh => &ZH,
    }
}

/// The language of the environment: the first of these variables that is set decides.
pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Language {
    let set =
        ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| variable(name).filter(|text| !text.is_empty()));
    if set.is_some_and(|text| text.starts_with("zh")) { Language::Zh } else { Language::En }
}

/// Fills in the places `{}`, one after the other.
pub fn fill(template: &str, values: &[&str]) -> String {
    let mut values = values.iter();
    let mut parts = template.split("{}");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(values.next().copied().unwrap_or_default());
        text.push_str(part);
    }
    text
}

impl Words {
    /// A status.
    pub fn status(&self, status: Status) -> &'static str {
        match status {
            Status::Online => self.online,
            Status::Hidden => self.hidden,
            Status::Busy => self.busy,
            Status::Offline => self.offline,
        }
    }

    /// Whether it is the Chinese table.
    pub fn is_chinese(&self) -> bool {
        std::ptr::eq(self, &ZH)
    }

    /// The name of a profile's field.
    pub fn field<'a>(&'a self, name: &'a str) -> &'a str {
        match name {
            fields::AUTHORIZATION => return self.who_may_add,
            fields::REACH => return self.who_may_write,
            fields::DETAILS => return self.who_sees,
            _ => {}
        }
        if !self.is_chinese() {
            return name;
        }
        match name {
            "number" => "服务号",
            "nickname" => "昵称",
            "name" => "真实姓名",
            "sex" => "性别",
            "age" => "年龄",
            "country" => "国家",
            "province" => "省",
            "city" => "市",
            "address" => "地址",
            "postcode" => "邮编",
            "education" => "学历",
            "school" => "毕业院校",
            "occupation" => "职业",
            "telephone" => "电话",
            "pager" => "寻呼",
            "email" => "电邮",
            "hobby" => "爱好",
            "introduction" => "说明",
            "portrait" => "头像",
            other => other,
        }
    }

    /// One of the few words that a field can be.
    pub fn choice(&self, field: &str, word: &str) -> &'static str {
        match (field, word) {
            (fields::AUTHORIZATION, "anyone") => self.anyone,
            (fields::AUTHORIZATION, "ask") => self.ask_first,
            (fields::AUTHORIZATION, "nobody") => self.nobody_may_add,
            (_, "everybody") => self.everybody,
            (_, "friends") => self.listed,
            (_, "nobody") => self.nobody_else,
            _ => "",
        }
    }

    /// A notice code (protocol.md 3.2).
    pub fn reason(&self, code: u8) -> &'static str {
        if !self.is_chinese() {
            return reason(code);
        }
        match code {
            1 => "格式错误",
            2 => "未登录",
            3 => "号码或密码错误",
            4 => "没有这个用户",
            5 => "对方不接收",
            6 => "太快了",
            7 => "太大了",
            8 => "不允许",
            9 => "服务器忙",
            10 => "存储失败",
            11 => "查询有误",
            12 => "没有这个好友或分组",
            13 => "没有这个传输",
            14 => "未知的消息类型",
            15 => "没有这个程序",
            16 => "对方信箱放不下你更多的消息",
            17 => "对方的密钥已变",
            18 => "注册未开放",
            19 => "已被封禁",
            20 => "配额已用完",
            _ => "没有说明原因",
        }
    }

    /// What the server says about something that it has not done, in the language of the screen as far as that is known.
    pub fn server_said(&self, code: u8, text: &str) -> String {
        let text = crate::show::clean(text);
        match text.as_str() {
            "" => self.reason(code).to_owned(),
            text if !self.is_chinese() => text.to_owned(),
            text => match self.said(text) {
                said if said != text => said,
                // The server's own words say which part of a search it does not take.
                said => format!("{}（{said}）", self.reason(code)),
            },
        }
    }

    /// An error of the library.
    pub fn error(&self, engine: &Engine, error: &Error) -> String {
        let place = engine.line.place();
        match error {
            Error::NotSignedIn => self.not_signed_in.into(),
            error if !self.is_chinese() => engine.words(error),
            Error::Refused { code, text } => self.server_said(*code, text),
            Error::Unknown => "连接中断，不知道是否已完成".into(),
            Error::Timeout => format!("{place} 没有应答，服务器在运行吗？"),
            Error::KeyChanged { .. } => self.key_title.into(),
            Error::Closed => "连接已关闭".into(),
            Error::Io(error) => format!("无法连接 {place}：{error}"),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_the_language() {
        let language = |all: &str, lang: &str| {
            of_environment(|name| match name {
                "LC_ALL" => Some(all.to_owned()),
                "LANG" => Some(lang.to_owned()),
                _ => None,
            })
        };
        assert_eq!(language("", "zh_CN.UTF-8"), Language::Zh);
        assert_eq!(language("C", "zh_CN.UTF-8"), Language::En);
        assert_eq!(language("", ""), Language::En);
    }

    #[test]
    fn places_are_filled_in_order() {
        assert_eq!(fill("{} is {}", &["a", "b"]), "a is b");
        assert_eq!(fill(ZH.wants_you, &["小红", "同学"]), "小红 请求加你为好友：同学");
    }
}

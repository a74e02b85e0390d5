//! Signing up, the password, bans, and what others may do: what is said on the full screen, by lines and by commands, and
//! the exit statuses.

mod real;
mod server;

use real::{OICQ, Server, Terminal, script};
use server::{BANNED, TestServer, WAITS};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs a command with this password in the environment.
fn run(profile: &Path, server: &TestServer, arguments: &[&str], password: &str) -> Output {
    let mut command = Command::new(OICQ);
    command.args(["--server", &server.address.to_string(), "--profile"]).arg(profile).args(arguments);
    command.env("OICQ_PASSWORD", password).env_remove("OICQ_NEW_PASSWORD").stdin(Stdio::null()).output().unwrap()
}

/// The status and what was said, which is one line where something is wrong.
#[track_caller]
fn said(output: &Output) -> (Option<i32>, String) {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(error.lines().count() <= 1, "one line: {error}");
    assert_eq!(output.status.success(), error.is_empty(), "{error}");
    (output.status.code(), format!("{out}{error}"))
}

#[test]
fn a_script_signs_up_and_learns_why_not() {
    let server = TestServer::start();
    for (nickname, more, status, words) in [
        ("小明", &[][..], 0, "your number is 10000: keep it, it is how you sign in\n"),
        ("invited", &["--invite", "KRDT-93QM"], 0, "your number is 10000"),
        ("private", &["--reach", "friends", "--details", "nobody"], 0, "your number is 10000"),
        ("小明", &["--json"], 0, "{\"number\":10000,\"type\":\"registered\"}\n"),
        ("closed", &[], 8, "oicq: nobody was signed up: registration is closed\n"),
        ("closed", &["--invite", "KRDT-93QM"], 8, "registration is closed"),
        ("invited", &[], 9, "oicq: nobody was signed up: an invite code is needed\n"),
        ("invited", &["--invite", "x"], 9, "oicq: nobody was signed up: this invite code is not good\n"),
        ("waits", &[], 10, "10005 was not signed in: this account waits for the operator's approval\n"),
        ("", &[], 2, "nickname must have at least one visible character"),
        ("小明", &["--reach", "x"], 2, "[possible values: everybody, friends]"),
    ] {
        let profile = tempfile::tempdir().unwrap();
        let arguments = [&["sign-up", "--nickname", nickname], more].concat();
        let (code, text) = said(&run(profile.path(), &server, &arguments, "right!"));
        assert_eq!(code, Some(status), "{nickname} {more:?}: {text}");
        assert!(text.contains(words), "{nickname} {more:?}: {text}");
    }
    let profile = tempfile::tempdir().unwrap();
    let (code, text) = said(&run(profile.path(), &server, &["sign-up", "--nickname", "小明"], "short"));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("password is 5 bytes long; at least 6 are needed"), "{text}");
}

#[test]
fn who_has_signed_up_is_known_to_later_commands() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let sign_up = run(profile.path(), &server, &["sign-up", "--nickname", "小明"], "right!");
    assert_eq!(said(&sign_up).0, Some(0));
    // By the token that was kept: this password is none.
    let mut friends = Command::new(OICQ);
    friends.arg("--profile").arg(profile.path()).arg("friends").env_remove("OICQ_PASSWORD").stdin(Stdio::null());
    assert!(said(&friends.output().unwrap()).1.contains("韩梅梅"));

    let waits = tempfile::tempdir().unwrap();
    assert_eq!(said(&run(waits.path(), &server, &["sign-up", "--nickname", "waits"], "right!")).0, Some(10));
    let (code, text) = said(&run(waits.path(), &server, &["friends"], "right!"));
    assert_eq!(code, Some(10), "whose it is is known: {text}");
    assert!(text.contains(&format!("{WAITS} was not signed in: ")), "{text}");
}

#[test]
fn a_ban_has_its_own_status_and_the_operators_words() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let number = BANNED.to_string();
    for command in [&["friends"][..], &["listen", "--json"], &["send", "10001", "hi"], &["password"]] {
        let new = profile.path().join("new");
        std::fs::write(&new, "something new\n").unwrap();
        let mut arguments = [&["--number", &number], command].concat();
        if command == ["password"] {
            arguments.extend(["--new-password-file", new.to_str().unwrap()]);
        }
        let (code, text) = said(&run(profile.path(), &server, &arguments, "right!"));
        assert_eq!(code, Some(11), "{command:?}: {text}");
        assert!(text.ends_with("10006 was not signed in: banned until 2026-12-05 10:00 UTC: spam\n"), "{text}");
    }
}

#[test]
fn the_password_is_changed_from_files_and_never_on_the_command_line() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let (old, new) = (profile.path().join("old"), profile.path().join("new"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    std::fs::write(&new, "something new\n").unwrap();
    let (old, new) = (path(&old), path(&new));
    let arguments = ["--number", "10000", "password", "--password-file", &old, "--new-password-file", &new];
    std::fs::write(&old, "right!\n").unwrap();
    // Who may add somebody goes with every change, and the server tells it to nobody.
    let (code, text) = said(&run(profile.path(), &server, &arguments, ""));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("oicq: first set authorization"), "{text}");
    let set = run(profile.path(), &server, &["--number", "10000", "profile", "set", "--authorization", "ask"], "right");
    assert_eq!(said(&set), (Some(0), "set: done\n".into()));
    assert_eq!(said(&run(profile.path(), &server, &arguments, "")), (Some(0), "password: done\n".into()));
    // This one signs in here, and is not the one that is asked for.
    std::fs::write(&old, "right\n").unwrap();
    let (code, text) = said(&run(profile.path(), &server, &arguments, ""));
    assert_eq!((code, text.as_str()), (Some(6), "oicq: the present password is another one; nothing was changed\n"));
    std::fs::write(&new, "short\n").unwrap();
    let (code, text) = said(&run(profile.path(), &server, &arguments, ""));
    assert_eq!((code, text.as_str()), (Some(2), "oicq: the password given has 5 bytes; 6 to 128 are right\n"));
    let (code, text) = said(&run(profile.path(), &server, &["--number", "10000", "password"], "right!"));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there is nobody to ask: New password"), "{text}");
}

#[test]
fn what_others_may_do_is_set_and_shown() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let run = |arguments: &[&str]| {
        said(&run(profile.path(), &server, &[&["--number", "10000"], arguments].concat(), "right"))
    };
    let (code, text) = run(&["profile"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("reach         everybody") && text.contains("details       friends"), "{text}");
    assert!(!run(&["profile", "10001"]).1.contains("reach"), "that is nobody else's business");
    let set =
        ["profile", "set", "--authorization", "nobody", "--reach", "friends", "--details=nobody", "nickname=小明"];
    assert_eq!(run(&set), (Some(0), "set: done\n".into()));
    let (code, text) = run(&["profile", "set"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("nothing is to be changed; give --reach"), "{text}");
    let (code, text) = run(&["profile", "set", "shoe=42"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there is no field 'shoe'"), "{text}");
}

#[test]
fn the_same_in_plain_lines() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let lines = |script: &str| {
        let input = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(input.path(), script).unwrap();
        let mut command = Command::new(OICQ);
        command.args(["--server", &server.address.to_string(), "--profile"]).arg(profile.path());
        command.env_remove("OICQ_PASSWORD").stdin(std::fs::File::open(input.path()).unwrap());
        let output = command.output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let said = lines("sign up\ninvited\nright!\nsign up invite x\ninvited\nright!\nsign up\nclosed\nright!\n");
    for words in [
        "! an invite code is needed; the form is: sign up [full] invite CODE\n",
        "! this invite code is not good; the form is: sign up [full] invite CODE\n",
        "! registration is closed\n",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = lines(
        "sign up invite KRDT-93QM\ninvited\nright!\nset reach friends\nset details nobody\nset reach x\n\
         set password\nwrong one\nsomething new\nset password\nright!\nsomething new\nwait 1\n",
    );
    for words in [
        "your number is 10000: keep it",
        "your reach is changed\n",
        "your details is changed\n",
        "! 'x' is no reach; it is one of everybody, friends: ",
        "server: 韩梅梅 Some(1) Some(1) 0\n",
        "server: 韩梅梅 Some(0) Some(2) 0\n",
        "! the present password is another one; nothing was changed\n",
        "your password is changed: all other sessions and tokens of yours have ended\n",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = lines(&format!("sign in {WAITS}\nright!\nsign in {BANNED}\nright!\n"));
    assert!(said.contains("! 10005 was not signed in: this account waits for the operator's approval\n"), "{said}");
    assert!(said.contains("! 10006 was not signed in: banned until 2026-12-05 10:00 UTC: spam\n"), "{said}");
}

const ENTER: &str = "\r";
const SIZE: (u16, u16) = (80, 24);

/// Answers the questions of the first start, up to the password.
fn begin(home: &Path, server: &Server, language: &str) -> Terminal {
    let mut screen = Terminal::start(home, SIZE, language, &[]);
    screen.shows("oicq://").keys("\x15").keys(&server.address).keys(ENTER).shows("3  ").keys("3");
    screen.shows("(1/3)").keys("小明").keys(ENTER).shows("(2/3)").keys("secret").keys(ENTER);
    screen.shows("(3/3)").keys("secret").keys(ENTER);
    screen
}

#[test]
fn on_the_screen_a_code_lets_in_and_the_operator_puts_out() {
    for (language, needed, wrong, number, banned) in [
        ("en_GB.UTF-8", "an invite code is needed", "this invite code is not good", "Your number is", " Banned "),
        ("zh_CN.UTF-8", "注册需要邀请码", "邀请码无效", "你的号码是", " 已被封禁 "),
    ] {
        let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let server = Server::with(data.path(), &["--register", "invite"]);
        let mut screen = begin(home.path(), &server, language);
        screen.shows(needed).shows("(4/4)").keys("WRONG-CODE").keys(ENTER).shows(wrong);
        let made = server.operate(&["invite", "add"]);
        let code = made.split_whitespace().last().unwrap();
        screen.keys("\x15").keys(code).keys(ENTER).shows(number).shows("●").keys("\x1b").hides(number);
        server.operate(&["ban", "account", "10000", "--for", "7d", "--reason", "spam"]);
        screen.shows(banned).shows("spam").keys("\x1b").hides(banned).keys("\x12").shows(banned);
        screen.quit();
        assert_eq!(script(home.path(), &["friends", "--json"], "").status.code(), Some(11));
    }
}

#[test]
fn on_the_screen_whoever_waits_for_approval_is_let_in_by_it() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::with(data.path(), &["--register", "approve"]);
    let mut screen = begin(home.path(), &server, "en_GB.UTF-8");
    screen.shows(" Not let in yet ").shows("10000 is yours").keys("\x1b").shows("Your number is").keys("\x1b");
    screen.hides("Your number is").shows("signed out (Ctrl-R)");
    server.operate(&["account", "approve", "10000"]);
    screen.keys("\x12").shows("Password").keys("secret").keys(ENTER).shows("● online").quit();
}

#[test]
fn on_the_screen_nobody_signs_up_where_it_is_closed() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::with(data.path(), &["--register", "closed"]);
    let mut screen = begin(home.path(), &server, "zh_CN.UTF-8");
    screen.shows("暂停注册").shows("注册已关闭").keys("\x1b").shows("1  登录").quit();
}

#[test]
fn on_the_screen_privacy_and_password_are_changed() {
    let (data, home, other) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    for (home, name) in [(home.path(), "小明"), (other.path(), "小红")] {
        let output = script(home, &["sign-up", "--nickname", name, "--server", &server.address], "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut screen = Terminal::start(home.path(), SIZE, "en_GB.UTF-8", &[]);
    screen.shows("● online").keys("\x1bOQ").shows("Add a friend").keys(&"\x1b[B".repeat(12)).keys(ENTER);
    screen.shows("Who may write to me  everybody").keys("\x1b[B").keys(ENTER).shows("only people in my list");
    screen.keys("\x1b[B").keys(ENTER).shows("Who may write to me  only people in my list").keys("\x1b");
    screen.hides("Who may write to me");
    let said = script(other.path(), &["send", "10000", "hi"], "");
    assert_eq!(said.status.code(), Some(5), "{}", String::from_utf8_lossy(&said.stderr));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("refused (not accepted by the other side)"), "{said}");

    screen.keys("\x1bOQ").shows("Add a friend").keys(&"\x1b[B".repeat(13)).keys(ENTER).shows("Present password (1/3)");
    screen.keys("not this").keys(ENTER).shows("(2/3)").keys("something new").keys(ENTER);
    screen.shows("(3/3)").keys("something new").keys(ENTER).shows("! this is not your present password");
    screen.keys("secret").keys(ENTER).shows("(2/3)").keys("\x15something new").keys(ENTER);
    screen.shows("(3/3)").keys("\x15something new").keys(ENTER).shows("Your password is changed.").quit();
    let signs_in = |password: &str| {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut command = Command::new(OICQ);
        command
            .args(["--server", &server.address, "--number", "10000", "--profile"])
            .arg(elsewhere.path())
            .arg("friends");
        command.env("OICQ_PASSWORD", password).stdin(Stdio::null()).output().unwrap().status.code()
    };
    assert_eq!((signs_in("secret"), signs_in("something new")), (Some(6), Some(0)));
}

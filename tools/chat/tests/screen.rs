//! The full screen in a real terminal against a real server: what a new user does, and what the weather does to it.

mod real;

use real::{Server, Terminal, script, until};
use std::path::Path;
use std::time::Duration;

const SIZE: (u16, u16) = (80, 24);
const ENTER: &str = "\r";
const F2: &str = "\x1bOQ";
const F3: &str = "\x1bOR";
const F4: &str = "\x1bOS";

/// Signs up at the questions of the first start.
fn sign_up(home: &Path, server: &Server, nickname: &str, size: (u16, u16)) -> Terminal {
    let mut screen = Terminal::start(home, size, "en_GB.UTF-8", &[]);
    screen.shows("Welcome to OICQ").shows("oicq://HOST:PORT");
    screen.keys("\x15").keys(&server.address).keys(ENTER).shows("3  Sign up for a number");
    screen.keys("3").shows("how others see you").keys(nickname).keys(ENTER);
    screen.shows("Password (2/3)").keys("secret").keys(ENTER);
    screen.shows("The same again (3/3)").keys("secret").keys(ENTER);
    screen.shows("Keep it: it is how you sign in.").shows("● online").keys("\x1b").hides("Keep it");
    screen
}

/// Somebody who signed up by lines, for the other side.
fn somebody(home: &Path, server: &Server, nickname: &str, more: &str) {
    let output = script(home, &["--server", &server.address], &format!("sign up\n{nickname}\n{more}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn from_the_first_start_to_the_first_message() {
    let (data, ming, hong) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(data.path());
    let mut a = sign_up(ming.path(), &server, "小明", SIZE);
    let mut b = sign_up(hong.path(), &server, "小红", (200, 50));
    // The list has the keys at first: what is written there is searched.
    b.keys("nobody").shows("search: nobody").keys("\x1b").hides("nobody").keys(F2).shows("Add a friend");
    b.keys(ENTER).shows("their number, like 10001").keys("10000").keys(ENTER).shows("● 小明");
    a.shows("小红 (10001) has added you");
    b.keys(ENTER).shows("小明 (10000) · online").keys("你好！今天天气很好 👍").keys(ENTER).shows("✓✓");
    a.shows("小红")
        .keys(ENTER)
        .shows("小红 你好！今天天气很好 👍")
        .keys("hello, 小红")
        .keys(ENTER)
        .shows("me hello, 小红 ✓✓");
    b.shows("小明 hello, 小红");

    // The server is killed; what is said meanwhile waits, and nobody signs in anew.
    server.kill();
    a.keys("are you there?").keys(ENTER).shows("are you there? …");
    server.restart();
    a.shows("are you there? ✓✓");
    b.shows("小明 are you there?");

    // The window changes.
    a.resize((40, 12));
    a.shows("F1 Help  F2 Menu").shows("are you there? ✓✓");
    a.resize(SIZE);
    a.quit();
    b.keys("good night").keys(ENTER).shows("good night ✓").quit();

    // The next start, in Chinese: nothing is asked, everything is there, once.
    let files = ming.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let mut a = Terminal::start(ming.path(), SIZE, "zh_CN.UTF-8", &["--downloads", files.to_str().unwrap()]);
    a.shows("● 在线").shows("小红             1").keys(ENTER).shows("小红 good night");
    assert_eq!(a.text().matches("are you there?").count(), 1);
    a.keys(F2).shows("导出聊天记录").keys(&"\x1b[B".repeat(5)).keys(ENTER).shows("JSON").keys("\x1b[B").keys(ENTER);
    a.shows("oicq-10000-10001.jsonl");
    let exported = std::fs::read_to_string(ming.path().join("files/oicq-10000-10001.jsonl")).unwrap();
    assert_eq!(exported.matches("\"text\":\"are you there?\"").count(), 1, "{exported}");
    a.keys(F3).shows("搜索聊天记录").keys("天气").shows("← 小红").keys(ENTER).shows("我 hello, 小红 ✓✓");
    a.quit();
}

#[test]
fn no_key_is_lost_while_the_window_changes() {
    let home = tempfile::tempdir().unwrap();
    let mut a = Terminal::start(home.path(), SIZE, "en_GB.UTF-8", &[]);
    a.shows("oicq://HOST:PORT").keys("\x15");
    for round in 1..=40 {
        // So that both arrive at one look. Each is waited for: the next one would bring what was left lying.
        a.resize_at_rest((80 + round % 2, 24), Duration::from_micros(5 * u64::from(round)));
        a.keys("z").shows(&"z".repeat(round.into()));
    }
}

#[test]
fn a_request_is_made_and_accepted() {
    let (data, ming, hong) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    somebody(ming.path(), &server, "小明", "set authorization 1\n");
    let mut a = Terminal::start(ming.path(), SIZE, "en_GB.UTF-8", &[]);
    a.shows("● online");
    let mut b = sign_up(hong.path(), &server, "小红", SIZE);
    b.keys(F2).shows("Add a friend").keys(ENTER).shows("Number").keys("10000").keys(ENTER);
    b.shows("wants to be asked first.").keys("同学").keys(ENTER).shows("has been asked");
    a.shows("小红 (10001) asks to add you: 同学").keys(F2).shows("Requests (1)");
    a.keys("\x1b[B\x1b[B")
        .keys(ENTER)
        .shows("Accept: 小红 (10001): 同学")
        .keys(ENTER)
        .shows("you let 小红 (10001) add you");
    b.shows("● 小明").keys(F4).shows("has been asked");
}

#[test]
fn a_file_survives_the_death_of_the_server() {
    let (data, ming, hong) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(data.path());
    somebody(ming.path(), &server, "小明", "");
    somebody(hong.path(), &server, "小红", "add 10000\n");
    let downloads = ming.path().join("files");
    std::fs::create_dir(&downloads).unwrap();
    let content: Vec<u8> = (0..120_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(hong.path().join("photo.jpg"), &content).unwrap();
    let mut a = Terminal::start(ming.path(), SIZE, "en_GB.UTF-8", &["--downloads", downloads.to_str().unwrap()]);
    a.shows("● online");
    let mut b = Terminal::start(hong.path(), SIZE, "en_GB.UTF-8", &[]);
    b.shows("● 小明").keys(ENTER).shows("小明 (10000) · online");
    b.keys("/send 10000 ~/photo.jpg").keys(ENTER);
    a.shows("Take it").keys(ENTER);
    let part = downloads.join("photo.jpg.10001-120000000.part");
    until("a good part", || part.metadata().is_ok_and(|there| there.len() > 40_000_000));
    server.kill();
    assert!(part.metadata().unwrap().len() < 120_000_000, "it was killed on the way");
    server.restart();
    a.shows("photo.jpg: done");
    b.shows("photo.jpg: done");
    assert!(std::fs::read(downloads.join("photo.jpg")).unwrap() == content);
    assert!(!part.exists());
}

#[test]
fn who_has_taken_a_file_is_not_asked_again() {
    let (data, ming, hong) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(data.path());
    somebody(ming.path(), &server, "小明", "");
    somebody(hong.path(), &server, "小红", "add 10000\n");
    std::fs::write(hong.path().join("photo.jpg"), b"small").unwrap();
    let mut a = Terminal::start(ming.path(), SIZE, "en_GB.UTF-8", &["--downloads", ming.path().to_str().unwrap()]);
    a.shows("● online");
    let mut b = Terminal::start(hong.path(), SIZE, "en_GB.UTF-8", &[]);
    b.shows("● 小明").keys(ENTER).shows("小明 (10000) · online").keys("/send 10000 ~/photo.jpg").keys(ENTER);
    a.shows("Take it");
    b.shows("waiting for an answer");
    // The answer gets no further than the server, which forgets the offer with it.
    server.freeze();
    a.keys(ENTER).hides("Take it");
    until("the file is begun", || ming.path().join("photo.jpg.10001-5.part").exists());
    server.kill();
    server.restart();
    a.shows("photo.jpg: done");
    b.shows("photo.jpg: done");
    assert_eq!(std::fs::read(ming.path().join("photo.jpg")).unwrap(), b"small");
}

#[test]
fn the_server_may_be_away_at_the_start() {
    let (data, ming, hong) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(data.path());
    somebody(ming.path(), &server, "小明", "");
    somebody(hong.path(), &server, "小红", "add 10000\n");
    server.kill();
    let mut b = Terminal::start(hong.path(), SIZE, "en_GB.UTF-8", &[]);
    // The list of the last time is there, and what is said goes out when it can.
    b.shows("○ 小明").keys(ENTER).shows("Nothing was said yet").keys("early bird").keys(ENTER).shows("early bird …");
    server.restart();
    b.shows("● online").shows("early bird ✓").quit();
    let mut a = Terminal::start(ming.path(), SIZE, "en_GB.UTF-8", &[]);
    a.shows("● online").shows("小红").keys(ENTER).shows("小红 early bird");
}

#[test]
fn a_draft_survives_the_end_of_its_window() {
    let (data, ming, hong) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    somebody(ming.path(), &server, "小明", "");
    somebody(hong.path(), &server, "小红", "add 10000\n");
    for (signal, shown) in [("-HUP", "> half"), ("-TERM", "> half half"), ("-TERM", "> half half half")] {
        let mut b = Terminal::start(hong.path(), SIZE, "en_GB.UTF-8", &[]);
        b.shows("● online").shows("小明").keys(ENTER).shows("小明 (10000)").keys("half ").shows(shown);
        b.signal(signal);
    }
}

#[test]
fn a_changed_key_is_asked_about() {
    let (data, other, ming) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(data.path());
    somebody(ming.path(), &server, "小明", "");
    server.kill();
    // The same people, another key.
    std::fs::remove_dir(other.path()).unwrap();
    std::fs::rename(data.path(), other.path()).unwrap();
    std::fs::create_dir(data.path()).unwrap();
    std::fs::write(other.path().join("link.key"), "B".repeat(42) + "A\n").unwrap();
    std::fs::rename(other.path(), data.path()).unwrap();
    server.restart();
    let mut a = Terminal::start(ming.path(), (100, 24), "en_GB.UTF-8", &[]);
    a.shows("THE SERVER'S KEY HAS CHANGED").shows("kept:  ").keys("yes").keys(ENTER).shows("> yes");
    a.keys("\x15trust").keys(ENTER).shows("● online").quit();
    let refused = script(ming.path(), &["friends"], "");
    assert!(refused.status.success(), "{}", String::from_utf8_lossy(&refused.stderr));
}

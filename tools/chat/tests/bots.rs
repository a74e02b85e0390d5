//! Commands for scripts against a real server: exit statuses, JSON, and several programs of one account.

mod real;

use real::{OICQ, Server, script, start_script, until};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A bot around `oicq listen --json`.
struct Bot {
    process: Child,
    commands: ChildStdin,
    lines: Receiver<serde_json::Value>,
}

impl Bot {
    fn start(home: &Path) -> Self {
        let bot = Self::listen(home, &["--downloads", home.to_str().unwrap()]);
        assert_eq!(bot.hears("listening")["number"], 10_000);
        bot
    }

    fn listen(home: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(OICQ)
            .arg("--profile")
            .arg(home)
            .args(["listen", "--json"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let out = process.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).expect("one object a line"));
            }
        });
        let commands = process.stdin.take().unwrap();
        Self { process, commands, lines }
    }

    /// The next line of this type.
    #[track_caller]
    fn hears(&self, kind: &str) -> serde_json::Value {
        let mut passed = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line["type"] == kind {
                return line;
            }
            passed.push(line);
        }
        panic!("no {kind} came, but {passed:?}");
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_bot_listens_and_speaks_while_other_commands_run() {
    let (data, bot, human) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let address = ["--server", server.address.as_str()];
    assert!(script(bot.path(), &address, "sign up\nbot\n").status.success());
    assert!(script(human.path(), &address, "sign up\n小明\nadd 10000\n").status.success());

    // Nobody is there: stored.
    let stored = script(human.path(), &["send", "10000", "-"], "first\nline\n");
    assert_eq!(stored.status.code(), Some(3), "{}", text(&stored.stderr));
    let mut bot_program = Bot::start(bot.path());
    let first = bot_program.hears("message");
    assert_eq!(
        (&first["text"], &first["from"], &first["name"]),
        (&"first\nline".into(), &10_001.into(), &"小明".into())
    );

    // Somebody is: delivered.
    let delivered = script(human.path(), &["send", "10000", "hello", "--json"], "");
    assert_eq!(delivered.status.code(), Some(0), "{}", text(&delivered.stderr));
    let line: serde_json::Value = serde_json::from_slice(&delivered.stdout).unwrap();
    assert_eq!(line["state"], "delivered");
    assert_eq!(bot_program.hears("message")["text"], "hello");

    // The bot answers by its standard input, and another command by the session that it holds.
    writeln!(bot_program.commands, r#"{{"do": "send", "to": 10001, "text": "by pipe", "ref": 7}}"#).unwrap();
    let receipt = bot_program.hears("receipt");
    assert_eq!(receipt["state"], "stored", "{receipt}");
    writeln!(bot_program.commands, "nonsense").unwrap();
    assert!(bot_program.hears("error")["text"].as_str().unwrap().contains("one line with a JSON object"));
    let beside = script(bot.path(), &["send", "10001", "by another program"], "");
    assert_eq!(beside.status.code(), Some(3), "{}", text(&beside.stderr));
    let find = script(bot.path(), &["find", "昵称 = '小明'", "--json"], "");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&find.stdout).unwrap()["number"], 10_001);
    let wrong = script(bot.path(), &["find", "DROP users"], "");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).starts_with("oicq: "), "{}", text(&wrong.stderr));

    // Everything is kept, once.
    let history = text(&script(bot.path(), &["history"], "").stdout);
    let count = |words: &str| history.matches(words).count();
    assert_eq!((count("first / line"), count("hello"), count("by pipe"), count("by another program")), (1, 1, 1, 1));
    let found = text(&script(bot.path(), &["history", "--find", "another", "--json"], "").stdout);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&found).unwrap()["text"], "by another program");
}

#[test]
fn statuses_say_what_happened() {
    let (data, home, empty) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    let code = |home: &Path, arguments: &[&str]| script(home, arguments, "").status.code();
    assert_eq!(code(empty.path(), &["friends"]), Some(6), "no account is known");
    assert!(script(home.path(), &["--server", &server.address], "sign up\n小明\n").status.success());
    assert_eq!(code(home.path(), &["friends", "--json"]), Some(0));
    assert_eq!(code(home.path(), &["send", "10999", "hi"]), Some(5), "no such user");
    assert_eq!(code(home.path(), &["send", "10000", "hi"]), Some(1), "oneself");
    assert_eq!(code(home.path(), &["send", "1", "hi"]), Some(2));
    assert_eq!(code(home.path(), &["dance"]), Some(2));
    let wrong = home.path().join("wrong");
    std::fs::write(&wrong, "not the password\n").unwrap();
    assert_eq!(code(home.path(), &["friends", "--password-file", wrong.to_str().unwrap()]), Some(6));
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&script(home.path(), &["completions", shell], "").stdout).contains("oicq"));
    }
    let manual = text(&script(home.path(), &["man"], "").stdout);
    assert!(manual.contains("EXIT STATUS") && manual.contains("stored, the recipient gets it"), "{manual}");
}

#[test]
fn a_file_goes_from_script_to_script() {
    let (data, a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    for (home, name) in [(a.path(), "a"), (b.path(), "b")] {
        assert!(script(home, &["--server", &server.address], &format!("sign up\n{name}\n")).status.success());
    }
    std::fs::write(a.path().join("a.txt"), "content").unwrap();
    let downloads = b.path().join("files");
    std::fs::create_dir(&downloads).unwrap();
    let bot = Bot::start(a.path());
    let taking = start_script(b.path(), &["file", "take", "--json", "--downloads", downloads.to_str().unwrap()], "");
    // It may not be signed in yet: then the offer is refused, and made again.
    let path = a.path().join("a.txt");
    let offer = || script(a.path(), &["file", "send", "10001", path.to_str().unwrap(), "--json"], "");
    let mut sent = offer();
    until("an answer to the offer", || {
        if !sent.status.success() {
            sent = offer();
        }
        sent.status.success()
    });
    let sent = text(&sent.stdout);
    let sum = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    assert!(sent.contains(sum), "{sent}");
    let taken = taking.output();
    assert!(text(&taken.stdout).contains(sum), "{}", text(&taken.stdout));
    assert_eq!(std::fs::read(downloads.join("a.txt")).unwrap(), b"content");
    drop(bot);
}

#[test]
fn two_files_go_between_the_same_two_at_once() {
    let (data, a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path());
    for (home, name) in [(a.path(), "a"), (b.path(), "b")] {
        assert!(script(home, &["--server", &server.address], &format!("sign up\n{name}\n")).status.success());
    }
    // The same name twice, and large enough to be under way together.
    let contents: Vec<Vec<u8>> = [1_u8, 2].map(|byte| vec![byte; 3_000_000]).into();
    let mut bot = Bot::start(a.path());
    let taking = |offer: u64| format!(r#"{{"do": "take", "number": 10001, "offer": {offer}}}"#);
    let sending: Vec<_> = contents
        .iter()
        .enumerate()
        .map(|(at, content)| {
            let directory = b.path().join(at.to_string());
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("a.bin"), content).unwrap();
            directory.join("a.bin")
        })
        .collect();
    let listener = Bot::listen(b.path(), &[]);
    assert_eq!(listener.hears("listening")["number"], 10_001);
    let senders: Vec<_> = sending
        .iter()
        .map(|path| start_script(b.path(), &["file", "send", "10000", path.to_str().unwrap()], ""))
        .collect();
    let offers: Vec<u64> = (0..2).map(|_| bot.hears("file-offered")["offer"].as_u64().unwrap()).collect();
    assert_ne!(offers[0], offers[1]);
    // The later one first.
    for offer in offers.iter().rev() {
        writeln!(bot.commands, "{}", taking(*offer)).unwrap();
    }
    for sender in senders {
        let output = sender.output();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let mut done = Vec::new();
    while done.len() < 2 {
        let line = bot.hears("file");
        if line["state"] == "done" {
            done.push(std::fs::read(line["path"].as_str().unwrap()).unwrap());
        }
    }
    done.sort();
    assert!(done == contents, "each is whole");
    drop(listener);
}

//! Profiles that earlier versions have written are opened by this one, and nothing in them is lost (tests/fixtures).

mod real;
mod server;

use oicq::client::parse_key;
use real::{OICQ, Server, Terminal, script, until};
use serde_json::Value;
use server::TestServer;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const SIZE: (u16, u16) = (80, 24);

/// Each of them by its name.
const VERSIONS: [&str; 1] = ["v1"];

/// A copy of what a version has written.
struct Copy {
    directory: TempDir,
    /// The private half of its server's key.
    private: [u8; 32],
    token: String,
}

impl Copy {
    fn of(version: &str) -> Self {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version);
        let directory = tempfile::tempdir().unwrap();
        copy(&fixture, directory.path());
        // Git does not keep that it is nobody else's.
        let key = directory.path().join("server/link.key");
        std::fs::set_permissions(key, PermissionsExt::from_mode(0o600)).unwrap();
        let read = |path: &str| std::fs::read_to_string(fixture.join(path)).unwrap().trim().to_owned();
        let private = parse_key(&read("server/link.key")).unwrap();
        let token = read("profile/127.0.0.1_18123/token-10000");
        Self { directory, private, token }
    }

    /// The profile, as it would be if its server had always been at this address.
    fn profile(&self, address: &str) -> PathBuf {
        let profile = self.directory.path().join("profile");
        std::fs::rename(profile.join("127.0.0.1_18123"), profile.join(address.replace(':', "_"))).unwrap();
        std::fs::write(profile.join("last"), format!("oicq://{address}\n10000\n")).unwrap();
        profile
    }

    fn server(&self) -> PathBuf {
        self.directory.path().join("server")
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What each message of the history is: whose, its text, what has become of it.
fn history(profile: &Path) -> Vec<(u64, bool, String, String)> {
    let output = script(profile, &["history", "--json"], "");
    let lines = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (line["with"].as_u64().unwrap(), line["mine"].as_bool().unwrap(), text("text"), text("state"))
    };
    lines.lines().map(line).collect()
}

fn kept(with: u64, mine: bool, text: &str, state: &str) -> (u64, bool, String, String) {
    (with, mine, text.to_owned(), state.to_owned())
}

#[test]
fn what_was_kept_is_there_without_the_server() {
    for version in VERSIONS {
        // Nobody answers here, and nobody else can begin to.
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let copy = Copy::of(version);
        let profile = &copy.profile(&nobody.local_addr().unwrap().to_string());
        assert_eq!(
            history(profile),
            [
                kept(10_001, true, "你好，今天天气很好 👍", "delivered"),
                kept(10_001, false, "hello, 小明", "unread"),
                kept(10_002, true, "are you there?", "stored"),
                kept(10_003, true, "may I?", "refused"),
                kept(10_001, false, "明天见", "unread"),
                kept(10_001, true, "from the outbox 发件箱", "waiting"),
                kept(10_002, true, "to all of the group", "waiting"),
            ],
            "{version}"
        );
        let found = script(profile, &["history", "--find", "今天天气"], "");
        assert!(String::from_utf8_lossy(&found.stdout).contains("小红 (10001): 你好"), "{version}: it is indexed");

        let mut screen = Terminal::start(profile, SIZE, "en_GB.UTF-8", &[]);
        screen.shows("小明 (10000)").shows("○ 小红             2").shows("同学").shows("○ Li Lei").shows("Han Meimei");
        screen.keys("Li").shows("search: Li").keys("\r").shows("are you there? ✓").shows("to all of the group …");
        screen.shows("> half a thou").keys("\x1bOQ").shows("Requests (1)");
    }
}

#[test]
fn the_key_and_the_token_are_good() {
    for version in VERSIONS {
        let copy = Copy::of(version);
        let server = TestServer::with(copy.private, &copy.token);
        let profile = copy.profile(&server.address.to_string());
        // No password is given, and none is asked for.
        let mut oicq = Command::new(OICQ);
        oicq.arg("--profile").arg(&profile).args(["--plain", "--token", "--number", "10000"]);
        let output = oicq.env_remove("OICQ_PASSWORD").stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("signed in as 10000"), "{version}: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("the key of"), "{version}: it is known: {said}");
    }
}

#[test]
fn the_outbox_goes_out_to_the_server_of_then() {
    for version in VERSIONS {
        let copy = Copy::of(version);
        let server = Server::start(&copy.server());
        let profile = copy.profile(&server.address);
        let changed = script(&profile, &["--number", "10000"], "set city 广州\n");
        assert!(changed.status.success(), "who may add him is known: {}", String::from_utf8_lossy(&changed.stderr));
        let friends = String::from_utf8(script(&profile, &["friends"], "").stdout).unwrap();
        assert!(friends.contains("小红") && friends.contains("Li Lei"), "{version}: {friends}");
        let history = history(&profile);
        assert_eq!(history.len(), 7, "{version}: nothing twice");
        assert_eq!(history[5].3, "stored", "{version}");
        assert_ne!(history[6].3, "waiting", "{version}");
        for (number, words) in [("10001", "from the outbox 发件箱"), ("10002", "to all of the group")] {
            let home = tempfile::tempdir().unwrap();
            let hears = || {
                let arguments = ["--server", &server.address, "--number", number];
                String::from_utf8(script(home.path(), &arguments, "list\n").stdout).unwrap().contains(words)
            };
            until(words, hears);
        }
    }
}

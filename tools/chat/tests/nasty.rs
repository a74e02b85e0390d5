//! What others have written is shown and never obeyed: names, texts, reasons and notices full of what a terminal takes for
//! commands, through every face of the program.

mod real;
mod server;

use real::{OICQ, Terminal};
use serde_json::Value;
use server::{NASTY, TestServer};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What must never get to a terminal from here; and a line break only where a line ends.
fn harmful(letter: char) -> bool {
    (letter.is_control() && letter != '\n') || "\u{202e}\u{2066}\u{200b}".contains(letter)
}

/// The program with a password that makes the server nasty.
fn oicq(profile: &Path, server: &TestServer, arguments: &[&str]) -> Command {
    let mut command = Command::new(OICQ);
    command.args(["--server", &server.address.to_string(), "--number", "10000", "--profile"]).arg(profile);
    command.args(arguments).env("OICQ_PASSWORD", "nasty").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs it with these lines; all that it says is harmless.
#[track_caller]
fn lines(profile: &Path, server: &TestServer, arguments: &[&str], script: &str) -> String {
    let input = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(input.path(), script).unwrap();
    let mut command = oicq(profile, server, arguments);
    let said = said(&command.stdin(std::fs::File::open(input.path()).unwrap()).output().unwrap());
    assert!(!said.contains(harmful), "{said:?}");
    said
}

#[test]
fn in_plain_lines() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let script = "list\nview 10002\nfind number > 1\ngroup add x\nwait 1\nstatus busy\n";
    let said = lines(profile.path(), &server, &[], script);
    let evil = said.matches("evil").count();
    assert!(evil >= 14, "each of them is told: {evil} in {said}");
    for words in ["asks to add you: ", "server: ", "[monitor] ", "offers ", "no longer signed in: ", "1 found", "! "] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn in_commands_and_json() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    for json in [&[][..], &["--json"]] {
        let run = |arguments: &[&str]| lines(profile.path(), &server, &[arguments, json].concat(), "");
        assert!(run(&["friends"]).contains("evil"));
        assert!(run(&["profile", "10002"]).contains("introduction"));
        assert!(run(&["find", "number > 1"]).contains("10001"));
        assert!(run(&["history"]).contains("evil"));
        assert!(run(&["history", "--find", "evil"]).contains("evil"));
    }
    // Nothing of it is lost to a program.
    let friends = lines(profile.path(), &server, &["friends", "--json"], "");
    let friend: Value = serde_json::from_str(friends.lines().next().unwrap()).unwrap();
    assert_eq!((&friend["name"], &friend["group_name"]), (&NASTY.into(), &NASTY.into()));

    let mut listening = oicq(profile.path(), &server, &["listen", "--json"]).stdin(Stdio::null()).spawn().unwrap();
    let mut kinds = Vec::new();
    for line in BufReader::new(listening.stdout.take().unwrap()).lines().map_while(Result::ok) {
        assert!(!line.contains(harmful), "{line:?}");
        let object: Value = serde_json::from_str(&line).unwrap();
        kinds.push(object["type"].as_str().unwrap_or_default().to_owned());
        if object["type"] == "system" {
            assert_eq!(object["text"], NASTY);
            break;
        }
    }
    listening.kill().unwrap();
    listening.wait().unwrap();
    for kind in ["friend", "file-offered", "server", "request", "monitored"] {
        assert!(kinds.iter().any(|known| known == kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn on_the_full_screen() {
    let (server, profile) = (TestServer::start(), tempfile::tempdir().unwrap());
    let password = profile.path().join("password");
    std::fs::write(&password, "nasty\n").unwrap();
    let arguments =
        ["--server", &server.address.to_string(), "--number", "10000", "--password-file", password.to_str().unwrap()];
    let mut screen = Terminal::start(profile.path(), (120, 40), "en_GB.UTF-8", &arguments);
    // The file that is offered stands in the middle of it all.
    screen.shows("Take it").keys("\x1b").hides("Take it").shows("evil").keys("\r").shows("evil");
    screen
        .keys("\x1bOS")
        .shows("Notices")
        .shows("[monitor] ")
        .shows("asks to add you")
        .keys("\x1b")
        .hides("[monitor] ");
    screen.keys("\x1bOQ").shows("Requests (1)").shows("evil").keys("\x1b").hides("Requests");
    screen.keys("/find number > 1").keys("\r").shows("1 found").keys("\x1b").hides("1 found");
    screen.keys("/view 10002").keys("\r").shows("introduction").keys("\x1b").hides("introduction");
    screen.keys("/group add x").keys("\r").keys("/status busy").keys("\r").shows("signed out (Ctrl-R)");
    screen.keys("\x1bOS").shows("Signed out").quit();
    let sent = String::from_utf8_lossy(&screen.sent()).into_owned();
    for bad in ["pwned\u{7}", "\u{1b}]0", "\u{9b}", "\u{202e}", "\u{2066}", "\u{200b}", "\u{8}", "\u{7f}"] {
        assert!(!sent.contains(bad), "{bad:?} got to the terminal");
    }
}

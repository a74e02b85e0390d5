//! What happens, as JSON objects, and those as lines for people.

use crate::engine::{Engine, FileState, News};
use crate::notice::{Meaning, meaning};
use crate::show::{self, clean};
use oicq::client::{Event, ReceiptState, reason};
use serde_json::{Value, json};

/// What happens, as an object; nothing for what no script needs.
pub fn line(engine: &Engine, news: &News) -> Option<Value> {
    let name = |number: u32| engine.name(number);
    Some(match news {
        News::Event(event) => match event {
            Event::Message { from, text, id, time } => {
                json!({ "type": "message", "from": from, "name": name(*from), "text": text, "id": id, "time": time })
            }
            Event::Receipt { to, id, state } => {
                let (state, why) = match state {
                    ReceiptState::Sending => return None,
                    ReceiptState::Stored => ("stored", None),
                    ReceiptState::Delivered => ("delivered", None),
                    ReceiptState::Refused { code } => ("refused", Some(reason(*code))),
                };
                json!({ "type": "receipt", "to": to, "id": id, "state": state, "reason": why })
            }
            Event::Words { text } => json!({ "type": "server", "text": text }),
            Event::Notice { about, code, text } => {
                let text = if text.is_empty() { reason(*code) } else { text };
                let mut line = json!({ "type": "server", "about": about, "code": code, "text": text });
                if matches!(meaning(*about, *code), Meaning::SlowDown | Meaning::Later) {
                    line["waiting"] = engine.waiting().into();
                }
                line
            }
            Event::AddedBy { from } => json!({ "type": "added", "from": from, "name": name(*from) }),
            Event::Asked { from, reason } => {
                json!({ "type": "request", "from": from, "name": name(*from), "reason": reason })
            }
            Event::AskAnswered { from, agreed } => json!({ "type": "answer", "from": from, "agreed": agreed }),
            Event::Monitored { from, text } => json!({ "type": "monitored", "from": from, "text": text }),
            Event::System { kind, from, text } => {
                json!({ "type": "system", "kind": kind, "from": from, "text": text })
            }
            Event::FriendStatus { friend, status } => {
                json!({ "type": "status", "number": friend, "name": name(*friend), "status": show::status(*status) })
            }
            Event::NewFriend(friend) => json!({ "type": "friend", "number": friend.number, "name": friend.nickname }),
            Event::FileOffered { from, name, size, offer } => {
                json!({ "type": "file-offered", "from": from, "file": name, "size": size, "offer": offer })
            }
            Event::FileAnswered { from, allow, offer } => {
                json!({ "type": "file-answered", "from": from, "allow": allow, "offer": offer })
            }
            Event::SignInDelayed { .. } => json!({ "type": "connection", "state": "delayed" }),
            Event::SignInAgain { reason } => json!({ "type": "connection", "state": "ended", "reason": reason }),
            Event::Restored { .. } => json!({ "type": "connection", "state": "restored" }),
            Event::Silent => json!({ "type": "connection", "state": "silent" }),
            Event::Heard => json!({ "type": "connection", "state": "heard" }),
            Event::KeyChanged { .. } => json!({ "type": "connection", "state": "key-changed" }),
            Event::FilePiece { .. } | Event::Progress { .. } | Event::ServerKey { .. } | Event::Token { .. } => {
                return None;
            }
        },
        News::File { peer, id, incoming, name, state } => {
            let mut line = json!({
                "type": "file", "with": peer, "offer": id, "incoming": incoming, "file": name,
            });
            match state {
                FileState::Moving(done, size) => {
                    line["state"] = "moving".into();
                    line["done"] = (*done).into();
                    line["size"] = (*size).into();
                }
                FileState::Broken => line["state"] = "broken".into(),
                FileState::Done { path, size, checksum } => {
                    line["state"] = "done".into();
                    line["path"] = path.display().to_string().into();
                    line["size"] = (*size).into();
                    line["sha256"] = checksum.clone().into();
                }
                FileState::Failed(error) => {
                    line["state"] = "failed".into();
                    line["reason"] = error.clone().into();
                }
            }
            line
        }
        News::Trouble(text) => json!({ "type": "trouble", "text": text }),
        News::Well => json!({ "type": "well" }),
    })
}

/// An object as a line for people: what is of use, with nothing in it that a terminal would obey.
pub fn words(line: &Value) -> String {
    let text = |name: &str| match &line[name] {
        Value::String(text) => clean(text),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let who = |number: &str| match text("name") {
        name if name.is_empty() => text(number),
        name => format!("{name} ({})", text(number)),
    };
    match line["type"].as_str().unwrap_or_default() {
        "message" => format!("{}: {}", who("from"), text("text")),
        "receipt" if !line["reason"].is_null() => {
            format!("{} {}: {} ({})", text("to"), text("id"), text("state"), text("reason"))
        }
        "receipt" => format!("{} {}: {}", text("to"), text("id"), text("state")),
        "friend" if !line["status"].is_null() => {
            format!("{:<10} {:<8} {}", text("number"), text("status"), text("name"))
        }
        "person" if line["city"] == "" => format!("{:<10} {}", text("number"), text("name")),
        "person" => format!("{:<10} {}, {}", text("number"), text("name"), text("city")),
        "status" => format!("{} is {}", who("number"), text("status")),
        "registered" => format!("your number is {}: keep it, it is how you sign in", text("number")),
        "done" if !line["outcome"].is_null() => format!("{}: {}", text("do"), text("outcome")),
        "done" => format!("{}: done", text("do")),
        "request" => format!("{} asks to add you: {}", who("from"), text("reason")),
        "added" => format!("{} has added you", who("from")),
        "profile" => {
            let fields = line.as_object().into_iter().flatten().filter(|(name, _)| *name != "type");
            let lines: Vec<String> = fields.map(|(name, _)| format!("{name:<13} {}", text(name))).collect();
            lines.join("\n")
        }
        "file" if line["state"] == "moving" => {
            let (done, size) = (line["done"].as_u64().unwrap_or(0), line["size"].as_u64().unwrap_or(0));
            format!("{}: {} %", text("file"), done * 100 / size.max(1))
        }
        "file" => {
            let rest: Vec<String> =
                ["path", "sha256", "reason"].iter().map(|name| text(name)).filter(|text| !text.is_empty()).collect();
            format!("{}: {} {}", text("file"), text("state"), rest.join(" ")).trim_end().to_owned()
        }
        "server" if !line["waiting"].is_null() => format!("{}: {} wait", text("text"), text("waiting")),
        "error" | "server" | "trouble" => text("text"),
        kind => {
            let fields =
                line.as_object().into_iter().flatten().filter(|(name, value)| *name != "type" && !value.is_null());
            let rest: Vec<String> = fields.map(|(name, _)| format!("{name} {}", text(name))).collect();
            format!("{kind}: {}", rest.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_for_people() {
        let said = json!({ "type": "message", "from": 10_001, "name": "小\x1b红", "text": "你好", "id": 1, "time": 0 });
        assert_eq!(words(&said), "小\u{fffd}红 (10001): 你好");
        let refused = json!({ "type": "receipt", "to": 10_001, "id": 7, "state": "refused", "reason": "mailbox full" });
        assert_eq!(words(&refused), "10001 7: refused (mailbox full)");
        assert_eq!(
            words(&json!({ "type": "connection", "state": "silent", "reason": null })),
            "connection: state silent"
        );
        assert_eq!(words(&json!({ "type": "file", "file": "a", "state": "moving", "done": 1, "size": 4 })), "a: 25 %");
    }
}

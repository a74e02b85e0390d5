//! What the server tells by itself, one line for each thing, as it comes.

use crate::app::App;
use crate::show::{self, clean};
use oicq::client::{Error, Event, Events, ReceiptState, fingerprint, reason};
use std::sync::Arc;

/// Older messages are shown with the time when they were sent.
const OLD_MS: u64 = 60_000;

/// Shows events until there are no more.
pub fn run(app: &Arc<App>, events: Events) {
    for event in events {
        if let Some(text) = tell(app, event) {
            show::news(&text);
        }
    }
}

fn tell(app: &Arc<App>, event: Event) -> Option<String> {
    Some(match event {
        Event::Message { from, text, time, .. } => format!("{}{}: {}", app.person(from), sent(time), clean(&text)),
        Event::Receipt { to, id, state } => receipt(app, to, id, state)?,
        Event::Words { text } => format!("server: {}", clean(&text)),
        Event::AddedBy { from } => format!("{} has added you; `add {from}` adds them", app.person(from)),
        Event::Asked { from, reason } => {
            let person = app.person(from);
            format!("{person} asks to add you: {}; `accept {from}` or `refuse {from}`", clean(&reason))
        }
        Event::AskAnswered { from, agreed: true } => format!("{} agreed to be added", app.person(from)),
        Event::AskAnswered { from, agreed: false } => format!("{} does not want to be added", app.person(from)),
        Event::Monitored { from, text } => format!("[monitor] {}: {}", app.person(from), clean(&text)),
        Event::System { kind, from, text } => format!("system message {kind} from {from}: {}", clean(&text)),
        Event::FriendStatus { friend, status } => {
            app.book().set_status(friend, status);
            format!("{} is {}", app.person(friend), show::status(status))
        }
        Event::NewFriend(friend) => {
            let number = friend.number;
            app.book().add(friend);
            format!("{} is in your list now", app.person(number))
        }
        Event::FileOffered { from, name, size } => {
            app.transfers().offers.insert(from, (name.clone(), size));
            let person = app.person(from);
            format!("{person} offers {} ({size} bytes); `take {from}` or `reject {from}`", clean(&name))
        }
        Event::FileAnswered { from, allow } => {
            let outgoing = app.transfers().offered.remove(&from)?;
            let text = if allow { "takes" } else { "does not take" };
            let told = format!("{} {text} {}", app.person(from), clean(&outgoing.name));
            if allow {
                app.send(from, outgoing);
            }
            told
        }
        Event::FilePiece { from, data } => {
            app.piece(from, &data);
            return None;
        }
        Event::Notice { text, .. } => format!("server: {}", clean(&text)),
        Event::Progress { .. } => return None,
        Event::ServerKey { key } => {
            let fingerprint = fingerprint(&key);
            match app.keep.save_key(&key) {
                Ok(()) => format!("the key of {}, kept from now on: {fingerprint}", app.place),
                Err(error) => format!("the key of {} is {fingerprint}, but it cannot be kept: {error}", app.place),
            }
        }
        Event::KeyChanged { shown } => {
            let pinned = app.client.server_key().unwrap_or_default();
            app.words(&Error::KeyChanged { pinned, shown })
        }
        Event::Token { number, token } => {
            let error = app.keep.save_token(number, &token).err()?;
            format!("the token cannot be kept, the password will be needed again: {error}")
        }
        Event::Restored { groups } => {
            app.book().open(groups);
            "connected again".into()
        }
        Event::SignInAgain { reason } => format!("you are no longer signed in: {}; `sign in` again", clean(&reason)),
        Event::Silent => "the server does not answer; what you say is held until it does".into(),
        Event::Heard => "the server answers again".into(),
    })
}

fn sent(time: u64) -> String {
    let now = chrono::Local::now();
    let then = i64::try_from(time).ok().and_then(chrono::DateTime::from_timestamp_millis);
    match then.filter(|_| time > 0 && time + OLD_MS < now.timestamp_millis() as u64) {
        Some(then) => format!(" ({})", then.with_timezone(&now.timezone()).format("%Y-%m-%d %H:%M")),
        None => String::new(),
    }
}

fn receipt(app: &Arc<App>, to: u32, id: u64, state: ReceiptState) -> Option<String> {
    let start = app.said().start(id).to_owned();
    let (mark, words) = match state {
        ReceiptState::Sending => return None,
        ReceiptState::Stored => ("✓", "stored for".to_owned()),
        ReceiptState::Delivered => ("✓✓", "delivered to".to_owned()),
        ReceiptState::Refused { code } => ("✗", format!("refused ({})", reason(code))),
    };
    Some(format!("{mark} {words} {}: {start}", app.person(to)))
}

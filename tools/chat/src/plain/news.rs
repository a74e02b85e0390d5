//! What the server tells by itself, one line for each thing, as it comes.

use super::person;
use crate::engine::{Engine, FileState, News};
use crate::notice::{Meaning, meaning};
use crate::show::{self, clean};
use oicq::client::{Error, Event, ReceiptState, fingerprint, reason};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Older messages are shown with the time when they were sent.
const OLD_MS: u64 = 60_000;

/// How often a long transfer says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Letters that are shown of a message that a receipt is about.
const LETTERS: usize = 24;

/// What a sign-in is told that the server lets wait.
pub const DELAYED: &str = "wrong passwords were tried: the server makes the sign-in wait, half a minute at most";

/// Shows what happens until nothing more can.
pub fn run(app: &Arc<Engine>, news: &Receiver<News>) {
    let mut told = Instant::now();
    for news in news {
        if let Some(text) = tell(app, news, &mut told) {
            show::news(&text);
        }
    }
}

fn tell(app: &Arc<Engine>, news: News, told: &mut Instant) -> Option<String> {
    match news {
        News::Event(event) => tell_event(app, event),
        News::File { peer, incoming, name, state, .. } => {
            let name = clean(&name);
            Some(match (state, incoming) {
                (FileState::Moving(..), true) => return None,
                (FileState::Moving(arrived, size), false) => {
                    if told.elapsed() < TELL_EVERY {
                        return None;
                    }
                    *told = Instant::now();
                    format!("{name}: {} % have arrived", u64::from(arrived) * 100 / u64::from(size.max(1)))
                }
                (FileState::Broken, _) => {
                    format!("{name}: the connection to {peer} broke; it goes on when {peer} is back")
                }
                (FileState::Done { path, size, checksum }, true) => {
                    format!("received {} ({size} bytes, SHA-256 {checksum})", path.display())
                }
                (FileState::Done { size, checksum, .. }, false) => {
                    format!("{name} has arrived at {peer} ({size} bytes, SHA-256 {checksum})")
                }
                (FileState::Failed(error), true) => format!("{name} from {peer} cannot be received: {error}"),
                (FileState::Failed(error), false) => format!("{name} was not sent to {peer}: {error}"),
            })
        }
        News::Trouble(text) => Some(text),
        News::Well => Some("the history can be written again".into()),
    }
}

fn tell_event(app: &Arc<Engine>, event: Event) -> Option<String> {
    Some(match event {
        Event::Message { from, text, time, .. } => format!("{}{}: {}", person(app, from), sent(time), clean(&text)),
        Event::Receipt { to, id, state } => receipt(app, to, id, state)?,
        Event::Words { text } => format!("server: {}", clean(&text)),
        Event::AddedBy { from } => format!("{} has added you; `add {from}` adds them", person(app, from)),
        Event::Asked { from, reason } => {
            let person = person(app, from);
            format!("{person} asks to add you: {}; `accept {from}` or `refuse {from}`", clean(&reason))
        }
        Event::AskAnswered { from, agreed: true } => format!("{} agreed to be added", person(app, from)),
        Event::AskAnswered { from, agreed: false } => format!("{} does not want to be added", person(app, from)),
        Event::Monitored { from, text } => format!("[monitor] {}: {}", person(app, from), clean(&text)),
        Event::System { kind, from, text } => format!("system message {kind} from {from}: {}", clean(&text)),
        Event::FriendStatus { friend, status } => {
            format!("{} is {}", person(app, friend), show::status(status))
        }
        Event::NewFriend(friend) => format!("{} is in your list now", person(app, friend.number)),
        Event::FileOffered { from, name, size, offer } => {
            let person = person(app, from);
            // Of several, each has its number.
            let several = app.transfers().offers.keys().filter(|(other, _)| *other == from).count() > 1;
            let which = if several { format!("{from} {offer}") } else { from.to_string() };
            format!("{person} offers {} ({size} bytes); `take {which}` or `reject {which}`", clean(&name))
        }
        Event::FileAnswered { from, allow: true, .. } => format!("{} takes the file", person(app, from)),
        Event::FileAnswered { from, allow: false, .. } => format!("{} does not take the file", person(app, from)),
        Event::Notice { about, code, text } => notice(app.waiting(), about, code, &text),
        Event::FilePiece { .. } | Event::Progress { .. } | Event::Token { .. } => return None,
        Event::ServerKey { key } => {
            format!("the key of {}, kept from now on: {}", app.line.place(), fingerprint(&key))
        }
        Event::KeyChanged { shown } => {
            let pinned = app.connected().and_then(|client| client.server_key()).unwrap_or_default();
            app.words(&Error::KeyChanged { pinned, shown })
        }
        Event::SignInDelayed { .. } => DELAYED.into(),
        Event::Restored { .. } => "connected again".into(),
        Event::SignInAgain { reason } => format!("you are no longer signed in: {}; `sign in` again", clean(&reason)),
        Event::Silent => "the server does not answer; what you say is held until it does".into(),
        Event::Heard => "the server answers again".into(),
    })
}

fn notice(waiting: usize, about: u8, code: u8, text: &str) -> String {
    match meaning(about, code) {
        Meaning::SlowDown => format!("the server asks us to slow down: {waiting} wait, and go out by themselves"),
        Meaning::Later => {
            format!("the server cannot take messages now ({}): {waiting} wait, and are sent again", reason(code))
        }
        Meaning::Banned => format!("you are banned: {}", clean(text)),
        Meaning::Words if text.is_empty() => format!("server: {}", reason(code)),
        Meaning::Words => format!("server: {}", clean(text)),
    }
}

fn sent(time: u64) -> String {
    let now = chrono::Local::now();
    let then = i64::try_from(time).ok().and_then(chrono::DateTime::from_timestamp_millis);
    match then.filter(|_| time > 0 && time + OLD_MS < now.timestamp_millis() as u64) {
        Some(then) => format!(" ({})", then.with_timezone(&now.timezone()).format("%Y-%m-%d %H:%M")),
        None => String::new(),
    }
}

fn receipt(app: &Arc<Engine>, to: u32, id: u64, state: ReceiptState) -> Option<String> {
    let start = start(app, to, id);
    let (mark, words) = match state {
        ReceiptState::Sending => return None,
        ReceiptState::Stored => ("✓", "stored for".to_owned()),
        ReceiptState::Delivered => ("✓✓", "delivered to".to_owned()),
        ReceiptState::Refused { code } => ("✗", format!("refused ({})", reason(code))),
    };
    Some(format!("{mark} {words} {}: {start}", person(app, to)))
}

/// How a message begins.
fn start(app: &Arc<Engine>, to: u32, id: u64) -> String {
    let text = app.me().and_then(|me| app.history().text_of(me, to, id));
    let Some(text) = text.map(|text| clean(&text)) else { return "an earlier message".into() };
    let mut start: String = text.chars().take(LETTERS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

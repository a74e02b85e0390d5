//! What the server tells by itself, one line for each thing, as it comes.

use crate::app::App;
use crate::show::{self, clean};
use oicq::client::Event;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

/// Shows events until the connection ends. Ends the program then: nothing more can be done in it.
pub fn run(app: &Arc<App>, events: &Receiver<Event>) {
    for event in events {
        if let Event::Closed { reason } = event {
            if !app.ending.load(Ordering::Relaxed) {
                show::answered();
                eprintln!("\n! the connection has ended: {reason}; start oicq again");
                std::process::exit(1);
            }
            return;
        }
        if let Some(text) = tell(app, event) {
            show::news(&text);
        }
    }
}

fn tell(app: &Arc<App>, event: Event) -> Option<String> {
    Some(match event {
        Event::Message { from, text } => format!("{}: {}", app.person(from), clean(&text)),
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
        Event::SignInAgain => {
            "you are no longer signed in here: signed in elsewhere, or the server has started anew; `sign in` again"
                .into()
        }
        Event::Silent => "the server does not answer; what you say may not arrive".into(),
        Event::Closed { .. } => return None,
    })
}

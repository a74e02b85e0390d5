//! What a script can ask for, as JSON objects: the same whether the program that is asked was started for it, or is open
//! on somebody's screen.

use crate::engine::{Engine, FileState, News, Unchanged};
use crate::files::Key;
use crate::{fields, notice, script::told};
use oicq::client::{AddOutcome, Error, Event, ReceiptState, Recipient, Status, reason};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a message waits for the server's word.
const RECEIPT: Duration = Duration::from_secs(20);
/// How many people are asked for at a time.
const PAGE: u8 = 50;

/// Exit statuses, as `--help` tells them.
pub mod status {
    pub const DONE: u8 = 0;
    pub const FAILED: u8 = 1;
    pub const WRONG_ARGUMENTS: u8 = 2;
    pub const STORED: u8 = 3;
    pub const WAITING: u8 = 4;
    pub const REFUSED: u8 = 5;
    pub const SIGN_IN: u8 = 6;
    pub const KEY_CHANGED: u8 = 7;
    pub const CLOSED: u8 = 8;
    pub const INVITE: u8 = 9;
    pub const PENDING: u8 = 10;
    pub const BANNED: u8 = 11;
}

/// Does what is asked. What it tells goes to `emit`, one object a line; gives the exit status.
pub fn perform(engine: &Arc<Engine>, request: &Value, emit: &mut dyn FnMut(Value) -> bool) -> u8 {
    let done = match request["do"].as_str().unwrap_or_default() {
        "send" => return send(engine, request, emit),
        "listen" => return listen(engine, &hear(engine), emit),
        "file-send" => return file_send(engine, request, emit),
        "file-take" => return file_take(engine, request, emit),
        "password" => return password(engine, request, emit),
        "friends" => {
            let groups = engine.book().groups.clone();
            groups.iter().for_each(|group| {
                for friend in &group.friends {
                    emit(json!({
                        "type": "friend", "number": friend.number, "name": friend.nickname,
                        "status": crate::show::status(friend.status), "group": group.number, "group_name": group.name,
                    }));
                }
            });
            return status::DONE;
        }
        what => simple(engine, what, request),
    };
    match done {
        Ok(lines) => {
            lines.into_iter().take_while(|line| emit(line.clone())).for_each(drop);
            status::DONE
        }
        Err(error) => fail(emit, &error),
    }
}

fn fail(emit: &mut dyn FnMut(Value) -> bool, error: &str) -> u8 {
    emit(json!({ "type": "error", "text": error }));
    status::FAILED
}

/// Requests with an answer and nothing more.
fn simple(engine: &Arc<Engine>, what: &str, request: &Value) -> Result<Vec<Value>, String> {
    let said = |error: Error| engine.words(&error);
    let client = engine.client().map_err(said)?;
    let done = |what: &str| Ok(vec![json!({ "type": "done", "do": what })]);
    match what {
        "online" => {
            let start = request["start"].as_u64().and_then(|start| start.try_into().ok()).unwrap_or_default();
            Ok(people(&client.online(start, PAGE, false).map_err(said)?))
        }
        "find" => Ok(people(&client.search(text(request, "condition")?).map_err(said)?)),
        "profile" => {
            let mine = client.number().ok_or_else(|| engine.words(&Error::NotSignedIn))?;
            let number = if request["number"].is_null() { mine } else { user(request, "number")? };
            let profile = client.view(number).map_err(said)?;
            engine.learn(number, &profile.nickname);
            let mut object = json!({ "type": "profile", "number": number });
            for (field, value) in fields::lines(&profile) {
                object[field] = value.into();
            }
            Ok(vec![object])
        }
        "set" => {
            let fields = request["fields"].as_object().ok_or("\"fields\" is missing, like {\"reach\": \"friends\"}")?;
            let value = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let changes: Vec<(String, String)> =
                fields.iter().map(|(field, new)| (field.clone(), value(new))).collect();
            engine.change_profile(&changes).map_err(|why| engine.unchanged(why))?;
            done("set")
        }
        "add" => {
            let outcome = match client.add_friend(user(request, "number")?).map_err(said)? {
                AddOutcome::Done => "done",
                AddOutcome::NeedsAuthorization => "ask",
                AddOutcome::NeedsAuthorizationOffline => "ask (offline)",
                AddOutcome::Nobody => "nobody may",
            };
            Ok(vec![json!({ "type": "done", "do": "add", "outcome": outcome })])
        }
        "ask" => {
            client.ask(user(request, "number")?, request["reason"].as_str().unwrap_or_default()).map_err(said)?;
            done("ask")
        }
        "accept" | "refuse" => {
            client.answer(user(request, "number")?, what == "accept").map_err(said)?;
            done(what)
        }
        "block" | "unblock" => {
            client.block(user(request, "number")?, what == "block").map_err(said)?;
            done(what)
        }
        "status" => {
            let status = match text(request, "status")? {
                "online" => Status::Online,
                "hidden" => Status::Hidden,
                "busy" => Status::Busy,
                other => return Err(format!("'{other}' is no status; it is one of online, hidden, busy")),
            };
            client.set_status(status).map_err(said)?;
            done("status")
        }
        "take" => {
            engine.take(user(request, "number")?, offer(request), &engine.downloads)?;
            done("take")
        }
        "reject" => {
            engine.reject(user(request, "number")?, offer(request))?;
            done("reject")
        }
        other => Err(format!(
            "there is no \"do\": \"{other}\"; there are send, friends, online, find, profile, add, ask, accept, refuse, \
             set, block, unblock, status, take, reject, file-send, password"
        )),
    }
}

fn text<'a>(request: &'a Value, name: &str) -> Result<&'a str, String> {
    request[name].as_str().ok_or_else(|| format!("\"{name}\" is missing, a text"))
}

fn user(request: &Value, name: &str) -> Result<u32, String> {
    let number = request[name].as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("\"{name}\" is missing, a service number like 10001"))
}

/// Which of several; none said is the first.
fn offer(request: &Value) -> Option<u32> {
    request["offer"].as_u64().and_then(|offer| offer.try_into().ok())
}

fn people(people: &[oicq::client::Person]) -> Vec<Value> {
    let line = |person: &oicq::client::Person| json!({ "type": "person", "number": person.number, "name": person.nickname, "city": person.city });
    people.iter().map(line).collect()
}

/// Everything that happens from now on.
pub fn hear(engine: &Engine) -> Receiver<News> {
    let (tell, news) = channel();
    engine.subscribe(move |news| tell.send(news.clone()).is_ok());
    news
}

fn send(engine: &Arc<Engine>, request: &Value, emit: &mut dyn FnMut(Value) -> bool) -> u8 {
    let (to, words) = match user(request, "to").and_then(|to| Ok((to, text(request, "text")?))) {
        Ok(parts) => parts,
        Err(error) => return fail(emit, &error),
    };
    let news = hear(engine);
    let id = match engine.say(Recipient::User(to), words) {
        Ok(id) => id,
        Err(error) => return fail(emit, &error),
    };
    let mut until = Instant::now() + RECEIPT;
    let mut state = ("waiting", status::WAITING, String::new());
    let wait = Duration::from_secs(request["wait"].as_u64().unwrap_or_default());
    while let Ok(news) = news.recv_timeout(until.saturating_duration_since(Instant::now())) {
        let News::Event(Event::Receipt { to: whom, id: of, state: now }) = news else { continue };
        if (whom, of) != (to, id) {
            continue;
        }
        match now {
            ReceiptState::Delivered => state = ("delivered", status::DONE, String::new()),
            ReceiptState::Refused { code } => {
                state = ("refused", status::REFUSED, reason(code).to_owned());
            }
            ReceiptState::Stored if state.1 == status::WAITING => {
                state = ("stored", status::STORED, String::new());
                until = Instant::now() + wait;
                if !wait.is_zero() {
                    continue;
                }
            }
            _ => continue,
        }
        break;
    }
    let (word, code, why) = state;
    let mut line = json!({ "type": "receipt", "to": to, "id": id, "state": word });
    if !why.is_empty() {
        line["reason"] = why.into();
    }
    emit(line);
    code
}

/// Tells what happens until nobody wants to know, or the session has ended for good.
pub fn listen(engine: &Arc<Engine>, news: &Receiver<News>, emit: &mut dyn FnMut(Value) -> bool) -> u8 {
    if !emit(json!({ "type": "listening", "number": engine.me() })) {
        return status::DONE;
    }
    let mut ended = status::SIGN_IN;
    for news in news.iter() {
        if let News::Event(Event::Message { from, .. } | Event::Asked { from, .. }) = &news {
            // Whoever writes for the first time has no name here yet.
            engine.look_up(*from);
        }
        if let Some(line) = told::line(engine, &news)
            && !emit(line)
        {
            return status::DONE;
        }
        match news {
            News::Event(Event::Notice { code: notice::BANNED, .. }) => ended = status::BANNED,
            News::Event(Event::SignInAgain { .. }) => return ended,
            _ => {}
        }
    }
    status::DONE
}

fn password(engine: &Arc<Engine>, request: &Value, emit: &mut dyn FnMut(Value) -> bool) -> u8 {
    let (old, new) = match text(request, "old").and_then(|old| Ok((old, text(request, "new")?))) {
        Ok(parts) => parts,
        Err(error) => return fail(emit, &error),
    };
    match engine.change_password(old, new) {
        Ok(()) => {
            emit(json!({ "type": "done", "do": "password" }));
            status::DONE
        }
        Err(Unchanged::Refused(Error::Refused { code: notice::WRONG, .. })) => {
            fail(emit, "the present password is another one; nothing was changed");
            status::SIGN_IN
        }
        Err(why) => fail(emit, &engine.unchanged(why)),
    }
}

fn file_send(engine: &Arc<Engine>, request: &Value, emit: &mut dyn FnMut(Value) -> bool) -> u8 {
    let (to, path) = match user(request, "to").and_then(|to| Ok((to, text(request, "path")?))) {
        Ok(parts) => parts,
        Err(error) => return fail(emit, &error),
    };
    let news = hear(engine);
    let id = match engine.offer(to, Path::new(path)) {
        Ok((offer, name, size)) => {
            emit(json!({ "type": "offered", "to": to, "name": name, "size": size, "offer": offer }));
            offer
        }
        Err(error) => return fail(emit, &error),
    };
    follow(engine, &news, (to, id), false, emit)
}

fn file_take(engine: &Arc<Engine>, request: &Value, emit: &mut dyn FnMut(Value) -> bool) -> u8 {
    let from = request["from"].as_u64().and_then(|number| u32::try_from(number).ok());
    let directory = request["directory"].as_str().map_or_else(|| engine.downloads.clone(), Into::into);
    let news = hear(engine);
    let wanted = |number: u32| from.is_none_or(|from| from == number);
    // It may have been offered before this was asked.
    let offered = engine.transfers().offers.keys().copied().find(|(number, _)| wanted(*number));
    let number = offered.or_else(|| {
        news.iter().find_map(|news| match news {
            News::Event(Event::FileOffered { from, offer, .. }) if wanted(from) => Some((from, offer)),
            _ => None,
        })
    });
    let Some((number, offer)) = number else { return status::FAILED };
    let id = match engine.take(number, Some(offer), &directory) {
        Ok((offer, name)) => {
            emit(json!({ "type": "taking", "from": number, "name": name, "offer": offer }));
            offer
        }
        Err(error) => return fail(emit, &error),
    };
    follow(engine, &news, (number, id), true, emit)
}

/// Tells how it goes with a file until it has come to an end.
fn follow(
    engine: &Arc<Engine>,
    news: &Receiver<News>,
    with: Key,
    coming: bool,
    emit: &mut dyn FnMut(Value) -> bool,
) -> u8 {
    loop {
        let news = match news.recv_timeout(Duration::from_secs(3600)) {
            Ok(news) => news,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return status::FAILED,
        };
        let line = told::line(engine, &news);
        match news {
            News::File { peer, id, incoming, state, .. } if ((peer, id), incoming) == (with, coming) => {
                line.map(&mut *emit);
                match state {
                    FileState::Done { .. } => return status::DONE,
                    FileState::Failed(_) => return status::FAILED,
                    FileState::Moving(..) | FileState::Broken => {}
                }
            }
            News::Event(Event::FileAnswered { from, allow: false, offer }) if (from, offer) == with && !coming => {
                line.map(&mut *emit);
                return status::REFUSED;
            }
            _ => {}
        }
    }
}

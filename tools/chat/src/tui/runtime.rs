//! Does what the full screen wants done: reads the history at once, and asks the server on threads, for answers take time.

use super::chat::PAGE;
use super::effect::{Answer, Effect, Known, Message, Request};
use super::lang::Words;
use super::text::Zone;
use crate::engine::{Engine, News, Unchanged};
use crate::notice::{self, Meaning, WRONG, meaning};
use crate::script::entry_json;
use crate::script::local::{self, Served};
use crate::show::{clean, json as json_line};
use oicq::client::{Error, Event, Person, Recipient, Secret, ServerLine, Status};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long to wait before a server that did not answer is tried again.
const AGAIN: Duration = Duration::from_secs(3);
/// And one that has no time now: long enough for its limits to let go.
const LATER: Duration = Duration::from_secs(15);
/// Messages that a search shows.
const FOUND: usize = 200;
/// People that are asked for at a time.
pub const PEOPLE: u8 = 50;

/// Makes the engine for a server.
pub type Open = Box<dyn Fn(ServerLine) -> Result<Arc<Engine>, String>>;

/// What does the work.
pub struct Runtime {
    open: Open,
    pub engine: Option<Arc<Engine>>,
    words: &'static Words,
    tell: Sender<Message>,
    /// Which sign-in is the latest: an older one that still tries gives up.
    attempt: Arc<AtomicU64>,
    /// The socket for other programs of this account.
    served: Arc<Mutex<Option<Served>>>,
}

impl Runtime {
    /// With no server yet.
    pub fn new(open: Open, words: &'static Words, tell: Sender<Message>) -> Self {
        Self { open, engine: None, words, tell, attempt: Arc::default(), served: Arc::default() }
    }

    fn send(&self, message: Message) {
        // At the end nobody listens any more.
        let _ = self.tell.send(message);
    }

    /// Uses the engine of a server.
    pub fn server(&mut self, line: ServerLine) -> Result<(), String> {
        if let Some(engine) = self.engine.take() {
            engine.end();
        }
        let engine = (self.open)(line)?;
        let tell = self.tell.clone();
        let known = Arc::downgrade(&engine);
        engine.subscribe(move |news: &News| {
            if let News::Event(Event::Notice { about, code, .. }) = news
                && let Some(engine) = known.upgrade()
                && matches!(meaning(*about, *code), Meaning::SlowDown | Meaning::Later)
            {
                let _ = tell.send(Message::Waiting(engine.waiting()));
            }
            // Whoever it is about is told by name.
            if let News::Event(
                Event::Message { from, .. }
                | Event::Asked { from, .. }
                | Event::AddedBy { from }
                | Event::AskAnswered { from, .. }
                | Event::FileOffered { from, .. },
            ) = news
                && let Some(name) = known.upgrade().and_then(|engine| engine.name(*from))
            {
                let _ = tell.send(Message::Name(*from, name));
            }
            tell.send(Message::News(news.clone())).is_ok()
        });
        self.engine = Some(engine);
        Ok(())
    }

    /// How the connection is.
    pub fn tick(&self) -> Message {
        let client = self.engine.as_ref().and_then(|engine| engine.connected());
        let up = client.as_ref().is_some_and(|client| client.number().is_some());
        let tcp = client.as_ref().is_some_and(|client| client.way() == oicq::client::Way::Tcp);
        let trip = client.and_then(|client| client.round_trip());
        let waiting = self.engine.as_ref().map_or(0, |engine| engine.waiting());
        Message::Tick { up, tcp, trip: trip.and_then(|trip| trip.as_millis().try_into().ok()), waiting }
    }

    /// Does one thing.
    pub fn run(&mut self, effect: Effect) {
        if let Effect::Server(line) = effect {
            let opened = self.server(line.clone());
            return self.send(Message::Server(opened.map(|()| line)));
        }
        let Some(engine) = self.engine.clone() else { return };
        match effect {
            Effect::SignIn { number, password, hidden } => self.sign_in(engine, number, password, hidden),
            Effect::Trust { key, number, hidden } => {
                if let Err(error) = engine.keep.replace_key(&key) {
                    return self.send(Message::NotSignedIn(error));
                }
                engine.disconnect();
                self.sign_in(engine, number, None, hidden);
            }
            Effect::LookUp(number) => {
                let tell = self.tell.clone();
                std::thread::spawn(move || {
                    if let Some(name) = engine.look_up(number) {
                        let _ = tell.send(Message::Name(number, name));
                    }
                });
            }
            Effect::Ask { request, form } => {
                let (tell, words) = (self.tell.clone(), self.words);
                std::thread::spawn(move || {
                    let result = ask(&engine, words, &request);
                    let _ = tell.send(Message::Groups(engine.book().groups.clone()));
                    let _ = tell.send(Message::Done { request, form, result });
                });
            }
            Effect::Say { to, text } => {
                if let Err(error) = engine.say(Recipient::User(to), &text) {
                    return self.send(Message::NotSaid { to, text, error });
                }
                self.send(Message::Newer(to, self.after(&engine, to)));
            }
            effect => self.history(&engine, effect),
        }
    }

    /// The newest messages: those that are loaded already are left out where they are taken.
    fn after(&self, engine: &Engine, peer: u32) -> Vec<crate::history::Entry> {
        let me = engine.me().unwrap_or_default();
        engine.history().page(me, peer, i64::MAX, PAGE / 4).unwrap_or_default()
    }

    fn history(&self, engine: &Engine, effect: Effect) {
        if let Effect::Begin(number) = effect {
            let begun = engine.be(number);
            return match begun {
                Ok(()) => self.send(Message::Known(number, Box::new(known(engine, number)))),
                Err(error) => self.send(Message::NotSignedIn(error)),
            };
        }
        let Some(me) = engine.me() else { return };
        let mut history = engine.history();
        let read = match effect {
            Effect::Open(peer) => history.page(me, peer, i64::MAX, PAGE).and_then(|entries| {
                let draft = history.kept(me, &draft(peer)).unwrap_or_default();
                self.send(Message::Opened { peer, entries, draft });
                history.read(me, peer)
            }),
            Effect::Around { peer, row } => {
                let before = history.page(me, peer, row, PAGE / 2);
                let from = history.after(me, peer, row - 1, PAGE);
                before.and_then(|mut entries| {
                    let after = from?;
                    let at_end = after.len() < PAGE;
                    entries.extend(after);
                    self.send(Message::Around { peer, row, entries, at_end });
                    Ok(())
                })
            }
            Effect::Older { peer, before } => {
                history.page(me, peer, before, PAGE).map(|entries| self.send(Message::Older(peer, entries)))
            }
            Effect::Newer { peer, after } => {
                history.after(me, peer, after, PAGE).map(|entries| self.send(Message::Newer(peer, entries)))
            }
            Effect::Seen(peer) => history.read(me, peer),
            Effect::Draft { to, text } => history.keep(me, &draft(to), &text),
            Effect::KeepRequests(text) => history.keep(me, "requests", &text),
            Effect::Search(words) => {
                history.find(me, &words, FOUND).map(|entries| self.send(Message::Found { words, entries }))
            }
            Effect::Export { peer, json } => {
                drop(history);
                self.send(Message::Exported(export(engine, self.words, (me, peer), json)));
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = read {
            self.send(Message::Trouble(error));
        }
    }

    /// Signs in, and goes on trying while the server does not answer.
    fn sign_in(&self, engine: Arc<Engine>, number: u32, password: Option<String>, hidden: bool) {
        let (tell, words, attempts, served) =
            (self.tell.clone(), self.words, Arc::clone(&self.attempt), Arc::clone(&self.served));
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        std::thread::spawn(move || {
            loop {
                let secret = match (&password, engine.keep.token(number)) {
                    (Some(password), _) => Secret::Password(password.clone()),
                    (None, Some(token)) => Secret::Token(token),
                    (None, None) => {
                        let _ = tell.send(Message::NeedPassword { number, hidden, error: None });
                        return;
                    }
                };
                let result = engine.sign_in(number, &secret, hidden);
                if attempts.load(Ordering::Relaxed) != attempt {
                    return;
                }
                let message = match result {
                    Ok(groups) => {
                        let mut served = crate::engine::lock(&served);
                        *served = None;
                        *served = local::serve(&engine, number);
                        Message::SignedIn { number, groups, hidden }
                    }
                    Err(Error::Refused { code: WRONG, .. }) if password.is_none() => {
                        engine.keep.forget_token(number);
                        continue;
                    }
                    Err(Error::Refused { code: code @ (notice::NOT_OPEN | notice::BANNED), text }) => {
                        Message::Barred { number, code, text }
                    }
                    // A token is not asked for again; the server only has no time for it.
                    Err(error @ Error::Refused { code, .. }) if password.is_none() && notice::is_for_now(code) => {
                        let away = Message::Away(words.error(&engine, &error));
                        if tell.send(away).is_err() {
                            return;
                        }
                        std::thread::sleep(LATER);
                        continue;
                    }
                    Err(error @ (Error::Timeout | Error::Io(_) | Error::Unknown)) => {
                        let away = Message::Away(words.error(&engine, &error));
                        if tell.send(away).is_err() {
                            return;
                        }
                        std::thread::sleep(AGAIN);
                        continue;
                    }
                    Err(Error::KeyChanged { pinned, shown }) => Message::KeyChanged { number, pinned, shown, hidden },
                    Err(error @ Error::Refused { .. }) => {
                        Message::NeedPassword { number, hidden, error: Some(words.error(&engine, &error)) }
                    }
                    Err(error) => Message::NotSignedIn(words.error(&engine, &error)),
                };
                let _ = tell.send(message);
                return;
            }
        });
    }

    /// Signs out; gives how many messages have no receipt.
    pub fn end(&mut self) -> usize {
        self.attempt.fetch_add(1, Ordering::Relaxed);
        self.engine.take().map_or(0, |engine| engine.end().0)
    }
}

fn draft(peer: u32) -> String {
    format!("draft {peer}")
}

fn known(engine: &Engine, number: u32) -> Known {
    let groups = engine.book().groups.clone();
    let history = engine.history();
    let others = history.peers(number);
    let friends = groups.iter().flat_map(|group| &group.friends).map(|friend| friend.number);
    let people = friends.chain(others.iter().copied()).chain([number]);
    let names = people.filter_map(|number| Some((number, history.name(number)?))).collect();
    let requests = history.kept(number, "requests").unwrap_or_default();
    Known { groups, unread: history.unread(number), names, others, requests }
}

/// Writes a conversation to a new file in the directory for downloads.
fn export(engine: &Engine, words: &Words, (me, peer): (u32, u32), json: bool) -> Result<PathBuf, String> {
    let stem = format!("oicq-{me}-{peer}");
    let end = if json { "jsonl" } else { "txt" };
    let paths = (0..1_000).map(|at| if at == 0 { format!("{stem}.{end}") } else { format!("{stem} ({at}).{end}") });
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    let made = paths.map(|name| engine.downloads.join(name)).find_map(|path| Some((options.open(&path).ok()?, path)));
    let (file, path) = made.ok_or_else(|| format!("{} takes no new file", engine.downloads.display()))?;
    let mut file = std::io::BufWriter::new(file);
    let known = engine.name(peer);
    let name = known.as_ref().map_or_else(|| peer.to_string(), |name| clean(name));
    let mut written = Ok(());
    engine.history().all(me, Some(peer), |entry| {
        if written.is_err() {
            return;
        }
        written = if json {
            writeln!(file, "{}", json_line(&entry_json(&entry, known.as_deref())))
        } else {
            let who = if entry.mine { words.me } else { &name };
            let (day, minute) = (Zone::Local.day(entry.time), Zone::Local.minute(entry.time));
            // Further lines of a message are set in.
            let text: Vec<String> = entry.text.lines().map(clean).collect();
            writeln!(file, "{day} {minute} {who}: {}", text.join("\n    "))
        };
    })?;
    written.and_then(|()| file.flush()).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Asks the server, and notes what follows for the friend list.
fn ask(engine: &Arc<Engine>, words: &Words, request: &Request) -> Result<Answer, String> {
    let said = |error: Error| words.error(engine, &error);
    let client = engine.client().map_err(said)?;
    let met = |people: Vec<Person>| {
        people.iter().for_each(|person| engine.learn(person.number, &person.nickname));
        Answer::People(people)
    };
    match request {
        Request::SignUp { profile, invite } => match engine.sign_up(profile, invite.as_deref()) {
            Ok(number) => return Ok(Answer::Registered { number, password: profile.password.clone() }),
            Err(Error::Refused { code: code @ notice::NOT_OPEN, text }) => {
                return Ok(Answer::NotOpen { invite: notice::wants_invite(code, &text), text });
            }
            Err(error) => return Err(said(error)),
        },
        Request::SignOut => client.set_status(Status::Offline).map_err(said)?,
        Request::SetStatus(status) => client.set_status(*status).map_err(said)?,
        Request::Add(number) => return client.add_friend(*number).map(Answer::Added).map_err(said),
        Request::AskFor { number, reason } => client.ask(*number, reason).map_err(said)?,
        Request::Answer { number, agree } => client.answer(*number, *agree).map_err(said)?,
        Request::Delete(number) => engine.delete_friend(*number).map_err(said)?,
        Request::AddGroup(name) => drop(engine.add_group(name).map_err(said)?),
        Request::RenameGroup { group, name } => engine.rename_group(*group, name).map_err(said)?,
        Request::DeleteGroup(group) => engine.delete_group(*group).map_err(said)?,
        Request::Move { number, group } => engine.move_friend(*number, *group).map_err(said)?,
        Request::Broadcast { group, text } => drop(engine.say(Recipient::Group(*group), text)?),
        Request::View(number) => {
            let profile = client.view(*number).map_err(said)?;
            engine.learn(*number, &profile.nickname);
            return Ok(Answer::Profile(*number, Box::new(profile)));
        }
        Request::Mine { .. } => {
            let me = client.number().ok_or_else(|| said(Error::NotSignedIn))?;
            let profile = client.view(me).map_err(said)?;
            engine.learn(me, &profile.nickname);
            let (profile, authorization) = (Box::new(profile), engine.authorization());
            return Ok(Answer::Mine { number: me, profile, authorization });
        }
        Request::SetField { field, value } => {
            engine.change_profile(&[(field.clone(), value.clone())]).map_err(|why| unchanged(engine, words, why))?;
        }
        Request::SetPassword { old, new } => match engine.change_password(old, new) {
            Ok(()) => {}
            Err(Unchanged::Refused(Error::Refused { code: WRONG, .. })) => return Ok(Answer::OtherPassword),
            Err(why) => return Err(unchanged(engine, words, why)),
        },
        Request::Online(start) => return client.online(*start, PEOPLE, false).map(met).map_err(said),
        Request::Find(condition) => return client.search(condition).map(met).map_err(said),
        Request::Block { number, on } => client.block(*number, *on).map_err(said)?,
        Request::OfferFile { number, path } => {
            let (id, name, size) = engine.offer(*number, path)?;
            let waits = engine.transfers().offered.contains_key(&(*number, id));
            return Ok(if waits { Answer::Offered { id, name, size } } else { Answer::Done });
        }
        Request::TakeFile(number, offer) => drop(engine.take(*number, *offer, &engine.downloads)?),
        Request::RejectFile(number, offer) => engine.reject(*number, *offer)?,
    }
    engine.keep_groups();
    Ok(Answer::Done)
}

/// Why nothing of the profile was changed.
fn unchanged(engine: &Engine, words: &Words, why: Unchanged) -> String {
    match why {
        Unchanged::Refused(error) => words.error(engine, &error),
        Unchanged::Wrong(text) => words.said(&text),
        Unchanged::WhoMayAdd => words.who_may_first.to_owned(),
    }
}

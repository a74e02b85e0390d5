//! What every face of the program works with: the connection, the history, what is known about people, and files on their
//! way. The full screen, plain lines and script commands only ask it for things and are told what happens.

mod lists;
mod profile;
mod pump;
mod transfer;

use crate::book::Book;
use crate::files::Transfers;
use crate::history::{History, Said};
use crate::keep::Keep;
use oicq::client::{
    Client, Connect, Error, Event, Group, Recipient, Secret, ServerLine, Status, Unsent, Ways, fingerprint,
};
use oicq::limits::TEXT_BYTES;
pub use profile::Unchanged;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A transfer in which nothing has moved for so long is not waited for at the end.
const STALLED: Duration = Duration::from_secs(10);
/// How long the end waits for receipts. What has none then is kept for the next run.
const RECEIPTS: Duration = Duration::from_secs(5);
/// How long it waits for the events that have come to be shown.
const EVENTS: Duration = Duration::from_secs(2);
/// Ids are the time in ms, shifted by so much, as those of the library.
const ID_SHIFT: u32 = 20;
/// The name under which the friend list is kept,
const GROUPS: &str = "groups";
/// and that of who may add this user, which the server does not tell.
const AUTHORIZATION: &str = "authorization";

/// What is told to whoever listens.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The library says so; a message only if it is new.
    Event(Event),
    /// A file.
    File {
        /// The other side.
        peer: u32,
        /// Which of those with that side: its first offer.
        id: u32,
        /// Whether it comes in.
        incoming: bool,
        /// Its name.
        name: String,
        /// How it goes with it.
        state: FileState,
    },
    /// Something is wrong with this machine: what comes is left at the server meanwhile.
    Trouble(String),
    /// It is right again.
    Well,
}

/// How it goes with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// So many bytes have arrived of so many.
    Moving(u32, u32),
    /// The connection broke; it goes on by itself.
    Broken,
    /// All of it is there.
    Done {
        /// Where it is here.
        path: PathBuf,
        /// Bytes.
        size: u32,
        /// SHA-256 in hex.
        checksum: String,
    },
    /// It will not be.
    Failed(String),
}

/// Somebody who is told; false takes them off the list.
type Listener = Box<dyn FnMut(&News) -> bool + Send>;

/// The engine behind every face of the program.
pub struct Engine {
    /// Where the server is.
    pub line: ServerLine,
    /// What is kept between two runs.
    pub keep: Keep,
    ways: Ways,
    /// Where files go.
    pub downloads: PathBuf,
    /// The connection, and the thread that takes its events.
    link: Mutex<Option<(Arc<Client>, JoinHandle<()>)>>,
    /// Whose program this is, and the file that no other program of theirs can lock meanwhile.
    me: Mutex<Option<(u32, std::fs::File)>>,
    history: Mutex<History>,
    book: Mutex<Book>,
    transfers: Mutex<Transfers>,
    /// The last id of a message.
    last_id: Mutex<u64>,
    listeners: Mutex<Vec<Listener>>,
}

/// A thread that panics leaves no half-changed state here: what is guarded is changed by single calls.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Now, in milliseconds since 1970 UTC.
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl Engine {
    /// With what is kept of this server; nothing is connected yet.
    pub fn new(line: ServerLine, ways: Ways, keep: Keep, downloads: PathBuf) -> Result<Arc<Self>, String> {
        let history = History::open(&keep.file("history.db"))?;
        Ok(Arc::new(Self {
            line,
            keep,
            ways,
            downloads,
            link: Mutex::default(),
            me: Mutex::default(),
            history: Mutex::new(history),
            book: Mutex::default(),
            transfers: Mutex::default(),
            last_id: Mutex::default(),
            listeners: Mutex::default(),
        }))
    }

    /// Tells `listener` everything from now on, until it gives false. It is called on the thread that takes events, and must
    /// not make requests.
    pub fn subscribe(&self, listener: impl FnMut(&News) -> bool + Send + 'static) {
        lock(&self.listeners).push(Box::new(listener));
    }

    /// Nobody is told any more.
    pub fn forget_listeners(&self) {
        lock(&self.listeners).clear();
    }

    fn tell(&self, news: &News) {
        lock(&self.listeners).retain_mut(|listener| listener(news));
    }

    /// The connection, opened if there is none.
    pub fn client(self: &Arc<Self>) -> Result<Arc<Client>, Error> {
        let mut link = lock(&self.link);
        if let Some((client, _)) = &*link {
            return Ok(Arc::clone(client));
        }
        let pinned = self.keep.key().map_err(Error::Invalid)?;
        // A key that is kept counts; whether the line has another was asked before.
        let line = ServerLine { key: if pinned.is_some() { None } else { self.line.key }, ..self.line.clone() };
        let to = Connect { pinned, ways: self.ways, ..Connect::new(line) };
        let (client, events) = Client::connect(to)?;
        let pump = pump::start(self, events)?;
        let client = Arc::new(client);
        *link = Some((Arc::clone(&client), pump));
        Ok(client)
    }

    /// The connection, if there is one.
    pub fn connected(&self) -> Option<Arc<Client>> {
        lock(&self.link).as_ref().map(|(client, _)| Arc::clone(client))
    }

    /// Ends the connection, so that the next one is begun anew, with another key perhaps.
    pub fn disconnect(&self) {
        let link = lock(&self.link).take();
        if let Some((client, pump)) = link {
            client.close();
            // It ends with the events, and then all of them have been told; a panic in it has been printed.
            let _ = pump.join();
        }
    }

    /// Whose program this is.
    pub fn me(&self) -> Option<u32> {
        lock(&self.me).as_ref().map(|(number, _)| *number)
    }

    /// This is the program of `number` from now on, whether the server can be reached or not. One that is open already has
    /// it first: two would end each other's session in turn.
    pub fn be(&self, number: u32) -> Result<(), String> {
        let mut me = lock(&self.me);
        if me.as_ref().is_some_and(|(known, _)| *known == number) {
            return Ok(());
        }
        let claimed = self.keep.claim(number)?.ok_or_else(|| {
            format!("{number} is open in another oicq of this profile; --profile NAME keeps another account apart")
        })?;
        let mut book = Book::default();
        let history = self.history();
        book.open(history.kept(number, GROUPS).map(|text| groups_of(&text)).unwrap_or_default());
        *lock(&self.book) = book;
        *me = Some((number, claimed));
        Ok(())
    }

    /// The history. Never held over a request.
    pub fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// What is known about people. Never held over a request.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// Files on their way. Never held over a request.
    pub fn transfers(&self) -> MutexGuard<'_, Transfers> {
        lock(&self.transfers)
    }

    /// Signs in. What has no receipt from earlier runs goes out then.
    pub fn sign_in(self: &Arc<Self>, number: u32, secret: &Secret, hidden: bool) -> Result<Vec<Group>, Error> {
        self.be(number).map_err(Error::Invalid)?;
        let client = self.client()?;
        let groups = match secret {
            Secret::Password(password) => client.sign_in(number, password, hidden)?,
            Secret::Token(token) => client.sign_in_with_token(number, token, hidden)?,
        };
        // A key from the server line is worth keeping when it has proven to be right.
        let key = client.server_key().map_or(Ok(()), |key| self.keep.save_key(&key));
        if let Err(error) = key.and_then(|()| self.keep.profile.save_last(&self.line, number)) {
            self.tell(&News::Trouble(error));
        }
        self.book().open(groups.clone());
        self.keep_groups();
        let held: Vec<u64> = client.unsent().iter().map(|unsent| unsent.id).collect();
        let waiting = self.history().waiting(number).unwrap_or_else(|error| {
            self.tell(&News::Trouble(error));
            Vec::new()
        });
        for unsent in waiting.into_iter().filter(|unsent| !held.contains(&unsent.id)) {
            let (id, to) = (unsent.id, unsent.to);
            if client.hold(unsent).is_err()
                && let Recipient::User(to) = to
            {
                // It stays in the history, and the next sign-in tries again.
                self.tell(&News::Trouble(format!("message {id} to {to} has to wait for the next sign-in")));
            }
        }
        Ok(groups)
    }

    /// Keeps the friend list for a start without the server.
    pub fn keep_groups(&self) {
        let Some(me) = self.me() else { return };
        let (groups, names) = {
            let book = self.book();
            let friends = book.groups.iter().flat_map(|group| &group.friends);
            let names: Vec<(u32, String)> = friends.map(|friend| (friend.number, friend.nickname.clone())).collect();
            (text_of(&book.groups), names)
        };
        let mut history = self.history();
        names.iter().for_each(|(number, name)| history.learn(*number, name));
        // It comes with the next sign-in.
        let _ = history.keep(me, GROUPS, &groups);
    }

    /// Says something. It is written down first, and sent now or with the next sign-in; gives its id.
    pub fn say(&self, to: Recipient, text: &str) -> Result<u64, String> {
        let me = self.me().ok_or_else(|| self.words(&Error::NotSignedIn))?;
        if text.is_empty() || text.len() > TEXT_BYTES {
            return Err(format!("a message is 1 to {TEXT_BYTES} bytes long; this one has {}", text.len()));
        }
        let peers = match to {
            Recipient::User(number) if number == me => {
                return Err("a message to oneself is refused; give another number".into());
            }
            Recipient::User(number) => vec![number],
            Recipient::Group(group) => self.book().members(group),
        };
        if peers.is_empty() {
            return Err("nobody is in that group".into());
        }
        let mut last = lock(&self.last_id);
        let time = now_ms();
        let id = (*last + 1).max((time as u64) << ID_SHIFT);
        *last = id;
        let via = if let Recipient::Group(group) = to { Some(group) } else { None };
        self.history().said(me, &Said { to: &peers, via, id, time, text })?;
        let unsent = Unsent { id, from: me, to, text: text.to_owned() };
        if let Some(Err(error)) = self.connected().map(|client| client.hold(unsent)) {
            self.history().unsay(me, id);
            return Err(self.words(&error));
        }
        Ok(id)
    }

    /// Who may add this user, if it is known.
    pub fn authorization(&self) -> Option<u8> {
        // Asked before the history is locked: whoever changes it has both, in this order.
        let me = self.me()?;
        self.history().kept(me, AUTHORIZATION)?.parse().ok()
    }

    /// Notes who may add this user.
    pub fn set_authorization(&self, authorization: u8) {
        if let Some(me) = self.me() {
            // It is asked for again.
            let _ = self.history().keep(me, AUTHORIZATION, &authorization.to_string());
        }
    }

    /// A nickname, if it was ever seen.
    pub fn name(&self, number: u32) -> Option<String> {
        let known = self.book().name(number).map(str::to_owned);
        known.or_else(|| self.history().name(number)).filter(|name| !name.is_empty())
    }

    /// Notes a nickname.
    pub fn learn(&self, number: u32, name: &str) {
        self.book().learn(number, name);
        self.history().learn(number, name);
    }

    /// A nickname, asked for if it was never seen.
    pub fn look_up(&self, number: u32) -> Option<String> {
        if let Some(name) = self.name(number) {
            return Some(name);
        }
        let name = self.connected()?.view(number).ok()?.nickname;
        self.learn(number, &name);
        Some(name)
    }

    /// An error of the library in the words of this program.
    pub fn words(&self, error: &Error) -> String {
        let place = self.line.place();
        match error {
            Error::NotSignedIn => "sign in first: sign in NUMBER, or sign up for a number".into(),
            Error::Timeout => format!("{place} did not answer; is a server running there?"),
            Error::Refused { text, .. } if !text.is_empty() => crate::show::clean(text),
            Error::KeyChanged { pinned, shown } => format!(
                "THE KEY OF {place} HAS CHANGED. It shows {}; the one that was kept is {}. Somebody else may answer in its \
                 place. Nothing was sent. Only if its operator says that the new key is right, remove {} and start again",
                fingerprint(shown),
                fingerprint(pinned),
                self.keep.key_file().display()
            ),
            Error::Io(error) => format!("no connection to {place}: {error}"),
            other => other.to_string(),
        }
    }

    /// How many messages have no receipt yet.
    pub fn waiting(&self) -> usize {
        self.connected().map_or(0, |client| client.wait_for_receipts(Duration::ZERO))
    }

    /// Waits while files are still moving.
    pub fn wait_for_files(&self) {
        let (mut moved, mut since) = (0, Instant::now());
        while since.elapsed() < STALLED {
            let transfers = self.transfers();
            if transfers.sending == 0 && transfers.arriving.is_empty() {
                return;
            }
            if transfers.moved != moved {
                (moved, since) = (transfers.moved, Instant::now());
            }
            drop(transfers);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Signs out; tells how many messages have no receipt, and which files are not whole.
    pub fn end(&self) -> (usize, Vec<String>) {
        let Some(client) = self.connected() else { return (0, Vec::new()) };
        let signed_in = client.number().is_some();
        let unsent = if signed_in { client.wait_for_receipts(RECEIPTS) } else { 0 };
        // What has come is shown, and the server told so, before the session ends.
        let since = Instant::now();
        while client.has_events() && since.elapsed() < EVENTS {
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(me) = self.me() {
            let held: Vec<u64> = client.unsent().iter().map(|unsent| unsent.id).collect();
            self.history().settle(me, &held);
        }
        if signed_in && unsent == 0 {
            // The server notices by itself if this is lost.
            let _ = client.leave();
        }
        self.disconnect();
        let transfers = self.transfers();
        let broken = transfers.arriving.values().map(|incoming| {
            let (path, received, size) = (incoming.part().display(), incoming.received, incoming.size);
            format!("{path} is not whole: {received} of {size} bytes came")
        });
        (unsent, broken.collect())
    }
}

/// A friend list as it is kept.
fn text_of(groups: &[Group]) -> String {
    let group = |group: &Group| {
        let friends: Vec<Value> = group.friends.iter().map(|friend| json!([friend.number, friend.nickname])).collect();
        json!({ "number": group.number, "name": group.name, "friends": friends })
    };
    Value::Array(groups.iter().map(group).collect()).to_string()
}

/// A kept friend list. Who is there now, nobody knows yet.
fn groups_of(text: &str) -> Vec<Group> {
    let friend = |friend: &Value| {
        Some(oicq::client::Friend {
            number: friend[0].as_u64()?.try_into().ok()?,
            nickname: friend[1].as_str()?.to_owned(),
            portrait: 0,
            status: Status::Offline,
        })
    };
    let group = |group: &Value| {
        Some(Group {
            number: group["number"].as_u64()?.try_into().ok()?,
            name: group["name"].as_str()?.to_owned(),
            friends: group["friends"].as_array()?.iter().filter_map(friend).collect(),
        })
    };
    let groups: Value = serde_json::from_str(text).unwrap_or_default();
    groups.as_array().map(|groups| groups.iter().filter_map(group).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_friend_list_comes_back_without_statuses() {
        let friend =
            oicq::client::Friend { number: 10_001, nickname: "小红".into(), portrait: 0, status: Status::Offline };
        let groups = vec![Group { number: 1, name: "My Friends".into(), friends: vec![friend] }];
        assert_eq!(groups_of(&text_of(&groups)), groups);
        assert_eq!(groups_of("nonsense"), []);
    }
}

//! What both threads of the program share: the connection, what is known about people, and files on their way.

use crate::book::Book;
use crate::files::{Incoming, Outgoing, Transfers};
use crate::keep::Keep;
use crate::said::Said;
use crate::show;
use oicq::client::{Client, Error, Receipt, Status, fingerprint};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A transfer in which nothing has moved for so long is not waited for at the end.
const STALLED: Duration = Duration::from_secs(10);
/// How long the end waits for receipts. What has none then is kept for the next run.
const RECEIPTS: Duration = Duration::from_secs(5);
/// How long it waits for the events that have come to be shown.
const EVENTS: Duration = Duration::from_secs(2);
/// How often a long transfer says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// What both threads share.
pub struct App {
    /// The connection.
    pub client: Client,
    /// What is kept between two runs.
    pub keep: Keep,
    /// The server's host and port.
    pub place: String,
    said: Mutex<Said>,
    book: Mutex<Book>,
    transfers: Mutex<Transfers>,
}

impl App {
    /// With a client and nothing known yet.
    pub fn new(client: Client, keep: Keep, place: String) -> Self {
        Self { client, keep, place, said: Mutex::default(), book: Mutex::default(), transfers: Mutex::default() }
    }

    /// What was said a moment ago. Never held over a request.
    pub fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something, and remembers it until its receipt comes.
    pub fn say(&self, text: &str, say: impl FnOnce(&Client) -> Result<Receipt, Error>) -> Result<(), Error> {
        // Held meanwhile, so that the receipt does not come before it is noted; the request only queues the words.
        let mut said = self.said();
        let receipt = say(&self.client)?;
        said.note(receipt.id(), text);
        Ok(())
    }

    /// An error of the library in the words of this program.
    pub fn words(&self, error: &Error) -> String {
        match error {
            Error::NotSignedIn => "sign in first: sign in NUMBER, or sign up for a number".into(),
            Error::Timeout => format!("{} did not answer; is a server running there?", self.place),
            Error::Refused { text, .. } if !text.is_empty() => show::clean(text),
            Error::KeyChanged { pinned, shown } => format!(
                "THE KEY OF {} HAS CHANGED. It shows {}; the one that was kept is {}. Somebody else may answer in its place. \
                 Nothing was sent. Only if its operator says that the new key is right, remove {} and start again",
                self.place,
                fingerprint(shown),
                fingerprint(pinned),
                self.keep.key_file().display()
            ),
            other => other.to_string(),
        }
    }

    /// What is known about people. Never held over a request.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files on their way. Never held over a request.
    pub fn transfers(&self) -> MutexGuard<'_, Transfers> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Someone as they are shown: nickname and number. An unknown name is looked up once.
    pub fn person(&self, number: u32) -> String {
        if self.book().name(number).is_none() {
            let name = self.client.view(number).map(|profile| profile.nickname).unwrap_or_default();
            self.book().learn(number, &name);
        }
        match self.book().name(number) {
            None | Some("") => number.to_string(),
            Some(name) => format!("{} ({number})", show::clean(name)),
        }
    }

    /// Takes a file that was offered.
    pub fn take(&self, from: u32) -> Result<(), String> {
        let Some((name, size)) = self.transfers().offers.remove(&from) else {
            return Err(format!("{from} offers no file"));
        };
        let incoming = Incoming::create(Path::new("."), &name, size)?;
        let path = incoming.path.clone();
        show::line(&format!("taking {} ({size} bytes)", path.display()));
        // In place before the answer goes out: the first piece may come at once.
        self.transfers().arriving.insert(from, incoming);
        if let Err(error) = self.client.answer_file(from, true) {
            self.transfers().arriving.remove(&from);
            // Only the empty file that was made a moment ago.
            let _ = std::fs::remove_file(&path);
            return Err(self.words(&error));
        }
        self.finish_if_complete(from);
        Ok(())
    }

    /// Writes a piece that has come.
    pub fn piece(&self, from: u32, data: &[u8]) {
        let mut transfers = self.transfers();
        let Some(incoming) = transfers.arriving.get_mut(&from) else { return };
        if let Err(error) = incoming.write(data) {
            transfers.arriving.remove(&from);
            return show::news(&format!("the file from {from} cannot be written: {error}"));
        }
        transfers.moved += data.len() as u64;
        drop(transfers);
        self.finish_if_complete(from);
    }

    fn finish_if_complete(&self, from: u32) {
        let mut transfers = self.transfers();
        if transfers.arriving.get(&from).is_none_or(|incoming| !incoming.is_complete()) {
            return;
        }
        if let Some(done) = transfers.arriving.remove(&from) {
            show::news(&format!("received {} ({} bytes)", done.path.display(), done.size));
        }
    }

    /// Sends a file that was accepted, on a thread of its own.
    pub fn send(self: &Arc<Self>, to: u32, mut outgoing: Outgoing) {
        self.transfers().sending += 1;
        let app = Arc::clone(self);
        std::thread::spawn(move || {
            let (size, name) = (outgoing.size, show::clean(&outgoing.name));
            let (mut told, mut before) = (Instant::now(), 0);
            let result = app.client.send_file(to, size, &mut outgoing.file, &mut |arrived| {
                app.transfers().moved += u64::from(arrived - before);
                before = arrived;
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    show::news(&format!("{name}: {} % have arrived", u64::from(arrived) * 100 / u64::from(size)));
                }
            });
            match result {
                Ok(()) => show::news(&format!("{name} has arrived at {to} ({size} bytes)")),
                Err(Error::Unknown) => {
                    show::news(&format!("{name} was not sent to {to}: the connection broke; offer it again"))
                }
                Err(error) => show::news(&format!("{name} was not sent to {to}: {error}")),
            }
            app.transfers().sending -= 1;
        });
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

    /// Signs out, says which files are not whole, and keeps what has no receipt.
    pub fn end(&self) {
        let unsent = if self.client.number().is_some() { self.client.wait_for_receipts(RECEIPTS) } else { 0 };
        if unsent > 0 {
            eprintln!("! {unsent} messages have no receipt yet: they are kept, and sent after the next sign-in");
        }
        if let Err(error) = self.keep.save_unsent(&self.client.unsent()) {
            eprintln!("! what has no receipt cannot be kept: {error}");
        }
        // What has come is shown, and the server told so, before the session ends.
        let since = Instant::now();
        while self.client.has_events() && since.elapsed() < EVENTS {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.client.number().is_some() && unsent == 0 {
            // The server notices by itself if this is lost.
            let _ = self.client.set_status(Status::Offline);
        }
        self.client.close();
        for incoming in self.transfers().arriving.values() {
            let (path, received, size) = (incoming.path.display(), incoming.received, incoming.size);
            eprintln!("! {path} is not whole: {received} of {size} bytes came");
        }
    }
}

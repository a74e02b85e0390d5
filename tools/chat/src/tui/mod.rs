//! The full screen. `model` is what it knows, `update`, `keys` and `actions` change it, `view` draws it, and `runtime` does
//! what it wants done. One thread owns the model and sleeps until something comes; nothing is drawn that has not changed.

mod actions;
mod answers;
mod chat;
mod editor;
mod effect;
mod forms;
mod keys;
mod lang;
mod model;
mod popup;
mod runtime;
mod said;
#[cfg(test)]
mod tests;
mod text;
mod update;
mod view;

use crate::args::Language;
use crate::engine::now_ms;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{execute, terminal};
use effect::{Effect, Message};
pub use lang::of_environment;
use model::{Link, Model};
use oicq::client::ServerLine;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
pub use runtime::Open;
use runtime::Runtime;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use text::Zone;

/// How often the connection is looked at, and what is being written is kept.
const TICK: Duration = Duration::from_secs(3);

/// What the command line says about it.
pub struct Options {
    pub language: Language,
    pub mouse: bool,
    /// The server that was given or used the last time; the default otherwise.
    pub line: ServerLine,
    /// Whether nothing is known yet: then everything is asked.
    pub first: bool,
    /// The account, if one is known.
    pub number: Option<u32>,
    /// From the environment or a file.
    pub password: Option<String>,
}

/// Runs until the person quits.
pub fn run(open: Open, options: Options) -> Result<(), String> {
    let words = lang::words(options.language);
    let (tell, messages) = channel();
    let mut runtime = Runtime::new(open, words, tell.clone());
    if !options.first {
        runtime.server(options.line.clone())?;
    }
    let size = terminal::size().map_err(|error| format!("the terminal does not say its size: {error}"))?;
    let mut model = Model::new(words, Zone::Local, size, now_ms());
    model.place = options.line.place();
    match options.number {
        _ if options.first => model.ask_server(None),
        Some(number) => {
            model.link = Link::Connecting;
            model.effects.push(Effect::Begin(number));
            model.effects.push(Effect::SignIn { number, password: options.password, hidden: false });
        }
        None => model.ask_account(),
    }
    let mut screen = Screen::open(options.mouse).map_err(|error| format!("the terminal cannot be used: {error}"))?;
    #[cfg(unix)]
    heed(tell.clone())?;
    listen(tell);
    let result = turn(&mut model, &mut runtime, &messages, &mut screen.terminal);
    if !model.quit {
        // The terminal has gone in the middle of it: what was being written is kept all the same.
        model.put_away();
        std::mem::take(&mut model.effects).into_iter().for_each(|effect| runtime.run(effect));
    }
    drop(screen);
    let unsent = runtime.end();
    if unsent > 0 {
        // Where there is no terminal any more, nobody needs to be told.
        let _ = writeln!(io::stdout(), "{}", lang::fill(words.quit_unsent, &[&unsent.to_string()]));
    }
    result.map_err(|error| format!("the terminal is gone: {error}"))
}

/// Keys and the like, on a thread of their own: reading them waits.
fn listen(tell: Sender<Message>) {
    std::thread::spawn(move || {
        while let Ok(event) = crossterm::event::read() {
            let message = match event {
                Event::Key(key) => Message::Key(key),
                Event::Mouse(mouse) => Message::Mouse(mouse),
                Event::Paste(text) => Message::Paste(text),
                Event::Resize(width, height) => Message::Resize(width, height),
                Event::FocusGained | Event::FocusLost => continue,
            };
            if tell.send(message).is_err() {
                return;
            }
        }
        let _ = tell.send(Message::End);
    });
}

/// Whoever ends the program or closes its window lets it keep what is being written. The second time it ends at once.
#[cfg(unix)]
fn heed(tell: Sender<Message>) -> Result<(), String> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut signals = signals.map_err(|error| format!("cannot wait for signals: {error}"))?;
    std::thread::spawn(move || {
        let mut ending = false;
        for signal in signals.forever() {
            if ending {
                close();
                std::process::exit(128 + signal);
            }
            ending = tell.send(Message::End).is_ok();
        }
    });
    Ok(())
}

fn turn<B: ratatui::backend::Backend<Error = io::Error>>(
    model: &mut Model,
    runtime: &mut Runtime,
    messages: &Receiver<Message>,
    terminal: &mut Terminal<B>,
) -> io::Result<()> {
    let (mut kept, mut kept_at) = (String::new(), model.now);
    let mut changed = true;
    loop {
        // What comes of an effect may come at once.
        while !model.effects.is_empty() {
            for effect in std::mem::take(&mut model.effects) {
                runtime.run(effect);
            }
            while let Ok(message) = messages.try_recv() {
                model.update(message);
            }
            changed = true;
        }
        if model.quit {
            return Ok(());
        }
        if changed {
            terminal.draw(|frame| view::view(model, frame))?;
        }
        let next = messages.recv_timeout(TICK);
        model.now = now_ms();
        changed = true;
        match next {
            Ok(message) => model.update(message),
            Err(RecvTimeoutError::Timeout) => {
                let before = (model.link.clone(), model.flash.is_some());
                model.update(runtime.tick());
                changed = before != (model.link.clone(), model.flash.is_some());
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        // Everything that waits is taken before anything is drawn: a thousand messages are one picture.
        while let Ok(message) = messages.try_recv() {
            model.update(message);
            changed = true;
        }
        let written = model.input.text();
        if written != kept
            && model.now - kept_at >= TICK.as_millis() as i64
            && let Some(chat) = &model.chat
        {
            (kept, kept_at) = (written.to_owned(), model.now);
            runtime.run(Effect::Draft { to: chat.peer, text: kept.clone() });
        }
    }
}

/// The terminal in its other state; it is as it was when this is dropped, also in a panic.
struct Screen {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
}

impl Screen {
    fn open(mouse: bool) -> io::Result<Self> {
        enable_raw_mode()?;
        let mut out = io::stdout();
        execute!(out, EnterAlternateScreen, EnableBracketedPaste)?;
        if mouse {
            execute!(out, EnableMouseCapture)?;
        }
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            close();
            before(panic);
        }));
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(out))? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        close();
    }
}

fn close() {
    let mut out = io::stdout();
    // If the terminal is gone, there is nothing to put right.
    let _ = execute!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, crossterm::cursor::Show);
    let _ = disable_raw_mode();
    let _ = out.flush();
}

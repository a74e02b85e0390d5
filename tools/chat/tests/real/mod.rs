//! The real programs: `oicqd` as a process that can be killed, and `oicq` in a terminal whose screen is read as text.
#![allow(dead_code, reason = "each test program uses its own part of it")]
#![allow(clippy::disallowed_methods, reason = "real programs need real time")]

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

/// How long something may take on a busy machine before the test says that it never came.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the screen is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The program under test.
pub const OICQ: &str = env!("CARGO_BIN_EXE_oicq");

static BUILT: Once = Once::new();

/// The server's program, which belongs to another package: built here if it is not there or old.
fn oicqd() -> PathBuf {
    let directory = Path::new(OICQ).parent().expect("a directory").to_owned();
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "-q", "-p", "oicq", "--bin", "oicqd", "--target-dir"]);
        build.arg(directory.parent().expect("the target directory"));
        if directory.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "oicqd can be built");
    });
    directory.join("oicqd")
}

/// A running server, killed when the test ends.
pub struct Server {
    process: std::process::Child,
    data: PathBuf,
    arguments: Vec<String>,
    pub address: String,
}

impl Server {
    pub fn start(data: &Path) -> Self {
        Self::with(data, &[])
    }

    /// With more arguments.
    pub fn with(data: &Path, arguments: &[&str]) -> Self {
        Self::start_at(data, "127.0.0.1:0", arguments.iter().map(ToString::to_string).collect())
    }

    fn start_at(data: &Path, listen: &str, arguments: Vec<String>) -> Self {
        let mut process = Command::new(oicqd())
            .args(["--listen", listen, "--shards", "1", "--data"])
            .arg(data)
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("oicqd starts");
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        let mut banner = String::new();
        while !banner.contains("shards ") && out.read_line(&mut banner).expect("the banner") > 0 {}
        let address = banner.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
        let address = address.unwrap_or_else(|| panic!("no address in {banner:?}")).to_owned();
        Self { process, data: data.to_owned(), arguments, address }
    }

    /// What its operator does by a command; gives what was printed.
    pub fn operate(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(oicqd());
        let output = command.args(arguments).arg("--data").arg(&self.data).output().expect("oicqd runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// It does not run until it is killed: what is sent to it lies there.
    pub fn freeze(&self) {
        signal("-STOP", self.process.id());
    }

    /// The next start, at the same address.
    pub fn restart(&mut self) {
        let (data, address, arguments) = (self.data.clone(), self.address.clone(), self.arguments.clone());
        *self = Self::start_at(&data, &address, arguments);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that ends with the test, whatever becomes of that.
pub struct Running(pub Option<std::process::Child>);

impl Running {
    /// Its end, and what it has said.
    pub fn output(mut self) -> std::process::Output {
        self.0.take().expect("it has not ended").wait_with_output().expect("it ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `oicq` as a script uses it: lines or nothing on its standard input.
pub fn script(home: &Path, arguments: &[&str], input: &str) -> std::process::Output {
    start_script(home, arguments, input).output()
}

/// The same, without waiting for its end.
pub fn start_script(home: &Path, arguments: &[&str], input: &str) -> Running {
    let mut child = Command::new(OICQ)
        .arg("--profile")
        .arg(home)
        .args(arguments)
        .env("OICQ_PASSWORD", "secret")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("oicq starts");
    // One that wants nothing has ended before it is all written.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    Running(Some(child))
}

/// `oicq` in a terminal.
pub struct Terminal {
    screen: Arc<Mutex<vt100::Parser>>,
    /// Everything that it was sent.
    sent: Arc<Mutex<Vec<u8>>>,
    keys: Box<dyn Write + Send>,
    process: Box<dyn Child + Send + Sync>,
    terminal: Box<dyn MasterPty + Send>,
}

impl Terminal {
    pub fn start(home: &Path, size: (u16, u16), language: &str, arguments: &[&str]) -> Self {
        let (cols, rows) = size;
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).expect("a pty");
        let mut command = CommandBuilder::new(OICQ);
        command.arg("--profile");
        command.arg(home);
        command.args(arguments);
        for name in ["OICQ_PASSWORD", "LC_ALL", "LC_MESSAGES"] {
            command.env_remove(name);
        }
        command.env("LANG", language);
        command.env("TERM", "xterm-256color");
        command.env("HOME", home);
        let process = pair.slave.spawn_command(command).expect("oicq starts");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(some(rows), some(cols), 0)));
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let sent = Arc::new(Mutex::new(Vec::new()));
        std::thread::spawn({
            let (screen, sent) = (Arc::clone(&screen), Arc::clone(&sent));
            move || {
                let mut buffer = [0; 8_192];
                while let Ok(count @ 1..) = reader.read(&mut buffer) {
                    sent.lock().expect("no panic").extend_from_slice(&buffer[..count]);
                    screen.lock().expect("no panic").process(&buffer[..count]);
                }
            }
        });
        let keys = pair.master.take_writer().expect("a writer");
        Self { screen, sent, keys, process, terminal: pair.master }
    }

    /// Presses keys, as the terminal sends them.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("the terminal is open");
        self
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        self.screen.lock().expect("no panic").screen().contents()
    }

    /// Everything that the terminal was sent.
    pub fn sent(&self) -> Vec<u8> {
        self.sent.lock().expect("no panic").clone()
    }

    /// Waits until these words are on the screen.
    #[track_caller]
    pub fn shows(&mut self, words: &str) -> &mut Self {
        let end = Instant::now() + PATIENCE;
        while !self.text().contains(words) {
            assert!(Instant::now() < end, "{words:?} never came:\n{}", self.text());
            std::thread::sleep(LOOK);
        }
        self
    }

    /// Waits until these words are not on the screen any more. A key that begins like the next one, as Esc does, must have
    /// been taken before that is pressed.
    #[track_caller]
    pub fn hides(&mut self, words: &str) -> &mut Self {
        until(words, || !self.text().contains(words));
        self
    }

    /// The window has another size now.
    pub fn resize(&mut self, size: (u16, u16)) {
        let (cols, rows) = size;
        self.screen.lock().expect("no panic").screen_mut().set_size(some(rows), some(cols));
        self.terminal.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).expect("a pty");
    }

    /// The same while the program has nothing to do, and lets so much time pass, exactly.
    pub fn resize_at_rest(&mut self, size: (u16, u16), pause: Duration) {
        std::thread::sleep(LOOK);
        self.resize(size);
        let resized = Instant::now();
        while resized.elapsed() < pause {
            std::hint::spin_loop();
        }
    }

    /// Quits, and waits for the end.
    #[track_caller]
    pub fn quit(&mut self) {
        self.keys("\x11").ends();
    }

    /// Sends it a signal, as a window does that is closed.
    #[track_caller]
    pub fn signal(&mut self, name: &str) {
        signal(name, self.process.process_id().expect("it runs"));
        self.ends();
    }

    #[track_caller]
    fn ends(&mut self) {
        let end = Instant::now() + PATIENCE;
        while self.process.try_wait().expect("a process").is_none() {
            assert!(Instant::now() < end, "it does not end:\n{}", self.text());
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

#[track_caller]
fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(sent.expect("kill runs").success(), "{process} takes {name}");
}

fn some(cells: u16) -> std::num::NonZeroU16 {
    cells.try_into().expect("a size")
}

/// Waits until this holds.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "it never came: {what}");
        std::thread::sleep(LOOK);
    }
}

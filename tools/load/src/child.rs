//! Servers that a comparison starts: each on its core, in a directory of its own, and ended with the comparison.

use crate::sys;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A new directory that goes away with this value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in the system's directory for temporary files.
    pub fn new() -> Result<Self, String> {
        let parent = std::env::temp_dir();
        let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos());
        let path = parent.join(format!("oicq-load-{}-{nanos}", std::process::id()));
        // Fails if it exists: nothing that was there before is ever removed.
        fs::create_dir(&path)
            .map_err(|error| format!("no directory could be made in {}: {error}", parent.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("oicq-load: {} could not be removed: {error}", self.0.display());
        }
    }
}

/// The arguments that lift a server's budgets of an account: what is measured is the server, and not how it holds one
/// user up. None for a program of a time before it had any.
pub fn lift_budgets(program: &Path, scratch: &Scratch) -> Result<Vec<OsString>, String> {
    let help =
        Command::new(program).arg("--help").output().map_err(|error| format!("{}: {error}", program.display()))?;
    if !String::from_utf8_lossy(&help.stdout).contains("--config") {
        return Ok(Vec::new());
    }
    let path = scratch.path().join("oicqd.toml");
    fs::write(&path, NO_BUDGETS).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(vec!["--config".into(), path.into()])
}

/// What such a file says, and what a server that is started by hand needs for a measurement.
pub const NO_BUDGETS: &str = "[budgets]
messages = \"unlimited\"
writes = \"unlimited\"
reads = \"unlimited\"
file-bytes = \"unlimited\"
";

/// A running server. Dropped, it is killed: it keeps nothing that anybody needs.
pub struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program on these cores, its output in a log file.
    pub fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&OsStr],
        cpus: &[usize],
        scratch: &Scratch,
    ) -> Result<Self, String> {
        let log = scratch.path().join(format!("{name}.log"));
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = file.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(scratch.path()).stdin(Stdio::null()).stdout(file).stderr(errors);
        sys::confine(&mut command, cpus);
        let child = command.spawn().map_err(|error| {
            format!("{} could not be started: {error}; give the path of the program", program.display())
        })?;
        Ok(Self { name, child, log })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without a warning, as a crash does.
    pub fn kill(mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(|error| format!("{}: {error}", self.name))?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self, patience: Duration) -> Result<(), String> {
        sys::ask_to_end(self.pid()).map_err(|error| format!("{} is gone: {error}", self.name))?;
        let end = Instant::now() + patience;
        while Instant::now() < end {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(_) => return Err(self.explain(String::new())),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        Err(format!("{} has not ended within {} s after SIGTERM", self.name, patience.as_secs()))
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// An error, with the last words of the server where it has ended.
    pub fn explain(&mut self, error: String) -> String {
        // A server that is dying may need a moment for its last words.
        std::thread::sleep(Duration::from_millis(200));
        let Ok(Some(status)) = self.child.try_wait() else { return format!("{}: {error}", self.name) };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("(it said nothing)");
        format!("{} ended ({status}): {last}", self.name)
    }

    /// The cores on which any of its threads may run, as the kernel writes them: one of them if all agree.
    pub fn cores(&self) -> Vec<String> {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.pid())) else { return Vec::new() };
        let mut lists: Vec<String> = tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
            .filter_map(|status| {
                Some(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim().to_owned())
            })
            .collect();
        lists.sort();
        lists.dedup();
        lists
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How others have used the cores beside the driver and the server, until a moment.
#[derive(Debug, Clone, Copy)]
pub struct Others {
    in_line: Duration,
    /// `None` where the kernel does not say.
    busy: Option<Duration>,
}

impl Others {
    /// Until now; `server` is its process, if that is known.
    pub fn now(server: Option<u32>) -> Self {
        let own = || [Some(std::process::id()), server].into_iter().flatten();
        let used: Duration = own().filter_map(cpu_split).map(|(user, system)| user + system).sum();
        Self { in_line: own().filter_map(time_in_line).sum(), busy: cores_busy().map(|busy| busy.saturating_sub(used)) }
    }

    /// How long others kept driver and server from running since then: so long their threads stood in line, and so long the
    /// cores were busy with something else, whichever is less. Threads of one process stand in line for each other, too, and
    /// a core that is hardly busy is counted inexactly.
    pub fn since(self, before: Self) -> Duration {
        let in_line = self.in_line.saturating_sub(before.in_line);
        let busy = self.busy.zip(before.busy).map(|(now, before)| now.saturating_sub(before));
        busy.map_or(in_line, |busy| busy.min(in_line))
    }
}

/// How long all cores together have been busy, in hundredths of a second; `None` where the kernel does not say.
fn cores_busy() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).map_while(|tick| tick.parse().ok()).collect();
    // user, nice, system, idle, waiting for a disk, interrupts, the same put off, taken by the host
    let [user, nice, system, _, _, interrupts, later, stolen, ..] = ticks[..] else { return None };
    Some(Duration::from_millis(10 * (user + nice + system + interrupts + later + stolen)))
}

/// How long the threads of a process have stood in line for a core, all together; `None` where the kernel does not count.
fn time_in_line(pid: u32) -> Option<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let waits = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(waits.sum()))
}

/// How much CPU time a process has used in its own code and in the kernel, in hundredths of a second.
pub fn cpu_split(pid: u32) -> Option<(Duration, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program may contain anything, so what follows is counted from its end.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || Some(Duration::from_millis(10 * fields.next()?.parse::<u64>().ok()?));
    Some((ticks()?, ticks()?))
}

/// Bytes of memory that a process has in use.
pub fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// A loopback address whose port is free for UDP and TCP at this moment.
pub fn free_address() -> Result<SocketAddr, String> {
    for _ in 0..16 {
        let Ok(udp) = UdpSocket::bind("127.0.0.1:0") else { continue };
        let Ok(address) = udp.local_addr() else { continue };
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no free port on 127.0.0.1 was found".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_is_quoted_and_its_directory_goes() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        let cpu = sys::allowed_cpus().unwrap()[0];
        let arguments = ["-c", "echo nothing to serve; exit 3"].map(OsStr::new);
        let mut server = Running::start("sh", Path::new("/bin/sh"), &arguments, &[cpu], &scratch).unwrap();
        let text = server.explain("no answer".into());
        assert!(text.starts_with("sh ended") && text.ends_with("nothing to serve"), "{text}");
        drop(server);
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_server_ends_when_it_is_asked_or_killed() {
        let scratch = Scratch::new().unwrap();
        let cpu = sys::allowed_cpus().unwrap()[0];
        let start = |script: &str| {
            let arguments = ["-c", script].map(OsStr::new);
            let mut running = Running::start("sh", Path::new("/bin/sh"), &arguments, &[cpu], &scratch).unwrap();
            // Until it has set its trap.
            while fs::metadata(scratch.path().join("sh.log")).unwrap().len() == 0 {
                assert!(running.runs());
                std::thread::sleep(Duration::from_millis(5));
            }
            running
        };
        let polite = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        start(polite).stop(Duration::from_secs(20)).unwrap();
        let stubborn = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
        let error = start(stubborn).stop(Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("after SIGTERM"), "{error}");
        start(stubborn).kill().unwrap();
    }

    #[test]
    fn what_this_process_uses_is_found() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert!(cpu_split(std::process::id()).is_some());
        assert_eq!(resident(u32::MAX), None);
    }

    #[test]
    fn a_child_runs_on_its_core_only() {
        let scratch = Scratch::new().unwrap();
        let cpu = sys::allowed_cpus().unwrap()[0];
        let server = Running::start("sleep", Path::new("/bin/sleep"), &[OsStr::new("30")], &[cpu], &scratch).unwrap();
        assert_eq!(server.cores(), [cpu.to_string()]);
    }
}

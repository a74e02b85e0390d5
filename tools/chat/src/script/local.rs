//! Between two `oicq` of one account: the one that is signed in does what the others are asked for, through a socket in its
//! directory that only its owner can reach.

#[cfg(unix)]
use super::perform::{perform, status};
use crate::engine::Engine;
use crate::keep::Keep;
use serde_json::Value;
#[cfg(unix)]
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// The socket of an account.
#[cfg(unix)]
fn path(keep: &Keep, number: u32) -> PathBuf {
    keep.file(&format!("{number}.sock"))
}

/// A socket that is gone when this is dropped.
pub struct Served(PathBuf);

impl Drop for Served {
    fn drop(&mut self) {
        // What is not there serves nobody.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Has another program do it; `None` if none has this account open.
#[cfg(unix)]
pub fn ask(keep: &Keep, number: u32, request: &Value, emit: &mut dyn FnMut(Value) -> bool) -> Option<u8> {
    use std::io::{BufRead, BufReader, Write};

    let mut socket = std::os::unix::net::UnixStream::connect(path(keep, number)).ok()?;
    writeln!(socket, "{request}").ok()?;
    for line in BufReader::new(socket).lines().map_while(Result::ok) {
        let Ok(mut line) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(code) = line["exit"].as_u64() {
            return Some(u8::try_from(code).unwrap_or(status::FAILED));
        }
        if !emit(line.take()) {
            return Some(status::DONE);
        }
    }
    emit(json!({ "type": "error", "text": "the other oicq ended meanwhile" }));
    Some(status::FAILED)
}

/// Does what others of this account are asked for, as long as what is given back lives. Where that cannot be, a path that is
/// too long for a socket, the others say that the account is open already.
#[cfg(unix)]
pub fn serve(engine: &Arc<Engine>, number: u32) -> Option<Served> {
    use std::io::{BufRead, BufReader, Write};

    let path = path(&engine.keep, number);
    // It is left from a program that was killed: this one has the account to itself.
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path).ok()?;
    let weak = Arc::downgrade(engine);
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let Some(engine) = weak.upgrade() else { return };
            std::thread::spawn(move || {
                let mut line = String::new();
                let Ok(mut answers) = socket.try_clone() else { return };
                let Ok(_) = BufReader::new(socket).read_line(&mut line) else { return };
                let request = serde_json::from_str(&line).unwrap_or_default();
                let mut emit = |line: Value| writeln!(answers, "{line}").is_ok();
                let code = perform(&engine, &request, &mut emit);
                emit(json!({ "exit": code }));
            });
        }
    });
    Some(Served(path))
}

/// Without sockets in the file system each program is on its own.
#[cfg(not(unix))]
pub fn ask(_: &Keep, _: u32, _: &Value, _: &mut dyn FnMut(Value) -> bool) -> Option<u8> {
    None
}

/// Without sockets in the file system each program is on its own.
#[cfg(not(unix))]
pub fn serve(_: &Arc<Engine>, _: u32) -> Option<Served> {
    None
}

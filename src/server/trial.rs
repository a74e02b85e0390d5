//! A server inside the caller's process, for examples that are run as tests: a doc test is built before the program is,
//! and cannot look for it.

use super::args::{Arguments, Serve};
use super::config::Settings;
use super::{Fatal, Server, Start, checks, identity, listen, open_store};
use clap::Parser;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// A small server on a free port of 127.0.0.1, with one shard and a data directory of its own. Dropping it ends the server
/// and removes the directory.
pub struct Trial {
    /// Where it listens.
    pub address: SocketAddr,
    /// The line for its clients.
    pub line: String,
    server: Option<Server>,
    data: PathBuf,
}

impl Trial {
    /// Starts one.
    pub fn start() -> Result<Self, Fatal> {
        checks::system()?;
        let claims = listen::claim(&[(Ipv4Addr::LOCALHOST, 0).into()])?;
        let address = claims[0].address();
        let data = std::env::temp_dir().join(format!("oicq-trial-{}-{}", std::process::id(), address.port()));
        let arguments = Arguments::try_parse_from(["oicqd"]).map_err(|error| Fatal(super::args::one_line(&error)))?;
        let serve = Serve { data: data.clone(), ..arguments.serve };
        checks::data_directory(&data)?;
        let store = open_store(&data, &mut io::sink())?;
        let connections = checks::connections(1, 1)?;
        let private = identity::private_key(&data, false)?;
        let line = identity::server_line(address, &private);
        let start = Start {
            store,
            claims,
            shards: 1,
            // Without a core of its own the shard runs wherever there is room.
            cores: Vec::new(),
            connections,
            serve,
            settings: Settings::default(),
            // The caller's process has its own log.
            set_filter: Box::new(|_| Ok(())),
            private,
            line: line.clone(),
        };
        Ok(Self { address, line, server: Some(start.run()?), data })
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            // It was only a trial: what it could not keep is removed anyway.
            let _ = server.end();
        }
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::Trial;
    use crate::wire::{Dialect, Profile, Server, User};
    use std::net::UdpSocket;
    use std::time::Duration;

    #[test]
    fn it_answers_and_leaves_nothing_behind() {
        let trial = Trial::start().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (mut frame, mut reply) = (Vec::new(), [0; 1_000]);
        let profile = Profile { nickname: "Li Lei", password: "secret", ..Profile::default() };
        User::register(profile).encode(&mut frame);
        socket.send_to(&frame, trial.address).unwrap();
        let count = socket.recv(&mut reply).unwrap();
        let registered = Server::decode(&reply[..count], Dialect::Classic);
        assert_eq!(registered, Ok(Server::Registered { ok: 1, number: 10_000 }));
        let data = trial.data.clone();
        drop(trial);
        assert!(!data.exists());
    }
}

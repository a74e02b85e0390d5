//! Reads the configuration file again while the server runs: at SIGHUP, and when the operator says so.
//!
//! A file with a mistake changes nothing. What the command line says goes before the file.

use super::Fatal;
use super::args::Serve;
use super::config::{self, Settings};
use super::logging::{self, SetFilter};
use super::mesh::{Mesh, Message};
use crate::shard::{Control, Policy};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The settings for this command line: those of its file, and over them what it says itself.
pub fn settings(serve: &Serve) -> Result<Settings, Fatal> {
    let mut settings = serve.config.as_deref().map_or_else(|| Ok(Settings::default()), config::read)?;
    if let Some(filter) = &serve.log {
        settings.log_filter.clone_from(filter);
    }
    if let Some(register) = serve.register {
        settings.policy.registration = register.mode();
    }
    Ok(settings)
}

/// What reads the file again.
pub struct Reloader {
    serve: Serve,
    set_filter: SetFilter,
    mesh: Arc<Mesh>,
    /// One reload at a time, so that the last one to begin is the one that counts.
    turn: Mutex<()>,
}

impl Reloader {
    /// For a server that was started like this.
    pub fn new(serve: Serve, set_filter: SetFilter, mesh: Arc<Mesh>) -> Self {
        Self { serve, set_filter, mesh, turn: Mutex::new(()) }
    }

    /// Reads the file and puts it in force, or says why everything stays as it was.
    pub fn reload(&self) -> Result<String, String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = self.file() else {
            return Err("the server was started without --config: there is no file to read again".to_owned());
        };
        let settings = settings(&self.serve).map_err(|wrong| format!("{wrong}; nothing was changed"))?;
        let filter = logging::parse(&settings.log_filter)?;
        (self.set_filter)(filter)?;
        let policy: Arc<Policy> = Arc::new(settings.policy);
        self.mesh.post_all(|| Message::Control(Control::Policy(Arc::clone(&policy))));
        Ok(format!("{} is in force", path.display()))
    }

    /// The same for a signal, whose sender sees nothing but the log.
    pub fn reload_for_signal(&self) {
        match self.reload() {
            Ok(done) => tracing::info!("reload: {done}"),
            Err(why) => tracing::error!("reload: {why}"),
        }
    }

    fn file(&self) -> Option<&PathBuf> {
        self.serve.config.as_ref()
    }
}

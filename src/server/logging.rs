//! The log on standard error, and how what is logged is changed while the program runs.

use super::Fatal;
use super::args::LogFormat as Format;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Changes what is logged.
pub type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// Begins to log what this filter lets through.
pub fn start(filter: &str, format: Format) -> Result<SetFilter, Fatal> {
    let filter = parse(filter)
        .map_err(|error| Fatal(format!("--log {error}; write a level (error, warn, info, debug) or oicq=debug")))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // If nobody reads standard error, that is no reason to say so there, and to end.
        .log_internal_errors(false);
    Ok(match format {
        Format::Text => {
            let subscriber = subscriber.with_ansi(io::stderr().is_terminal()).with_filter_reloading();
            let handle = subscriber.reload_handle();
            subscriber.init();
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
        Format::Json => {
            let subscriber = subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false);
            let subscriber = subscriber.with_filter_reloading();
            let handle = subscriber.reload_handle();
            subscriber.init();
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
    })
}

/// A filter, or in one line why it is none.
pub fn parse(filter: &str) -> Result<EnvFilter, String> {
    filter.parse().map_err(|error| format!("{filter:?} is no filter: {error}"))
}

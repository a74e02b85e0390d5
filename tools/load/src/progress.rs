//! How far it is, for whoever watches: a bar where standard error is a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// The bar. It goes away with this value.
pub struct Bar(ProgressBar);

impl Bar {
    /// So many of something are to come; 0 if that is not known.
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::new_spinner() };
        let template = if total > 0 { "{bar:40} {pos} of {len} {msg}" } else { "{spinner} {pos} {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    /// For a round of a measurement: it moves with the time, and tells how many are done.
    pub fn of_round(seconds: f64) -> Self {
        let bar = ProgressBar::new((seconds * 10.0) as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {msg} done") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// So many are done.
    pub fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// So many are done after so long.
    pub fn round(&self, elapsed: Duration, done: u64) {
        self.0.set_position((elapsed.as_secs_f64() * 10.0) as u64);
        self.0.set_message(done.to_string());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

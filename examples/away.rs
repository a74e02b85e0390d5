//! An away-message bot: tells everybody who writes, once an hour each, that nobody is there. What was written stays in the
//! program's hands; a message that must wait for its owner is better left at the server, by not signing in.
//!
//! ```sh
//! OICQ_PASSWORD=… cargo run --example away -- 127.0.0.1:8000 10001 "back on Monday"
//! ```
#![allow(clippy::disallowed_methods, reason = "an hour is real time")]

use oicq::client::{Client, Connect, Event, ServerLine, Status};
use std::collections::BTreeMap;
use std::error::Error as Any;
use std::time::{Duration, Instant};

/// Nobody is told twice within this time: two such programs would talk to each other for ever.
const QUIET: Duration = Duration::from_secs(3_600);

fn main() -> Result<(), Box<dyn Any>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [line, number, words] = &arguments[..] else { return Err("usage: away SERVER NUMBER WORDS".into()) };
    let password = std::env::var("OICQ_PASSWORD").map_err(|_| "the password comes from OICQ_PASSWORD")?;
    let line: ServerLine = line.parse()?;
    let (client, events) = Client::connect(Connect { keep_password: true, ..Connect::new(line) })?;
    client.sign_in(number.parse()?, &password, false)?;
    client.set_status(Status::Busy)?;
    println!("{number} is away");
    let mut told: BTreeMap<u32, Instant> = BTreeMap::new();
    for event in events {
        match event {
            Event::Message { from, text, .. } => {
                println!("{from}: {text}");
                let now = Instant::now();
                if told.get(&from).is_none_or(|before| now.duration_since(*before) >= QUIET) {
                    client.message(from, words)?;
                    told.insert(from, now);
                }
            }
            Event::SignInAgain { reason } => return Err(reason.into()),
            Event::KeyChanged { .. } => return Err("the server shows another key".into()),
            _ => {}
        }
    }
    Ok(())
}

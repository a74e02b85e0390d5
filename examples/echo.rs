//! An echo bot: says to everybody what they have said, as long as it runs.
//!
//! ```sh
//! OICQ_PASSWORD=… cargo run --example echo -- 127.0.0.1:8000 10001
//! ```
//!
//! A bot that is killed between taking a message and answering it has lost the answer. One that must not writes the
//! message down first: see `Events::peek`.

use oicq::client::{Client, Connect, Error, Event, ReceiptState, ServerLine};
use std::error::Error as Any;

fn main() -> Result<(), Box<dyn Any>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [line, number] = &arguments[..] else { return Err("usage: echo SERVER NUMBER".into()) };
    let password = std::env::var("OICQ_PASSWORD").map_err(|_| "the password comes from OICQ_PASSWORD")?;
    let line: ServerLine = line.parse()?;
    // A token is good for reconnections; the password for the day on which it is not.
    let (client, events) = Client::connect(Connect { keep_password: true, ..Connect::new(line) })?;
    client.sign_in(number.parse()?, &password, false)?;
    println!("{number} listens");
    for event in events {
        match event {
            // The receipt comes as an event, too; nobody has to wait for it.
            Event::Message { from, text, .. } => match client.message(from, &text) {
                Ok(_) => println!("{from} said something"),
                Err(Error::Invalid(reason)) => println!("{from} cannot be answered: {reason}"),
                Err(error) => return Err(error.into()),
            },
            Event::Receipt { to, state: ReceiptState::Refused { code }, .. } => {
                println!("{to} did not get the answer: {}", oicq::client::reason(code));
            }
            // Somebody wants to have it in their list: with pleasure.
            Event::Asked { from, .. } => client.answer(from, true)?,
            // The library connects anew by itself; this is what it cannot mend.
            Event::SignInAgain { reason } => return Err(reason.into()),
            Event::KeyChanged { .. } => return Err("the server shows another key".into()),
            _ => {}
        }
    }
    Ok(())
}

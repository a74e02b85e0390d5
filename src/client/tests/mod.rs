//! Tests of the client: the core by a clock of its own, the driver against a small server on loopback.

mod core;
mod driver;

use crate::wire::{FriendEntry, GroupEntry, List, Server};

fn encoded(frame: &Server<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

/// The answer to a good sign-in: one group with one friend.
fn signed_in() -> Vec<u8> {
    let friends = [FriendEntry { number: 10_001, portrait: 3, status: 1, nickname: "Han Meimei" }];
    let groups = [GroupEntry { name: "My Friends", group: 1, friends: List::new(&friends) }];
    encoded(&Server::SignedIn { ok: 1, groups: List::new(&groups), token: None })
}

fn words(text: &str) -> Vec<u8> {
    encoded(&Server::Message { flag: 1, sender: 0, text, kind: 0, id: None, time: None })
}

//! What the server counts about itself, for the operator.

use crate::shard::Counters;
use std::ops::AddAssign;

/// What one shard's sockets and queues have seen since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams read.
    pub datagrams_in: u64,
    /// Datagrams written.
    pub datagrams_out: u64,
    /// Datagrams not written because their socket had too many waiting.
    pub datagrams_dropped: u64,
    /// Datagrams that the system refused to send.
    pub datagrams_refused: u64,
    /// Datagrams that the kernel gave to another shard than their number's.
    pub wrong_shard: u64,
    /// Datagrams and frames of connections that are no frames.
    pub malformed: u64,
    /// Messages for users of other shards.
    pub peers_out: u64,
    /// Connections that are open now.
    pub streams: u64,
    /// Connections accepted.
    pub streams_accepted: u64,
    /// Connections closed because their number was at its bound.
    pub streams_refused: u64,
    /// Connections closed because they read too slowly.
    pub streams_slow: u64,
    /// Connections closed because they were silent.
    pub streams_silent: u64,
    /// How often the shard stopped reading because another one or the store had too much.
    pub pauses: u64,
}

/// What one shard tells about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Which shard.
    pub shard: usize,
    /// What its rules have counted.
    pub counters: Counters,
    /// What its sockets have seen.
    pub traffic: Traffic,
    /// Batches that wait for it.
    pub inbox: u64,
    /// Batches that wait here for other shards.
    pub held_for_peers: u64,
    /// Requests that wait here for the store.
    pub held_for_store: u64,
}

impl AddAssign<&Report> for Report {
    fn add_assign(&mut self, other: &Report) {
        for ((_, mine), (_, theirs)) in self.fields_mut().into_iter().zip(other.fields()) {
            *mine += theirs;
        }
    }
}

/// Lists every figure with its name once, for reading and for adding up.
macro_rules! figures {
    ($($group:ident { $($name:ident),* $(,)? })* ; $($own:ident),*) => {
        impl Report {
            /// Every figure with its name.
            pub fn fields(&self) -> Vec<(&'static str, u64)> {
                vec![$($((stringify!($name), self.$group.$name),)*)* $((stringify!($own), self.$own),)*]
            }

            fn fields_mut(&mut self) -> Vec<(&'static str, &mut u64)> {
                vec![$($((stringify!($name), &mut self.$group.$name),)*)* $((stringify!($own), &mut self.$own),)*]
            }
        }
    };
}

figures! {
    counters {
        online, announced, registered, sign_ins, sign_ins_refused, timed_out, messages, delivered, stored, presence, malformed,
        foreign, unsigned, repeats, refused, classic_refused, receipts, hellos, retries, replaced, handshakes,
        unknown, forged, replayed, unopened, resumes, moved, gone, kept, resumed,
    }
    traffic {
        datagrams_in, datagrams_out, datagrams_dropped, datagrams_refused, wrong_shard, peers_out, streams,
        streams_accepted, streams_refused, streams_slow, streams_silent, pauses,
    }
    ; inbox, held_for_peers, held_for_store
}

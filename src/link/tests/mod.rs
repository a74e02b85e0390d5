//! The link against bytes that were made elsewhere, and two ends against each other over a bad network.

mod pair;
mod shut;
mod starts;
mod vectors;

use super::{Keys, Link};

/// Protocol.md 2.3: what an idle link costs.
#[test]
fn an_idle_link_is_small() {
    println!("an idle link: {} bytes, of which {} are keys", size_of::<Link>(), size_of::<Keys>());
    assert!(size_of::<Link>() <= 400, "{}", size_of::<Link>());
}

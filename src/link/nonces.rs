//! Which keys and counters were used together, in this thread: for tests and simulations, in which none may be used twice
//! for different plaintexts, whoever seals.

use rustc_hash::{FxHashMap, FxHasher};
use std::cell::RefCell;
use std::hash::Hasher;

/// What was sealed under each key and counter: a hash of it.
type Used = FxHashMap<([u8; 32], u64), u64>;

thread_local! {
    /// `None` while nobody watches.
    static USED: RefCell<Option<Used>> = const { RefCell::new(None) };
}

/// From now on this thread panics where a key and a counter are used again. What was used before is forgotten.
pub fn watch_nonces() {
    USED.set(Some(FxHashMap::default()));
}

/// A packet, header and plaintext, is about to be sealed.
pub(super) fn used(key: &[u8; 32], counter: u64, packet: &[u8]) {
    USED.with_borrow_mut(|used| {
        let Some(used) = used else { return };
        let mut hasher = FxHasher::default();
        hasher.write(packet);
        let content = hasher.finish();
        let before = *used.entry((*key, counter)).or_insert(content);
        assert!(before == content, "a key and the counter {counter} are used twice");
    });
}

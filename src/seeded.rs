//! Hash tables whose keys strangers choose.
//!
//! A hash function that everybody can compute lets a stranger choose keys that collide, and each look-up then walks all of
//! them. These tables hash with a seed that nobody outside knows. They cannot be made without one (there is no `Default`),
//! and `tests/tidy.rs` allows no other hash table in the server's rooms.

use ahash::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

/// A map with a seeded hash, made by [`Seed::map`].
pub type SeededMap<K, V> = HashMap<K, V, Seed>;
/// A set with a seeded hash, made by [`Seed::set`].
pub type SeededSet<K> = HashSet<K, Seed>;

/// What a stranger would have to know to choose keys that collide.
#[derive(Clone)]
pub struct Seed(RandomState);

impl Seed {
    /// From random bytes. The same bytes hash in the same way, so that a run can be repeated.
    pub fn new(bytes: [u8; 32]) -> Self {
        let word = |at: usize| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().expect("eight bytes"));
        Self(RandomState::with_seeds(word(0), word(1), word(2), word(3)))
    }

    /// An empty map.
    pub fn map<K, V>(&self) -> SeededMap<K, V> {
        HashMap::with_hasher(self.clone())
    }

    /// An empty set.
    pub fn set<K>(&self) -> SeededSet<K> {
        HashSet::with_hasher(self.clone())
    }

    /// The hash of one value.
    pub fn hash(&self, value: impl Hash) -> u64 {
        self.0.hash_one(value)
    }
}

impl BuildHasher for Seed {
    type Hasher = <RandomState as BuildHasher>::Hasher;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// It is never shown.
impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    /// Keys whose hashes agree in the bits that choose a place in a table of 4,096.
    fn colliding(seed: &Seed, count: usize) -> Vec<Ipv6Addr> {
        let wanted = seed.hash(Ipv6Addr::LOCALHOST) & 0xFFF;
        let all = (0_u128..).map(|at| Ipv6Addr::from_bits(0x2001_0db8 << 96 | at << 64));
        all.filter(|key| seed.hash(key) & 0xFFF == wanted).take(count).collect()
    }

    #[test]
    fn keys_chosen_for_one_seed_do_not_collide_under_another() {
        let (known, secret) = (Seed::new([1; 32]), Seed::new([2; 32]));
        let keys = colliding(&known, 64);
        let mut places: Vec<u64> = keys.iter().map(|key| secret.hash(key) & 0xFFF).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() > 55, "64 keys in 4,096 places: {} different", places.len());
        assert_eq!(known.hash(keys[0]), Seed::new([1; 32]).hash(keys[0]), "the same seed is the same hash");
    }
}

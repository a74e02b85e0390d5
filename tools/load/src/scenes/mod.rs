//! What is measured: each scene begins something again and again, and knows when it is done.

pub mod comeback;
pub mod drain;
pub mod idle;
pub mod messages;
pub mod presence;
pub mod search;
pub mod sign_ins;
#[cfg(test)]
mod tests;
pub mod workday;

/// Chance that is the same in each run: xorshift.
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `bound`, each as likely as the other.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Below `bound`, the low ones far more often: a tenth of them comes in nearly half of the cases.
    pub fn skewed(&mut self, bound: u32) -> u32 {
        let uniform = f64::from(self.below(1 << 30)) / f64::from(1 << 30);
        ((uniform.powi(3) * f64::from(bound)) as u32).min(bound - 1)
    }
}

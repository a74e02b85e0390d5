//! Timers of many users: a wheel of milliseconds. Setting one costs a push, and one that is not needed any more is passed
//! over when it comes.

/// Milliseconds that the wheel reaches ahead; what is due later is put in again on the way.
const SLOTS: u64 = 65_536;

/// The wheel.
pub struct Wheel {
    slots: Vec<Vec<u32>>,
    /// All up to this have come.
    at_ms: u64,
}

impl Wheel {
    /// An empty one.
    pub fn new(now_ms: u64) -> Self {
        Self { slots: vec![Vec::new(); SLOTS as usize], at_ms: now_ms }
    }

    /// `who` comes at this time, or a millisecond from now if that is past. Gives the time at which it will.
    pub fn put(&mut self, at_ms: u64, who: u32) -> u64 {
        let at_ms = at_ms.clamp(self.at_ms + 1, self.at_ms + SLOTS - 1);
        self.slots[(at_ms % SLOTS) as usize].push(who);
        at_ms
    }

    /// Those whose time has come, about so many at most; the others come with the next call.
    pub fn advance(&mut self, now_ms: u64, most: usize, who: &mut Vec<u32>) {
        while self.at_ms < now_ms && who.len() < most {
            self.at_ms += 1;
            who.append(&mut self.slots[(self.at_ms % SLOTS) as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_at_its_time() {
        let mut wheel = Wheel::new(100);
        assert_eq!((wheel.put(50, 1), wheel.put(105, 2), wheel.put(1_000_000, 3)), (101, 105, 65_635));
        let mut who = Vec::new();
        wheel.advance(104, 10, &mut who);
        assert_eq!(who, [1]);
        wheel.advance(105, 10, &mut who);
        assert_eq!(who, [1, 2]);
        wheel.advance(70_000, 10, &mut who);
        assert_eq!(who, [1, 2, 3]);
    }
}

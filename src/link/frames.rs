//! Frames that a packet has completed, handed up in order.

/// A frame handed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// The frame with its header.
    pub bytes: &'a [u8],
    /// It came outside the order, and would not have come again.
    pub loose: bool,
}

/// Frames handed up, one after the other in one buffer that the caller keeps and reuses.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where each ends, and whether it is loose.
    ends: Vec<(usize, bool)>,
}

impl Frames {
    /// The frames in the order in which they are to be handled.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |(end, loose)| {
            let bytes = &self.bytes[start..*end];
            start = *end;
            Received { bytes, loose: *loose }
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a frame whose parts are these.
    pub(super) fn push(&mut self, parts: [&[u8]; 2], loose: bool) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push((self.bytes.len(), loose));
    }
}

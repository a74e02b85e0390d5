//! The full screen drawn into text.

//! One measurement of a gauge.

/// Height of the water above chart datum, in metres.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Height(pub f64);

/// A height at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Seconds since the gauge was installed.
    pub seconds: u64,
    pub height: Height,
}

impl Reading {
    pub fn new(seconds: u64, metres: f64) -> Self {
        Self { seconds, height: Height(metres) }
    }

    /// True if the water stands higher than `limit`.
    pub fn is_above(&self, limit: Height) -> bool {
        self.height > limit
    }
}

//! Readings in order of time.

use crate::reading::{Height, Reading};

/// Readings of one gauge, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Series {
    readings: Vec<Reading>,
}

impl Series {
    /// Appends a reading; one that is older than the last is left out.
    pub fn push(&mut self, reading: Reading) -> bool {
        let in_order = self.readings.last().is_none_or(|last| last.seconds <= reading.seconds);
        if in_order {
            self.readings.push(reading);
        }
        in_order
    }

    pub fn len(&self) -> usize {
        self.readings.len()
    }

    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Reading> {
        self.readings.iter()
    }

    /// The reading with the highest water; the first of equal ones.
    pub fn highest(&self) -> Option<&Reading> {
        self.readings.iter().reduce(|best, next| if next.height > best.height { next } else { best })
    }

    /// Mean height over the last `n_readings`, or over all if there are fewer.
    pub fn moving_average(&self, n_readings: usize) -> Option<Height> {
        let tail = &self.readings[self.readings.len().saturating_sub(n_readings)..];
        if tail.is_empty() {
            return None;
        }
        Some(Height(tail.iter().map(|reading| reading.height.0).sum::<f64>() / tail.len() as f64))
    }
}

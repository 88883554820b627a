//! Warnings of high water.

use crate::{reading::Height, series::Series};

/// What to do about the water.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    None,
    /// The last readings are high on average.
    Watch,
    /// Some reading was over the limit.
    Flood,
}

/// The alert for `series` when the quay lies at `limit`.
pub fn check(series: &Series, limit: Height) -> Alert {
    let Some(peak) = series.highest() else {
        return Alert::None;
    };
    if peak.is_above(limit) {
        return Alert::Flood;
    }
    match series.moving_average(6) {
        Some(average) if average.0 > 0.9 * limit.0 => Alert::Watch,
        _ => Alert::None,
    }
}

//! A series in a few lines of text.

use crate::series::Series;

pub fn summary(series: &Series) -> String {
    let Some(peak) = series.highest() else {
        return "no readings".to_owned();
    };
    let average = series.moving_average(6).map_or(0.0, |height| height.0);
    format!("{} readings, peak {:.2} m at {} s, average {:.2} m", series.len(), peak.height.0, peak.seconds, average)
}

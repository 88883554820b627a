//! Tide gauge logs: readings, series of them, and alerts.

pub mod alert;
pub mod parse;
pub mod reading;
pub mod report;
pub mod series;

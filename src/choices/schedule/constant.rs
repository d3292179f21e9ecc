//! The peak rate throughout.

use super::ScheduleKind;

/// For the documentation.
pub const ABOUT: &str = "The peak rate throughout.";

/// The constant schedule; it has no settings.
pub struct Constant;

impl ScheduleKind for Constant {
    fn rate(&self, peak: f64, _: u64) -> f64 {
        peak
    }
}

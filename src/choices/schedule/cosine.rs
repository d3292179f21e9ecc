//! A linear warm-up, then half a cosine down to a minimum rate (Loshchilov and Hutter, arXiv:1608.03983, without
//! restarts).

use super::ScheduleKind;
use crate::choices::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For the documentation.
pub const ABOUT: &str = "Linear warm-up, then a cosine to `min_lr`, then `min_lr`.";
/// An example.
pub const EXAMPLE: Cosine = Cosine {
    warmup_steps: 100,
    decay_steps: 1000,
    min_lr: 1e-4,
    warmup_from: WarmupFrom::Next,
};

/// Lengths in steps, and the minimum rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// Steps of the warm-up; default 0.
    #[serde(default)]
    pub warmup_steps: usize,
    /// Step at which the cosine ends.
    pub decay_steps: usize,
    /// Learning rate at its end.
    pub min_lr: f64,
    /// First rate of the warm-up; default `next`.
    #[serde(default)]
    pub warmup_from: WarmupFrom,
}

/// Start of a warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarmupFrom {
    /// Step t has `peak · t / warmup_steps`: the first step changes nothing (as in the fork used by the capstone).
    Zero,
    /// Step t has `peak · (t + 1) / (warmup_steps + 1)` (nanoGPT today).
    #[default]
    Next,
}

impl ScheduleKind for Cosine {
    fn rate(&self, peak: f64, step: u64) -> f64 {
        let (t, warmup, decay) = (
            step as f64,
            self.warmup_steps as f64,
            self.decay_steps as f64,
        );
        if t < warmup {
            return match self.warmup_from {
                WarmupFrom::Zero => peak * t / warmup,
                WarmupFrom::Next => peak * (t + 1.0) / (warmup + 1.0),
            };
        }
        if t >= decay {
            return self.min_lr;
        }
        let progress = (t - warmup) / (decay - warmup);
        self.min_lr
            + 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress)) * (peak - self.min_lr)
    }

    fn check(&self, peak: f64, findings: &mut Findings) {
        let (warmup, decay, low) = (self.warmup_steps, self.decay_steps, self.min_lr);
        if warmup >= decay {
            findings.say(
                "train.schedule.cosine.warmup_steps",
                format!("the warm-up of {warmup} steps does not end before `decay_steps` {decay}"),
            );
        }
        let path = "train.schedule.cosine.min_lr";
        findings.number(path, low, low >= 0.0, "at least 0");
        if low > peak {
            let message = format!("`min_lr` {low} is above the peak `learning_rate` {peak}");
            findings.say(path, message);
        }
    }
}

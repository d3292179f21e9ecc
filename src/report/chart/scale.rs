//! Scales: a range of data, round ticks and their labels.

use crate::human;

/// A scale: its ends and the positions of its ticks. Logarithmic scales are in powers of ten.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) is_log: bool,
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// Makes a scale over `values` with about `wanted` ticks. `padded` leaves room beyond the data.
    pub(crate) fn new(
        values: impl Iterator<Item = f64>,
        fixed: Option<[f64; 2]>,
        is_log: bool,
        wanted: usize,
        padded: bool,
    ) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && (!is_log || *value > 0.0)) {
            low = low.min(value);
            high = high.max(value);
        }
        if let Some([from, to]) = fixed.filter(|[from, to]| from < to && (!is_log || *from > 0.0)) {
            (low, high) = (from, to);
        }
        if low > high {
            (low, high) = if is_log { (1.0, 10.0) } else { (0.0, 1.0) };
        }
        if is_log {
            (low, high) = (libm::log10(low), libm::log10(high));
        } else if !padded && fixed.is_none() && low > 0.0 && low < 0.1 * high {
            // Steps count from 1, but their axis starts at 0.
            low = 0.0;
        }
        if high - low <= f64::EPSILON * high.abs().max(1.0) {
            let reach = if is_log {
                0.5
            } else {
                (high.abs() * 0.1).max(0.5)
            };
            (low, high) = (low - reach, high + reach);
        }
        if padded && fixed.is_none() {
            let room = (high - low) * 0.04;
            let is_from_zero = !is_log && low >= 0.0 && low - room < 0.0;
            (low, high) = (if is_from_zero { 0.0 } else { low - room }, high + room);
        }
        let ticks = if is_log {
            log_ticks(low, high, wanted)
        } else {
            linear_ticks(low, high, wanted)
        };
        Self {
            low,
            high,
            is_log,
            ticks,
        }
    }

    /// A scale of names at 0, 1, 2, …; `from_top` puts the first one highest.
    pub(crate) fn of_names(names: &[String], from_top: bool) -> Self {
        let last = names.len().saturating_sub(1);
        let place = |index: usize| if from_top { last - index } else { index } as f64;
        Self {
            low: -0.5,
            high: last as f64 + 0.5,
            is_log: false,
            ticks: names
                .iter()
                .enumerate()
                .map(|(index, name)| (place(index), name.clone()))
                .collect(),
        }
    }

    /// The same scale for counts: only whole-number ticks, without decimals.
    pub(crate) fn whole(mut self) -> Self {
        if !self.is_log && self.ticks.iter().any(|(value, _)| value.fract() != 0.0) {
            self.ticks.retain(|(value, _)| value.fract() == 0.0);
            for (value, label) in &mut self.ticks {
                *label = human::fixed(*value, 0);
            }
        }
        self
    }

    /// The position of a value on the scale; `None` if it has none (a logarithm of zero or less).
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        if !self.is_log {
            return value.is_finite().then_some(value);
        }
        (value > 0.0 && value.is_finite()).then(|| libm::log10(value))
    }

    /// Length of the longest label, in characters.
    pub(crate) fn longest_label(&self) -> usize {
        let lengths = self.ticks.iter().map(|(_, label)| label.chars().count());
        lengths.max().unwrap_or(1)
    }
}

/// The round step (1, 2, 2.5 or 5 times a power of ten) that divides `span` into about `wanted`
/// steps, and its exponent.
fn round_step(span: f64, wanted: usize) -> (f64, i32) {
    let rough = span / wanted.max(1) as f64;
    let exponent = human::exponent(rough);
    let power: f64 = format!("1e{exponent}").parse().unwrap_or(1.0);
    let (factor, finer) = [(1.0, 0), (2.0, 0), (2.5, 1), (5.0, 0), (10.0, -1)]
        .into_iter()
        .find(|(factor, _)| factor * power >= rough * 0.999)
        .unwrap_or((10.0, -1));
    (factor * power, exponent - finer)
}

fn linear_ticks(low: f64, high: f64, wanted: usize) -> Vec<(f64, String)> {
    let (step, exponent) = round_step(high - low, wanted);
    let decimals = usize::try_from(-exponent).unwrap_or(0);
    let largest = low.abs().max(high.abs());
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last.min(first + 50))
        .map(|n| {
            let value = n as f64 * step;
            (value, label(value, decimals, largest))
        })
        .collect()
}

fn label(value: f64, decimals: usize, largest: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if largest >= 10_000.0 {
        return human::scaled_short(value);
    }
    if largest < 0.001 {
        return human::plain(value, 2);
    }
    human::fixed(value, decimals)
}

fn log_ticks(low: f64, high: f64, wanted: usize) -> Vec<(f64, String)> {
    let (first, last) = (low.floor() as i32, high.ceil() as i32);
    let is_large = high >= 4.0;
    let make = |factors: &[f64], stride: i32| -> Vec<(f64, String)> {
        (first..=last)
            .filter(|decade| decade.rem_euclid(stride) == 0)
            .flat_map(|decade| factors.iter().map(move |factor| (decade, *factor)))
            .map(|(decade, factor)| {
                let value: f64 = format!("{factor}e{decade}").parse().unwrap_or(1.0);
                let text = if is_large && value >= 1_000.0 {
                    human::scaled_short(value)
                } else {
                    human::plain(value, 2)
                };
                (libm::log10(value), text)
            })
            .filter(|(place, _)| (low..=high).contains(place))
            .collect()
    };
    // On a logarithmic scale the last ticks of a decade are close together, but labels must not
    // touch.
    let gap = (high - low) / (wanted as f64 * 1.7);
    let is_airy =
        |ticks: &[(f64, String)]| ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 >= gap);
    const MANY: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let few = [
        make(&MANY, 1),
        make(&[1.0, 2.0, 5.0], 1),
        make(&[1.0, 3.0], 1),
        make(&[1.0], 1),
    ];
    if let Some(ticks) = few
        .into_iter()
        .find(|ticks| ticks.len() <= wanted + 2 && is_airy(ticks))
    {
        if ticks.len() >= 2 {
            return ticks;
        }
        // Less than a decade and a half: use round values of the linear scale.
        let (from, to) = (libm::exp10(low), libm::exp10(high));
        return linear_ticks(from, to, wanted)
            .into_iter()
            .filter(|(value, _)| *value > 0.0)
            .map(|(value, label)| (libm::log10(value), label))
            .collect();
    }
    let stride = (last - first) / wanted.max(1) as i32 + 1;
    make(&[1.0], stride)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale
            .ticks
            .iter()
            .map(|(_, label)| label.as_str())
            .collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        let scale = |low, high| Scale::new([low, high].into_iter(), None, false, 5, false);
        assert_eq!(
            labels(&scale(0.0, 10.2)),
            ["0", "2.5", "5.0", "7.5", "10.0"]
        );
        assert_eq!(labels(&scale(4.13, 4.31)), ["4.15", "4.20", "4.25", "4.30"]);
        assert_eq!(
            labels(&scale(0.0, 250.0)),
            ["0", "50", "100", "150", "200", "250"]
        );
        assert_eq!(labels(&scale(0.0, 63_000.0)), ["0", "20k", "40k", "60k"]);
        assert_eq!(
            labels(&scale(3.0, 3.0)),
            ["2.6", "2.8", "3.0", "3.2", "3.4"]
        );
    }

    #[test]
    fn logarithmic_ticks_are_decades_or_parts_of_them() {
        let scale = |low, high| Scale::new([low, high].into_iter(), None, true, 5, false);
        assert_eq!(
            labels(&scale(1.0, 100_000.0)),
            ["1", "10", "100", "1k", "10k", "100k"]
        );
        assert_eq!(
            labels(&scale(0.02, 12.0)),
            ["0.03", "0.1", "0.3", "1", "3", "10"]
        );
        assert_eq!(labels(&scale(3.0, 9.0)), ["4", "6", "8"]);
        assert_eq!(
            labels(&scale(6.4, 7.3)),
            ["6.4", "6.6", "6.8", "7.0", "7.2"]
        );
        assert!(scale(-1.0, 0.0).ticks.len() > 1, "nothing has a logarithm");
    }

    #[test]
    fn nothing_still_gives_a_scale() {
        let scale = Scale::new(std::iter::empty(), None, false, 5, true);
        assert_eq!((scale.low, scale.high), (0.0, 1.04));
        assert_eq!(scale.place(f64::NAN), None);
    }
}

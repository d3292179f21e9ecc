//! Statistics: means, deviations, and intervals by Student's t. Claims, reports, comparisons and expressions all use these.

use std::f64::consts::FRAC_2_PI;

/// Arithmetic mean; `None` for no values.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Median; the mean of the middle two for an even count. `None` for no values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// Sum of the squared distances to the mean.
fn squares(values: &[f64], mean: f64) -> f64 {
    let distances = values.iter().map(|value| value - mean);
    distances.map(|distance| distance * distance).sum()
}

/// Population standard deviation (divided by n); `None` for no values.
pub(crate) fn population_sd(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    Some((squares(values, mean) / values.len() as f64).sqrt())
}

/// Standard deviation of a sample (divided by n − 1); `None` for fewer than two values.
pub(crate) fn sd(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    Some((squares(values, mean) / (values.len() - 1) as f64).sqrt())
}

/// The mean of the values of each document draw, in the order of the draws.
pub(crate) fn by_draw(values: &[(u64, f64)]) -> Vec<f64> {
    let mut draws: Vec<u64> = values.iter().map(|(draw, _)| *draw).collect();
    draws.sort_unstable();
    draws.dedup();
    let of_draw = |draw: u64| -> Vec<f64> {
        let own = values.iter().filter(|(other, _)| *other == draw);
        own.map(|(_, value)| *value).collect()
    };
    let means = draws.into_iter().map(|draw| mean(&of_draw(draw)));
    means.flatten().collect()
}

/// Variance of the mean of a sample; `None` for fewer than two values.
fn squared_error(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let count = values.len() as f64;
    Some(squares(values, mean) / (count - 1.0) / count)
}

/// Half-width of the two-sided 95 % interval of the mean; `None` for fewer than two values.
pub(crate) fn half_width(values: &[f64]) -> Option<f64> {
    let error = squared_error(values)?.sqrt();
    Some(quantile_975(values.len() - 1) * error)
}

/// The two-sided 95 % interval of the mean; `None` for fewer than two values.
pub(crate) fn interval(values: &[f64]) -> Option<[f64; 2]> {
    let (mean, half) = (mean(values)?, half_width(values)?);
    Some([mean - half, mean + half])
}

/// Welch's 95 % interval of `mean(b) − mean(a)`, with degrees of freedom rounded down; `None` for fewer than two values
/// on a side.
pub(crate) fn welch(a: &[f64], b: &[f64]) -> Option<[f64; 2]> {
    let difference = mean(b)? - mean(a)?;
    let (error_a, error_b) = (squared_error(a)?, squared_error(b)?);
    let sum = error_a + error_b;
    if sum <= 0.0 {
        return Some([difference, difference]);
    }
    let parts = error_a * error_a / (a.len() - 1) as f64 + error_b * error_b / (b.len() - 1) as f64;
    let degrees = (sum * sum / parts).floor().max(1.0) as usize;
    let half = quantile_975(degrees) * sum.sqrt();
    Some([difference - half, difference + half])
}

/// `P(T ≤ t)` for `t ≥ 0` and an integer number of degrees of freedom, by the finite series of Abramowitz and Stegun
/// 26.7.3/4.
fn probability(t: f64, degrees: usize) -> f64 {
    let angle = libm::atan(t / (degrees as f64).sqrt());
    let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
    let odd = degrees % 2 == 1;
    // Terms cos^k · Π (j − 1)/j over every second j, starting from cos for odd degrees and from 1 for even ones.
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut k = if odd { 1 } else { 0 };
    while k + 2 <= degrees {
        sum += term;
        let next = (k + 2) as f64;
        term *= cosine * cosine * (next - 1.0) / next;
        k += 2;
    }
    let central = if odd {
        FRAC_2_PI * (angle + sine * sum)
    } else {
        sine * sum
    };
    0.5 + 0.5 * central
}

/// `P(T > t)` of Student's t with `degrees` ≥ 1; NaN for NaN.
pub(crate) fn upper_tail(t: f64, degrees: usize) -> f64 {
    let tail = 1.0 - probability(t.abs(), degrees);
    if t < 0.0 { 1.0 - tail } else { tail }
}

/// Holm's adjusted p-values, in the order of `p`: testing these at 5 % bounds the probability of any false positive by
/// 5 %.
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest: f64 = 0.0;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max((p.len() - rank) as f64 * p[index]).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// The 0.975 quantile of Student's t; `degrees` ≥ 1.
pub(crate) fn quantile_975(degrees: usize) -> f64 {
    quantile(0.975, degrees)
}

/// A quantile of Student's t; `degrees` ≥ 1, `level` from 0.9 to 0.995.
pub(crate) fn quantile(level: f64, degrees: usize) -> f64 {
    let (mut low, mut high) = (1.0, 70.0);
    for _ in 0..70 {
        let middle = (low + high) / 2.0;
        if probability(middle, degrees) < level {
            low = middle
        } else {
            high = middle
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_equal_the_published_table() {
        let table = [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (5, 2.571),
            (6, 2.447),
            (7, 2.365),
            (8, 2.306),
            (9, 2.262),
            (10, 2.228),
            (15, 2.131),
            (20, 2.086),
            (29, 2.045),
            (30, 2.042),
            (60, 2.000),
            (120, 1.980),
        ];
        for (degrees, published) in table {
            let ours = quantile_975(degrees);
            assert!(
                (ours - published).abs() < 5.1e-4,
                "{degrees}: {ours} {published}"
            );
        }
        // Closed forms: tan(0.475 π) for one degree, 0.95 · sqrt(2 / (1 − 0.95²)) for two.
        assert!((quantile_975(1) - 12.706_204_736_174_7).abs() < 1e-9);
        assert!((quantile_975(2) - 0.95 * (2.0_f64 / (1.0 - 0.95 * 0.95)).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn tails_and_quantiles_agree() {
        for degrees in [1, 2, 5, 17] {
            let tail = upper_tail(quantile_975(degrees), degrees);
            assert!((tail - 0.025).abs() < 1e-9, "{degrees}: {tail}");
            assert!((upper_tail(-1.3, degrees) + upper_tail(1.3, degrees) - 1.0).abs() < 1e-12);
        }
        // The published 0.95 quantiles.
        assert!(
            (quantile(0.95, 2) - 2.920).abs() < 5e-4 && (quantile(0.95, 17) - 1.740).abs() < 5e-4
        );
    }

    #[test]
    fn holm_steps_down() {
        // 4 · 0.01, then 3 · 0.02 = 0.06, then 2 · 0.03 = 0.06, then 0.9.
        let adjusted = holm(&[0.02, 0.9, 0.01, 0.03]);
        let expected = [0.06, 0.9, 0.04, 0.06];
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
        assert!(adjusted.iter().zip(&expected).all(close), "{adjusted:?}");
        assert!(holm(&[]).is_empty());
        assert_eq!(sd(&[1.0, 3.0]), Some(2.0_f64.sqrt()));
        assert_eq!(sd(&[1.0]), None);
        assert_eq!(by_draw(&[(1, 4.0), (0, 1.0), (0, 3.0)]), [2.0, 4.0]);
    }

    #[test]
    fn interval_of_three_values() {
        let [low, high] = interval(&[1.0, 2.0, 3.0]).unwrap();
        // 2 ± 4.30265 / sqrt(3).
        assert!(
            (low + 0.484_138).abs() < 1e-5 && (high - 4.484_138).abs() < 1e-5,
            "{low} {high}"
        );
        assert_eq!(interval(&[5.0; 3]), Some([5.0, 5.0]));
        assert_eq!(interval(&[5.0]), None);
        assert_eq!(half_width(&[1.0]), None);
    }

    #[test]
    fn middles_and_deviations() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!((median(&[]), mean(&[])), (None, None));
        assert_eq!(population_sd(&[1.0, 3.0]), Some(1.0));
    }

    #[test]
    fn welch_agrees_with_a_worked_example() {
        // Variances 2.5 and 10, five values each: error² 0.5 and 2, degrees 6.25 / (0.0625 + 1) = 5.88, taken as 5.
        let [low, high] = welch(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 4.0, 6.0, 8.0, 10.0]).unwrap();
        let half = 2.5706 * 2.5_f64.sqrt();
        assert!((low - (3.0 - half)).abs() < 1e-3 && (high - (3.0 + half)).abs() < 1e-3);
        assert_eq!(welch(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(welch(&[1.0, 1.0], &[2.0, 2.0]), Some([1.0, 1.0]));
    }
}

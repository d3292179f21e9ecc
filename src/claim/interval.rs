//! The 95 % Student-t interval of a mean over seeds.

use std::f64::consts::FRAC_2_PI;

/// `P(T ≤ t)` for `t ≥ 0` and a whole number of degrees of freedom, by the finite series of Abramowitz and Stegun 26.7.3/4.
fn probability(t: f64, degrees: usize) -> f64 {
    let angle = libm::atan(t / (degrees as f64).sqrt());
    let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
    let odd = degrees % 2 == 1;
    // Terms cos^k · Π (j − 1)/j over every second j: from cos for odd degrees, from 1 for even ones.
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

/// The 0.975 quantile of Student's t; `degrees` ≥ 1.
pub(crate) fn quantile_975(degrees: usize) -> f64 {
    let (mut low, mut high) = (1.9, 13.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if probability(middle, degrees) < 0.975 {
            low = middle
        } else {
            high = middle
        }
    }
    (low + high) / 2.0
}

/// The two-sided 95 % interval of the mean of `values`; `None` for fewer than two.
pub(crate) fn interval(values: &[f64]) -> Option<[f64; 2]> {
    let count = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    let half = quantile_975(values.len() - 1) * error;
    Some([mean - half, mean + half])
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
    fn interval_of_three_values() {
        let [low, high] = interval(&[1.0, 2.0, 3.0]).unwrap();
        // 2 ± 4.30265 / sqrt(3).
        assert!(
            (low + 0.484_138).abs() < 1e-5 && (high - 4.484_138).abs() < 1e-5,
            "{low} {high}"
        );
        assert_eq!(interval(&[5.0; 3]), Some([5.0, 5.0]));
        assert_eq!(interval(&[5.0]), None);
    }
}

use super::*;
use crate::choices::loss::square::Square;
use crate::choices::loss::square_softmax::SquareSoftmax;
use crate::choices::loss::squentropy_capstone::SquentropyCapstone;
use crate::choices::loss::{ClassWeight, Formula, Loss, Reduction};

pub(crate) const LOGITS: [[f64; 5]; 3] = [
    [2.0, -1.0, 0.5, 0.0, -0.5],
    [0.1, 0.2, -0.3, 1.5, 0.0],
    [-2.0, 0.0, 1.0, 0.0, 3.0],
];
pub(crate) const TARGETS: [usize; 3] = [0, 3, 1];

/// The golden table of docs/studies.md#golden: loss, mean over three rows, gradient of row 0 divided by 3.
pub(crate) fn golden() -> Vec<(Loss, f64, [f64; 5])> {
    let square = |k, m| Loss::Square(Square { k, m, near: None });
    vec![
        (
            Loss::CrossEntropy,
            1.420421806,
            [-0.109670, 0.011136, 0.049906, 0.030269, 0.018359],
        ),
        (
            square(1.0, 1.0),
            1.192666667,
            [0.133333, -0.133333, 0.066667, 0.0, -0.066667],
        ),
        (
            square(100.0, 1.0),
            16.042666667,
            [13.333333, -0.133333, 0.066667, 0.0, -0.066667],
        ),
        (
            square(15.0, 30.0),
            2497.292666667,
            [-56.0, -0.133333, 0.066667, 0.0, -0.066667],
        ),
        (
            Loss::Squentropy,
            2.723755140,
            [-0.109670, -0.155531, 0.133239, 0.030269, -0.064974],
        ),
        (
            Loss::SquentropyCapstone(SquentropyCapstone {
                w: ClassWeight::Absolute(65.0),
            }),
            12.213088473,
            [8.556996, -0.122198, 0.116573, 0.030269, -0.048307],
        ),
        (
            Loss::SquareSoftmax(SquareSoftmax {
                w: ClassWeight::Absolute(1.0),
                scale: 1.0,
            }),
            0.134086708,
            [-0.012799, 0.000977, 0.006701, 0.003351, 0.001770],
        ),
        (
            Loss::SquareSoftmax(SquareSoftmax {
                w: ClassWeight::Absolute(100.0),
                scale: 1.0,
            }),
            8.423802303,
            [-0.971560, 0.098326, 0.442989, 0.267973, 0.162272],
        ),
        // Ten thousand times the loss of weight 1.
        (
            Loss::SquareSoftmax(SquareSoftmax {
                w: ClassWeight::Absolute(1.0),
                scale: 100.0,
            }),
            1340.867076,
            [-127.988451, 9.770671, 67.007617, 33.509544, 17.700618],
        ),
        // The correct logits 2, 1.5 and 0: the weight counts in the last row alone, 99 · (0 − 1)² / 5 more in the mean of three.
        (
            Loss::Square(Square {
                k: 100.0,
                m: 1.0,
                near: Some(0.1),
            }),
            1.192666667 + 99.0 / 15.0,
            [0.133333, -0.133333, 0.066667, 0.0, -0.066667],
        ),
    ]
}

/// The minimiser of a convex function.
fn lowest(mut low: f64, mut high: f64, of: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..20 {
        let third = (high - low) / 3.0;
        if of(low + third) < of(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    (low + high) / 2.0
}

/// The table of docs/studies.md#e6: for a certain next token, with one logit for it and one for all others, the minimum
/// of each loss and the remaining perplexity.
#[test]
fn floors_are_those_of_the_table() {
    let floor = |loss: &Loss, classes: usize, right: f64, wrong: f64| {
        let formula = Formula::new(loss, Reduction::MeanClasses, classes);
        let mut row = vec![-wrong; classes];
        row[0] = right;
        row_value(&formula, &row, 0)
    };
    // classes, w, logit of the right class and minus that of the others, cross-entropy, square part
    let table = [
        (50_304, 65.0, 14.2, 0.017, 0.034, 0.224),
        (50_304, 100.0, 13.7, 0.025, 0.052, 0.323),
        (50_304, 50_304.0, 1.5, 0.5, 8.83, 0.50),
        (32_000, 65.0, 13.3, 0.025, 0.051, 0.308),
        (4_096, 65.0, 9.2, 0.13, 0.304, 1.089),
        (512, 65.0, 4.3, 0.42, 1.748, 1.525),
        (512, 1.0, 9.6, 0.02, 0.034, 0.144),
    ];
    for (classes, w, right, wrong, ce, square) in table {
        let loss = Loss::SquentropyCapstone(SquentropyCapstone {
            w: ClassWeight::Absolute(w),
        });
        let total = |right: f64, wrong: f64| {
            let (ce, square) = floor(&loss, classes, right, wrong);
            ce + square
        };
        // Convex in each logit: minimise one at a time, around the rounded value in the table.
        let (mut a, mut b) = (right, wrong);
        for _ in 0..6 {
            a = lowest(right - 0.5, right + 0.5, |a| total(a, b));
            b = lowest(0.8 * wrong, 1.2 * wrong, |b| total(a, b));
        }
        let best = floor(&loss, classes, a, b);
        let place = format!("{classes} classes, w {w}: {best:?} at {a}, {b}");
        let digits = if ce + square > 5.0 { 0.005 } else { 0.0011 };
        assert!((best.0 + best.1 - ce - square).abs() < digits, "{place}");
        // The sum is flat at its minimum, so its parts are less precise.
        assert!((best.0 - ce).abs() < 0.007, "{place}");
        assert!((best.1 - square).abs() < 0.007, "{place}");
    }
    // The printed squentropy has no positive minimum, and neither has a square loss.
    let (ce, square) = floor(&Loss::Squentropy, 512, 40.0, 0.0);
    assert!(ce < 1e-12 && square < 1e-12);
    let square_loss = Loss::Square(Square {
        k: 15.0,
        m: 30.0,
        near: None,
    });
    assert_eq!(floor(&square_loss, 512, 30.0, 0.0), (0.0, 0.0));
}

#[test]
fn rows_equal_the_golden_table() {
    for (loss, value, gradient) in golden() {
        let formula = Formula::new(&loss, Reduction::MeanClasses, 5);
        let mean = (0..3)
            .map(|row| {
                let (ce, square) = row_value(&formula, &LOGITS[row], TARGETS[row]);
                ce + square
            })
            .sum::<f64>()
            / 3.0;
        assert!((mean - value).abs() < 1e-6, "{loss:?}: {mean} for {value}");
        let row = row_gradient(&formula, &LOGITS[0], TARGETS[0]);
        for (ours, golden) in row.iter().zip(gradient) {
            assert!((ours / 3.0 - golden).abs() < 1e-6, "{loss:?}: {row:?}");
        }
    }
}

#[test]
fn sum_of_classes_is_the_mean_times_their_number() {
    for (loss, ..) in golden() {
        let part = |reduction| {
            let formula = Formula::new(&loss, reduction, 5);
            row_value(&formula, &LOGITS[1], TARGETS[1]).1
        };
        let factor = if loss == Loss::Squentropy { 4.0 } else { 5.0 };
        let (mean, sum) = (part(Reduction::MeanClasses), part(Reduction::SumClasses));
        assert!((sum - factor * mean).abs() < 1e-9 * (1.0 + sum), "{loss:?}");
    }
}

#[test]
fn relative_weight_follows_the_number_of_classes() {
    let loss = Loss::SquentropyCapstone(SquentropyCapstone {
        w: ClassWeight::Per50304(65.0),
    });
    let formula = Formula::new(&loss, Reduction::MeanClasses, 4096);
    let correct = formula.square.unwrap().correct;
    assert!((correct - 65.0 / 50_304.0).abs() < 1e-15);
}

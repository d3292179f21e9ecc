//! Dropout masks: pure functions of (seed, step, micro-step, site, element), the same in every implementation.
//!
//! Element `i` is kept where word `i % 4` of the Philox block `i / 4` of the site's stream is at least `round(p · 2³²)`;
//! kept elements are multiplied by `1 / (1 − p)`.

use crate::rng::{Purpose, Stream};

/// Dropout at one site of one forward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropout {
    threshold: u32,
    scale: f64,
    stream: Stream,
}

/// A forward pass of a training step: the address of its masks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// Seed of the run.
    pub(crate) seed: u64,
    /// Optimizer step, from 0; below 2³².
    pub(crate) step: u64,
    /// Micro-batch of the step, from 0; below 2¹⁶.
    pub(crate) micro: usize,
    /// Probability that an element is dropped, in [0, 1).
    pub(crate) probability: f64,
}

impl Pass {
    /// The dropout of site `site` (below 2¹⁶; unique for each place where a model drops), `None` if nothing is dropped.
    ///
    /// The stream's step is `site · 2⁴⁸ + micro · 2³² + step`.
    pub(crate) fn site(&self, site: usize) -> Option<Dropout> {
        if self.probability <= 0.0 {
            return None;
        }
        let address = (site as u64) << 48 | (self.micro as u64) << 32 | self.step;
        Some(Dropout {
            threshold: (self.probability * 4_294_967_296.0 + 0.5) as u32,
            scale: 1.0 / (1.0 - self.probability),
            stream: Stream::new(self.seed, Purpose::Dropout, address),
        })
    }
}

impl Dropout {
    /// Whether element `index` is kept: the definition, one element at a time.
    #[cfg(test)]
    pub(crate) fn keeps(&self, index: u64) -> bool {
        self.stream.bits(index / 4)[(index % 4) as usize] >= self.threshold
    }

    /// Key and upper counter words of the masks' stream, and the threshold, to compute masks where they are used.
    #[cfg(any(test, feature = "cuda"))]
    pub(crate) fn address(&self) -> ([u32; 2], [u32; 2], u32) {
        let (key, high) = self.stream.words();
        (key, high, self.threshold)
    }

    /// Factor of the kept elements, `1 / (1 − p)`.
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// Writes `kept` or `dropped` for the elements from `first` on.
    pub(crate) fn fill<V: Copy>(&self, first: u64, kept: V, dropped: V, out: &mut [V]) {
        let mut index = first;
        let mut rest = out;
        while !rest.is_empty() {
            let words = self.stream.bits(index / 4);
            let from = (index % 4) as usize;
            let count = (4 - from).min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            for (value, word) in now.iter_mut().zip(&words[from..]) {
                *value = if *word >= self.threshold {
                    kept
                } else {
                    dropped
                };
            }
            index += count as u64;
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(probability: f64) -> Pass {
        Pass {
            seed: 5,
            step: 7,
            micro: 1,
            probability,
        }
    }

    #[test]
    fn fill_equals_single_elements_from_any_start() {
        let dropout = pass(0.3).site(2).unwrap();
        for first in 0..9 {
            let mut mask = vec![false; 37];
            dropout.fill(first, true, false, &mut mask);
            for (offset, kept) in mask.iter().enumerate() {
                assert_eq!(*kept, dropout.keeps(first + offset as u64));
            }
        }
    }

    #[test]
    fn share_of_dropped_elements_is_the_probability() {
        let dropout = pass(0.2).site(0).unwrap();
        let n = 40_000;
        let dropped = (0..n).filter(|&index| !dropout.keeps(index)).count() as f64 / n as f64;
        assert!((dropped - 0.2).abs() < 0.01, "{dropped}");
        assert!((dropout.scale() - 1.25).abs() < 1e-15);
        assert!(pass(0.0).site(0).is_none());
    }

    #[test]
    fn masks_differ_by_every_part_of_their_address() {
        let mask = |pass: Pass, site| -> Vec<bool> {
            let dropout = pass.site(site).unwrap();
            (0..64).map(|index| dropout.keeps(index)).collect()
        };
        let base = pass(0.5);
        let first = mask(base, 0);
        assert_ne!(first, mask(base, 1));
        assert_ne!(first, mask(Pass { step: 8, ..base }, 0));
        assert_ne!(first, mask(Pass { micro: 2, ..base }, 0));
        assert_ne!(first, mask(Pass { seed: 6, ..base }, 0));
    }
}

//! Counter-based randomness, the only source of random numbers: bits are a function of `(seed, purpose, step, index)`.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
//! a keyed bijection of a 128-bit counter. Draws share no state, so results depend neither on threads nor on
//! interruptions, and a checkpoint holds no generator state.

/// The purpose of a draw; keeps streams with the same seed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights; `step` = number of the tensor, `index` = element.
    Init = 1,
    /// Order of the training sequences; `step` = epoch.
    Shuffle = 2,
    /// Dropout masks; `step` = optimizer step and micro-step, `index` = element (the site is mixed into the step).
    Dropout = 3,
    /// Offsets of random windows over a stream; `step` = step, `index` = row.
    Window = 4,
    /// Sampling of generated tokens; `step` = position, `index` = row.
    Sample = 5,
    /// Embedded corpora; `step` = document, `index` = draw.
    Corpus = 6,
    /// Windows of the studies' evaluation procedures.
    EvalWindow = 7,
    /// Resampled documents of a bootstrap; `step` = resample, `index` = place in it.
    Bootstrap = 8,
}

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32 with 10 rounds.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let product0 = u64::from(MULTIPLIER[0]) * u64::from(counter[0]);
        let product1 = u64::from(MULTIPLIER[1]) * u64::from(counter[2]);
        counter = [
            (product1 >> 32) as u32 ^ counter[1] ^ key[0],
            product1 as u32,
            (product0 >> 32) as u32 ^ counter[3] ^ key[1],
            product0 as u32,
        ];
    }
    counter
}

/// A stream of draws for one `(seed, purpose, step)`; every draw is addressed by its index (< 2^64).
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: [u32; 2],
    high: [u32; 2],
}

impl Stream {
    /// Opens the stream of `(seed, purpose, step)`.
    pub fn new(seed: u64, purpose: Purpose, step: u64) -> Self {
        // The 64-bit seed is the key; purpose and step are folded into the upper counter words by one Philox call,
        // so that all 64 bits of `step` count.
        let mixed = philox(
            [
                step as u32,
                (step >> 32) as u32,
                purpose as u32,
                0x5350_424B,
            ],
            [seed as u32, (seed >> 32) as u32],
        );
        Self {
            key: [seed as u32 ^ mixed[2], (seed >> 32) as u32 ^ mixed[3]],
            high: [mixed[0], mixed[1]],
        }
    }

    /// Key and upper two counter words of the stream's Philox blocks, to compute them elsewhere (on a GPU).
    pub fn words(&self) -> ([u32; 2], [u32; 2]) {
        (self.key, self.high)
    }

    /// 128 random bits at `index`.
    pub fn bits(&self, index: u64) -> [u32; 4] {
        philox(
            [
                index as u32,
                (index >> 32) as u32,
                self.high[0],
                self.high[1],
            ],
            self.key,
        )
    }

    /// 64 random bits at `index`.
    pub fn u64(&self, index: u64) -> u64 {
        let bits = self.bits(index);
        u64::from(bits[0]) | u64::from(bits[1]) << 32
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub fn uniform(&self, index: u64) -> f64 {
        (self.u64(index) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// An integer in `0..bound` (`bound` > 0); bias below 2^-64 · bound.
    pub fn below(&self, index: u64, bound: u64) -> u64 {
        ((u128::from(self.u64(index)) * u128::from(bound)) >> 64) as u64
    }

    /// Two independent standard normal numbers (Box and Muller) at `index`, computed with `libm` so that every platform agrees.
    pub fn normal_pair(&self, index: u64) -> [f64; 2] {
        let bits = self.bits(index);
        let unit = |low: u32, high: u32| {
            ((u64::from(low) | u64::from(high) << 32) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
        };
        let radius = (-2.0 * libm::log(1.0 - unit(bits[0], bits[1]))).sqrt();
        let angle = std::f64::consts::TAU * unit(bits[2], bits[3]);
        [radius * libm::cos(angle), radius * libm::sin(angle)]
    }

    /// A permutation of `0..n` (Fisher and Yates).
    pub fn permutation(&self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64, i as u64 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Known answers published with the Random123 library (kat_vectors, philox4x32 10).
    #[test]
    fn philox_equals_the_published_vectors() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn streams_differ_by_every_part_of_their_address() {
        let first = |seed, purpose, step| Stream::new(seed, purpose, step).u64(0);
        let base = first(1, Purpose::Init, 0);
        for other in [
            first(2, Purpose::Init, 0),
            first(1, Purpose::Shuffle, 0),
            first(1, Purpose::Init, 1),
            first(1, Purpose::Init, 1 << 40),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let stream = Stream::new(7, Purpose::Init, 3);
        let n = 20_000;
        let uniform = (0..n).map(|i| stream.uniform(i)).sum::<f64>() / n as f64;
        assert!((uniform - 0.5).abs() < 0.01, "{uniform}");
        let normal: Vec<f64> = (0..n).flat_map(|i| stream.normal_pair(i)).collect();
        let mean = normal.iter().sum::<f64>() / normal.len() as f64;
        let variance =
            normal.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / normal.len() as f64;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03,
            "{mean} {variance}"
        );
    }

    #[test]
    fn permutation_holds_every_number_once() {
        let mut order = Stream::new(1, Purpose::Shuffle, 0).permutation(1000);
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
        assert!(
            Stream::new(1, Purpose::Shuffle, 0)
                .permutation(0)
                .is_empty()
        );
    }
}

//! CPU kernels: slices in, slices out. Tensors, tapes and models are in `fused`.
//!
//! Every kernel has two properties, both checked by tests:
//! * **Same bits on every instruction set.** Each kernel is written once over sixteen virtual lanes ([`lanes`]) and compiled for AVX-512, AVX2 with FMA,
//!   NEON and plain Rust; lane order, reduction tree, fused multiply-adds and polynomials are the same in all. Products of bfloat16 factors are the
//!   exception: AVX-512 BF16, the tiles of AMX and BF16 of Arm round differently, each like its plain-Rust version;
//!   they are not computed in any other way.
//! * **Same bits for every number of threads.** Threads divide tiles whose results do not depend on which thread
//!   computes them; the inner dimension of a matrix product is never split between threads, and sums over rows go
//!   through partial sums of [`PARTIAL_ROWS`] rows, added in order.
//!
//! The functions are safe: lengths are asserted, and an [`Isa`] exists only for instruction sets available on this
//! machine.
#![expect(
    unsafe_code,
    reason = "vector intrinsics, shared output tiles and borrowed jobs of the thread pool"
)]

mod amx;
mod attention;
pub mod cases;
mod clock;
mod factors;
mod few;
mod fours;
mod gemm;
mod head;
mod isa;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod lanes_neon;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
mod layers;
mod math;
mod parts;
mod pool;
mod prepacked;
mod rows;
mod shared;
mod tile;

pub use attention::{
    AttentionSaved, AttentionShape, Factors, RopeTable, attention, attention_backward,
};
pub use clock::Clock;
pub use factors::Bf16;
pub use few::{attend_one, few_chains, few_rows};
pub use gemm::{Matrix, best_rate, gemm};
pub use head::{HeadGradients, LossTerms, ScoreOptions, Square, head_loss, head_scores};
pub use isa::Isa;
pub use layers::*;
pub use parts::{Part, PartSeconds};
pub use pool::Pool;
pub use prepacked::Prepacked;
pub use rows::*;
pub use shared::Scratch;
use shared::SharedSlice;

/// Compute resources of a job: an instruction set and threads.
pub struct Compute {
    /// The instruction set.
    pub isa: Isa,
    /// Whether matrix products round their factors to bfloat16 (those inside attention never do).
    pub bf16: Option<Bf16>,
    /// The threads.
    pub pool: Pool,
    /// Time per part.
    pub clock: Clock,
}

/// A task on a piece: its rows and its parts of the outputs.
pub type PieceTask<'a, const N: usize> =
    &'a (dyn Fn(std::ops::Range<usize>, [&mut [f32]; N]) + Sync + 'a);

impl Compute {
    /// The fastest instruction set of this machine and `threads` threads.
    #[cfg(test)]
    pub fn new(threads: usize) -> Self {
        Self::with(Isa::best(), threads)
    }

    /// A given instruction set.
    pub fn with(isa: Isa, threads: usize) -> Self {
        Self {
            isa,
            bf16: None,
            pool: Pool::new(threads),
            clock: Clock::default(),
        }
    }

    /// With products of bfloat16 factors.
    pub fn in_bf16(self, bf16: Bf16) -> Self {
        Self {
            bf16: Some(bf16),
            ..self
        }
    }

    /// Cuts `0..rows` into pieces of `piece` and runs `task` on each with its parts of `outputs`. Each output is given
    /// with its numbers per row; the last piece gets the rest.
    pub fn rows<const N: usize>(
        &self,
        rows: usize,
        piece: usize,
        outputs: [(&mut [f32], usize); N],
        task: PieceTask<'_, N>,
    ) {
        let outputs = outputs.map(|(slice, width)| (slice.len(), width, SharedSlice::new(slice)));
        self.pool.pieces(rows, piece, &|a, b| {
            let parts = std::array::from_fn(|i| {
                let (len, width, slice) = &outputs[i];
                let (start, end) = ((a * width).min(*len), (b * width).min(*len));
                // SAFETY: the pieces a..b do not overlap, so neither do their parts, and each piece is run once.
                unsafe { slice.part(start..end) }
            });
            task(a..b, parts);
        });
    }
}

/// Rows per partial sum of a column sum (gradients of norm weights and biases).
pub const PARTIAL_ROWS: usize = 64;

#[cfg(test)]
mod tests;

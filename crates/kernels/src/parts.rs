//! Time spent on the parts of a training step.

/// A part of a training step. Forward and backward pass of an operation count together, including its matrix
/// products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Looking up embeddings; adding their gradients.
    Embedding,
    /// Norms.
    Norm,
    /// Projection to queries, keys and values, and attention.
    Attention,
    /// Projection and activation of the feed-forward layer.
    FeedForward,
    /// Projections back into the residual stream, of attention and feed-forward layer.
    Output,
    /// The output matrix and the loss.
    Head,
    /// Gradient norm and AdamW.
    Optimizer,
}

impl Part {
    /// All of them, in the order of a step.
    pub const ALL: [Self; 7] = [
        Self::Embedding,
        Self::Norm,
        Self::Attention,
        Self::FeedForward,
        Self::Output,
        Self::Head,
        Self::Optimizer,
    ];

    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Norm => "norm",
            Self::Attention => "attention",
            Self::FeedForward => "feed_forward",
            Self::Output => "output",
            Self::Head => "head",
            Self::Optimizer => "optimizer",
        }
    }
}

/// Seconds of each part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PartSeconds([f64; Part::ALL.len()]);

impl PartSeconds {
    /// Seconds of a part.
    pub fn get(&self, part: Part) -> f64 {
        self.0[part as usize]
    }

    /// Adds to a part.
    pub fn add(&mut self, part: Part, seconds: f64) {
        self.0[part as usize] += seconds;
    }

    /// Adds all parts of `other`.
    pub fn add_all(&mut self, other: &Self) {
        for (sum, seconds) in self.0.iter_mut().zip(other.0) {
            *sum += seconds;
        }
    }

    /// Seconds of all parts.
    pub fn total(&self) -> f64 {
        self.0.iter().sum()
    }
}

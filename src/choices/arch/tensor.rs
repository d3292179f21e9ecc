//! Named tensors and how the engine stacks them in matrices.
//!
//! Matrices that share one product are stacked: queries, keys and values; gate and up. All are row-major `(out, in)`,
//! so stacking appends values, and a [`Slot`] is the concatenation of its [`Tensor`]s.

/// Initial values of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All 0 (biases).
    Zeros,
    /// All 1 (norm weights).
    Ones,
    /// Drawn from a normal distribution.
    Normal,
    /// Drawn from a normal distribution; a projection into the residual stream.
    NormalResidual,
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name in files.
    pub name: String,
    /// Its shape in files: one size, or `[out, in]`.
    pub shape: Vec<usize>,
    /// Its initial values.
    pub start: Start,
}

impl Tensor {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A matrix of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Whether every position is multiplied by it; otherwise it is a bias, a scale or a lookup table.
    pub is_product: bool,
    /// The named tensors whose values it holds, one after another.
    pub tensors: Vec<Tensor>,
}

impl Slot {
    /// A vector, `(1, n)`.
    pub fn vector(name: String, n: usize, start: Start) -> Self {
        Self {
            shape: (1, n),
            is_product: false,
            tensors: vec![Tensor {
                name,
                shape: vec![n],
                start,
            }],
        }
    }

    /// Stacked matrices with `cols` columns that share one product.
    pub fn stacked(tensors: Vec<(String, usize)>, cols: usize, start: Start) -> Self {
        let tensors: Vec<Tensor> = tensors
            .into_iter()
            .map(|(name, rows)| Tensor {
                name,
                shape: vec![rows, cols],
                start,
            })
            .collect();
        Self {
            shape: (tensors.iter().map(|tensor| tensor.shape[0]).sum(), cols),
            is_product: true,
            tensors,
        }
    }

    /// A matrix of one product.
    pub fn matrix(name: String, rows: usize, cols: usize, start: Start) -> Self {
        Self::stacked(vec![(name, rows)], cols, start)
    }

    /// A lookup table of rows; with `is_product`, it is also the output matrix.
    pub fn table(name: String, rows: usize, cols: usize, is_product: bool) -> Self {
        Self {
            is_product,
            ..Self::matrix(name, rows, cols, Start::Normal)
        }
    }

    /// Whether it is a matrix, and so decays under `decay: matrices`.
    pub fn is_matrix(&self) -> bool {
        self.tensors.iter().any(|tensor| tensor.shape.len() > 1)
    }
}

//! Named tensors, and how the engine stacks them in matrices.
//!
//! The engine keeps matrices that one product reads as one: queries, keys and values stacked, gate and up stacked. All are row-major
//! `(out, in)`, so stacking rows is appending values, and a [`Slot`] is the concatenation of its [`Tensor`]s.

/// How a tensor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All 0 (biases).
    Zeros,
    /// All 1 (norm weights).
    Ones,
    /// Drawn from a normal distribution.
    Normal,
    /// Drawn; a projection into the residual stream.
    NormalResidual,
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name in files.
    pub name: String,
    /// Its shape in files: one size, or `[out, in]`.
    pub shape: Vec<usize>,
    /// How it starts.
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
    /// Whether every position is multiplied by it; else it is added, scales, or is looked up.
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

    /// Matrices of `cols` columns that one product reads, stacked.
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

    /// The matrix of a product.
    pub fn matrix(name: String, rows: usize, cols: usize, start: Start) -> Self {
        Self::stacked(vec![(name, rows)], cols, start)
    }

    /// A table whose rows are looked up; the embedding is also the output matrix where `is_product`.
    pub fn table(name: String, rows: usize, cols: usize, is_product: bool) -> Self {
        Self {
            is_product,
            ..Self::matrix(name, rows, cols, Start::Normal)
        }
    }

    /// Whether it is a matrix (which `decay: matrices` lets decay).
    pub fn is_matrix(&self) -> bool {
        self.tensors.iter().any(|tensor| tensor.shape.len() > 1)
    }
}

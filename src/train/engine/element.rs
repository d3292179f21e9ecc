//! The numbers of an implementation: f32, or f64 for the tests of gradients.

/// A floating-point element.
pub(crate) trait Element: dfdx::prelude::Dtype {
    /// Rounds to the element's precision.
    fn narrow(value: f64) -> Self;

    /// The same number in double precision.
    fn widen(self) -> f64;
}

impl Element for f32 {
    fn narrow(value: f64) -> Self {
        value as Self
    }

    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    fn narrow(value: f64) -> Self {
        value
    }

    fn widen(self) -> f64 {
        self
    }
}

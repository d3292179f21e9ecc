//! Speed and memory of whole training steps: the same steps as in a run, through the trainer's interface, without
//! storing anything.
//!
//! A [`Case`] is either a [`Shape`] with synthetic ids or a run of a spec with its data. Use one process per case to
//! measure its peak memory. The shapes are in `shapes.json`, which the PyTorch side of the comparison
//! (`benches/torch_train.py`) reads too.

mod measure;
mod shape;

pub use measure::{Extent, Measurement, measure};
pub use shape::{Case, Shape, shapes};

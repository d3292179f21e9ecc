//! Speed and memory of whole training steps: the same steps that a run makes, through the door of the trainer, stored nowhere.
//!
//! What is trained is a [`Case`]: a [`Shape`] with made-up ids, or a run of a spec with its data. One case a process, where its peak
//! memory is to be its own. The shapes are in `shapes.json`, which the PyTorch side of the comparison (`benches/torch_train.py`) reads too.

mod measure;
mod shape;

pub use measure::{Extent, Measurement, measure};
pub use shape::{Case, Shape, shapes};

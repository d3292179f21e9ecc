//! Items that benches and integration tests need beyond the public names, under the names of their modules. None of it
//! is stable, and nothing else belongs here: everything else stays private, so that the compiler finds dead code.
#![allow(missing_docs, reason = "documented where it stands")]

pub mod bench {
    pub use crate::bench::{Case, Extent, measure, shapes};
}
pub mod claim {
    pub use crate::claim::{Judged, Reason, Verdict};
}
pub mod data {
    pub use crate::data::corpora::{Generator, document};
    pub use crate::data::{SequenceSet, Stop, TextTokenizer, TrainingData, document_lengths};
}
pub mod digest {
    pub use crate::digest::Sha256Hex;
}
pub mod eval {
    pub use crate::eval::METRICS;
}
pub mod interop {
    pub use crate::interop::read;
}
pub mod plan {
    pub use crate::plan::{Outlined, expand, outline};
}
pub mod record {
    pub use crate::record::*;
}
pub mod rng {
    pub use crate::rng::{Purpose, Stream};
}
pub mod scheduler {
    pub use crate::scheduler::{Evaluation, Event, Prepared, Work, WorkError, peak_rss_bytes};
}
pub mod spec {
    pub use crate::spec::*;
}
pub mod store {
    pub use crate::store::Manifest;
}
pub mod train {
    pub use crate::train::{SampleJob, Weights};
    pub use specbook_kernels::cases as kernel_cases;
}

//! The architectures: which settings they allow, what they set by default, and their tensors.
//!
//! Parameters, work and memory of a model are sums over its tensors; the forward passes are the engine's.

use super::{Findings, Init, ModelConfig, ModelSettings, choices};

mod tensor;

pub use tensor::{Slot, Start, Tensor};

choices! {
    /// Which family of transformer is trained.
    #[derive(Copy, Eq, Default)]
    Arch: ArchKind {
        #[default]
        llama: Llama,
        gpt2: Gpt2,
    }
}

/// What an architecture is made of and which settings it allows.
pub trait ArchKind {
    /// What follows from the architecture where the settings leave it open.
    fn defaults(&self, settings: &ModelSettings) -> Defaults;

    /// Whether queries and keys are rotated by their positions, in pairs of numbers.
    fn is_rotary(&self) -> bool;

    /// Checks for settings that mean nothing to it.
    fn check(&self, settings: &ModelSettings, findings: &mut Findings);

    /// What of a decided model it cannot build; for models that no spec has checked.
    fn unsupported(&self, config: &ModelConfig) -> Option<String>;

    /// The tensors in the model's fixed order, as the engine stacks them.
    fn tensors(&self, config: &ModelConfig) -> Vec<Slot>;
}

/// The settings that an architecture decides.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Width of the feed-forward layer.
    pub hidden_dim: usize,
    /// Whether the output matrix is the embedding.
    pub tied_output: bool,
    /// Initialiser.
    pub init: Init,
}

/// Reports that `path` means nothing to the architecture `arch`, but something to `other`.
fn refuse(findings: &mut Findings, path: &str, arch: &str, other: &str) {
    let message = format!("`{path}` has no meaning for the `{arch}` architecture");
    let hint = format!("remove it, or set `model.arch: {other}`");
    findings.say(path, message).hint(hint);
}

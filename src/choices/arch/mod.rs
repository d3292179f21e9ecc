//! The architectures: their allowed settings, defaults and tensors.
//!
//! A model's parameter count, FLOPs and memory are sums over its tensors; the forward passes belong to
//! the engine.

use super::{Findings, Init, ModelConfig, ModelSettings, choices};

mod tensor;

pub use tensor::{Slot, Start, Tensor};

choices! {
    /// The transformer family.
    #[derive(Copy, Eq, Default)]
    Arch: ArchKind {
        #[default]
        llama: Llama,
        gpt2: Gpt2,
    }
}

/// The tensors of an architecture and the settings it allows.
pub trait ArchKind {
    /// Defaults of the architecture for settings left open.
    fn defaults(&self, settings: &ModelSettings) -> Defaults;

    /// Whether queries and keys are rotated by position (rotary embedding).
    fn is_rotary(&self) -> bool;

    /// Reports settings that the architecture does not have.
    fn check(&self, settings: &ModelSettings, findings: &mut Findings);

    /// The first setting of a resolved model that it cannot build; for models that no spec has checked.
    fn unsupported(&self, config: &ModelConfig) -> Option<String>;

    /// The tensors in the model's fixed order, as the engine stacks them.
    fn tensors(&self, config: &ModelConfig) -> Vec<Slot>;
}

/// Settings with architecture-specific defaults.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Width of the feed-forward layer.
    pub hidden_dim: usize,
    /// Whether the output matrix is tied to the embedding.
    pub tied_output: bool,
    /// Initialiser.
    pub init: Init,
}

/// Reports that `path` is a setting of `other`, not of `arch`.
fn refuse(findings: &mut Findings, path: &str, arch: &str, other: &str) {
    let message = format!("`{path}` has no meaning for the `{arch}` architecture");
    let hint = format!("remove it, or set `model.arch: {other}`");
    findings.say(path, message).hint(hint);
}

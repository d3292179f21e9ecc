//! Import and export of models: models trained here run elsewhere, and published models run here.
//!
//! A format is one file: `hf` (Hugging Face folders), `llama2c` (llama2.c's first checkpoint format), `gguf`
//! (llama.cpp's file). Each describes what it writes, what it cannot hold, and the layout expected by other programs.
//! [`folder`] writes the files and never touches files it did not make. Pickles are never read.
//!
//! Our layout has `(out, in)` matrices and rotary pairs of adjacent numbers `(2i, 2i + 1)`; other layouts are converted
//! here, in both directions.

mod folder;
mod gguf;
mod hf;
pub mod llama2c;

pub use folder::Folder;

use crate::choices::ModelConfig;
use crate::data::{DataError, TextTokenizer};
use crate::fsx::FsError;
use crate::weights::{NamedTensor, Weights};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A model with everything another program needs.
#[derive(Clone, Copy)]
pub struct Portable<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// Its weights.
    pub weights: &'a Weights,
    /// Its tokenizer.
    pub tokenizer: &'a TextTokenizer,
    /// Facts for readers.
    pub card: &'a Card,
}

/// Facts about an exported model for its readers.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// Its name: `spec/run` for a run, or the name of an imported model.
    pub title: String,
    /// Its identity.
    pub id: String,
    /// The finding, as Markdown.
    pub finding: String,
    /// Its settings, as YAML.
    pub settings: String,
    /// Its final metrics.
    pub metrics: BTreeMap<String, f64>,
}

/// An export format for models.
pub trait Format {
    /// Its name for `--to`.
    fn name(&self) -> &'static str;

    /// Its use, in one sentence.
    fn about(&self) -> &'static str;

    /// The files it writes for `model`, in order.
    fn files(&self, model: &Portable<'_>) -> Vec<&'static str>;

    /// Writes `model`; returns notes on differences for readers.
    ///
    /// # Errors
    /// [`InteropError::Refused`] for a model that the format cannot hold or its reader would compute differently.
    fn write(
        &self,
        model: &Portable<'_>,
        out: &mut Folder<'_>,
    ) -> Result<Vec<String>, InteropError>;

    /// The weights as stored in the format; `None` if unchanged.
    fn rounded(&self, weights: &Weights) -> Option<Weights> {
        let _ = weights;
        None
    }
}

/// The formats of models.
pub const FORMATS: [&dyn Format; 5] = [
    &hf::HuggingFace,
    &llama2c::Llama2c,
    &gguf::Gguf(gguf::Precision::F32),
    &gguf::Gguf(gguf::Precision::F16),
    &gguf::Gguf(gguf::Precision::Q8),
];

/// A model written by another program.
#[derive(Debug)]
pub struct Foreign {
    /// The model.
    pub model: ModelConfig,
    /// Its weights, named and ordered as here.
    pub weights: Weights,
    /// Its tokenizer.
    pub tokenizer: TextTokenizer,
    /// Notes on different computations and omitted parts.
    pub notes: Vec<String>,
}

/// Reads a Hugging Face folder or a llama2.c checkpoint. `tokenizer` names a file if there is none beside it.
///
/// # Errors
/// [`InteropError::Input`] for missing, damaged or unsupported parts.
pub fn read(path: &Path, tokenizer: Option<&Path>) -> Result<Foreign, InteropError> {
    if path.is_dir() {
        return hf::read(path, tokenizer);
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("pt" | "pth" | "ckpt" | "pkl") => Err(InteropError::pickle(path)),
        Some("safetensors") => {
            let folder = path.parent().unwrap_or(Path::new("."));
            let hint = format!("name its folder, `{}`", folder.display());
            Err(InteropError::input(path, "a file of weights alone").hint(hint))
        }
        _ => llama2c::open(path, tokenizer),
    }
}

/// Whether `path` names a model that [`read`] would try to read.
pub fn is_model(path: &Path) -> bool {
    path.join("config.json").is_file() || path.is_file()
}

/// Errors of import and export.
#[derive(Debug, thiserror::Error)]
pub enum InteropError {
    /// An unreadable file of another program.
    #[error("`{}`: {reason}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A model that a format cannot hold.
    #[error("{what} cannot be exported to `{format}`")]
    Refused {
        /// Which.
        format: &'static str,
        /// The unsupported part, and why.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A folder or file not made by specbook.
    #[error("`{}` was not made by an export: nothing was written", path.display())]
    Foreign {
        /// The folder or file.
        path: PathBuf,
    },
    /// A server that cannot be reached or refuses a request.
    #[error("the server at `{uri}` does not take the runs: {reason}")]
    Server {
        /// Its address.
        uri: String,
        /// Its reply.
        reason: String,
    },
    /// A tokenizer.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file operation.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl InteropError {
    fn input(path: &Path, reason: impl Into<String>) -> Self {
        Self::Input {
            path: path.to_owned(),
            reason: reason.into(),
            hint: None,
        }
    }

    fn refused(format: &'static str, what: impl Into<String>) -> Self {
        Self::Refused {
            format,
            what: what.into(),
            hint: None,
        }
    }

    fn pickle(path: &Path) -> Self {
        Self::input(
            path,
            "a pickle, which can run any program when it is opened, so it is never read",
        )
        .hint(
            "convert it in Python: `safetensors.torch.save_file(torch.load(FILE, weights_only=True), \"model.safetensors\")`",
        )
    }

    fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Input { hint, .. } | Self::Refused { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Input { hint, .. } | Self::Refused { hint, .. } => hint.as_deref(),
            Self::Foreign { .. } => Some("name an empty folder, or one that does not exist"),
            Self::Server { reason, .. } if reason.contains("refused") => {
                Some("nothing answers there; `mlflow server --port 5000` starts a server")
            }
            Self::Server { .. } | Self::Data(_) | Self::Fs(_) => None,
        }
    }
}

/// Reads a file of at most `limit` bytes.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, InteropError> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| InteropError::input(path, error.to_string());
    let file = crate::fsx::open_regular(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        let reason = format!("larger than the limit of {} MiB", limit >> 20);
        return Err(InteropError::input(path, reason));
    }
    Ok(bytes)
}

/// Weights in the order of `model`; `take` provides each tensor by our name.
fn assembled(
    model: &ModelConfig,
    mut values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, String>,
) -> Result<Weights, String> {
    let mut tensors = Vec::new();
    for part in model.tensors().into_iter().flat_map(|slot| slot.tensors) {
        let data = values(&part.name, &part.shape)?;
        if data.len() != part.len() {
            let (name, count, shape) = (&part.name, data.len(), &part.shape);
            return Err(format!(
                "`{name}` has {count} values, the model needs {shape:?}"
            ));
        }
        tensors.push(NamedTensor {
            name: part.name,
            shape: part.shape,
            data,
        });
    }
    Ok(Weights(tensors))
}

#[cfg(test)]
mod tests;

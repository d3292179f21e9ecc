//! The choices of a run: its loss, learning-rate schedule, initialiser and architecture.
//!
//! Every value of a choice is one file of plain data and functions, which holds
//!
//! 1. `ABOUT`, one sentence for the JSON Schema and the documentation;
//! 2. its settings as a struct with defaults, units and an `EXAMPLE`, or a unit struct if there are none;
//! 3. an implementation of the choice's trait: its check and its computation (a formula, a rate, tensors).
//!
//! `choices!` in the choice's `mod.rs` lists the values, one line each: it declares the module, the enum variant and its schema.
//! All other code uses the trait and never matches on the variants, so no place can miss a new value. To add one, write
//! its file and its line. The choices of `text` (source, tokenizer, sequence policy) follow the same pattern.
//!
//! Nothing here depends on spec files, tensors or corpora. A check reports [`Finding`]s, which the spec turns into
//! messages.

pub mod arch;
mod finding;
pub mod init;
pub mod loss;
mod model;
pub mod schedule;

pub use arch::Arch;
pub use finding::{Finding, Findings};
pub use init::Init;
pub use loss::{ClassWeight, Loss, Reduction};
pub use model::{ModelConfig, ModelSettings};
pub use schedule::Schedule;

/// Declares a choice from its values: `file: Variant`, or `file: Variant(Settings)` for a value with settings.
///
/// The enum gets `examples` for tests, `name` and `about` for documentation, and `get` for access to the choice's
/// trait.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        $name:ident: $kind:ident {
            $($(#[$of_variant:meta])* $file:ident: $variant:ident $(($settings:ident))?,)+
        }
    ) => {
        $(pub mod $file;)+

        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $(
                $(#[$of_variant])*
                #[doc = concat!("See the module `", stringify!($file), "`.")]
                #[schemars(description = $file::ABOUT)]
                $variant $(($file::$settings))?,
            )+
        }

        #[allow(clippy::clone_on_copy, reason = "settings with paths are no `Copy`")]
        impl $name {
            /// An example of every value.
            pub fn examples() -> Vec<Self> {
                vec![$(Self::$variant $(({ let example: &$file::$settings = &$file::EXAMPLE; example.clone() }))?,)+]
            }

            /// A description in one sentence.
            pub fn about(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $file::ABOUT,)+
                }
            }

            /// Name in specs.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($file),)+
                }
            }

            /// The value as the choice's trait.
            pub fn get(&self) -> &dyn $kind {
                match self {
                    $(Self::$variant $(($crate::choices::choices!(@bind settings $settings)))? => {
                        $crate::choices::choices!(@value settings $file $variant $($settings)?)
                    })+
                }
            }
        }
    };
    (@bind $binding:ident $settings:ident) => { $binding };
    (@value $binding:ident $file:ident $variant:ident) => { &$file::$variant };
    (@value $binding:ident $file:ident $variant:ident $settings:ident) => { $binding };
}
pub(crate) use choices;

//! Text to ids and back: the only user of `tokenizers`.
//!
//! A `tokenizer.json` is an untrusted file: its size is bounded, and since the library can panic on contents that it does
//! not expect (it indexes and unwraps while it builds its parts), every call into it is guarded by `catch_unwind`.
//! Documents are ordinary text: `</s>` written in one is encoded letter by letter, never as the special token.

mod export;
mod fidelity;
mod gpt2;
mod growth;
mod head;
mod kinds;
mod llama2c;
mod sentencepiece;
mod split;
mod text;
mod tiktoken;
mod train;

pub(crate) use export::{Spelling, Table, Token, TokenKind};
pub(crate) use fidelity::Fidelity;
pub(crate) use head::Head;
pub(crate) use kinds::{files, open};
pub use text::{MAX_FILE, TextTokenizer};
pub(crate) use text::{check_vocab_size, is_guarded};
pub use train::{ALGORITHM, WordCounts};

#[cfg(test)]
mod tests;

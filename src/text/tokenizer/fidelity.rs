//! Checks that text can be recovered from its ids. A tokenizer may silently drop characters that it has no entry for.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Number of examples in a note.
const SHOWN: usize = 6;

/// Lost characters of one text, with counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost(BTreeMap<char, u64>);

/// Compares a text with the text decoded from its ids, ignoring surrounding white space and the order of characters.
pub(super) fn lost(text: &str, back: &str) -> Option<Lost> {
    if text == back {
        return None;
    }
    let mut missing: BTreeMap<char, i64> = BTreeMap::new();
    text.trim()
        .chars()
        .for_each(|c| *missing.entry(c).or_default() += 1);
    back.trim()
        .chars()
        .for_each(|c| *missing.entry(c).or_default() -= 1);
    let missing = missing.into_iter().filter(|(_, count)| *count > 0);
    let missing: BTreeMap<char, u64> = missing
        .map(|(c, count)| (c, count.unsigned_abs()))
        .collect();
    (!missing.is_empty()).then_some(Lost(missing))
}

/// Losses of several texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fidelity {
    lost: BTreeMap<char, u64>,
    characters: u64,
    texts: usize,
}

impl Fidelity {
    /// Counts a text and its losses.
    pub(crate) fn add(&mut self, text: &str, lost: Option<Lost>) {
        self.texts += 1;
        self.characters += text.chars().count() as u64;
        for (character, count) in lost.unwrap_or_default().0 {
            *self.lost.entry(character).or_default() += count;
        }
    }

    /// A note, if anything is lost.
    pub(crate) fn note(&self, of: &str) -> Option<String> {
        let lost: u64 = self.lost.values().sum();
        if lost == 0 {
            return None;
        }
        let mut most: Vec<(char, u64)> = self.lost.iter().map(|(c, n)| (*c, *n)).collect();
        most.sort_by_key(|(character, count)| (std::cmp::Reverse(*count), *character));
        let mut examples = String::new();
        for (character, _) in most.iter().take(SHOWN) {
            let comma = if examples.is_empty() { "" } else { ", " };
            let shown = match character {
                ' ' => "spaces".to_owned(),
                '\n' => "line ends".to_owned(),
                _ if character.is_control() || character.is_whitespace() => {
                    format!("U+{:04X}", u32::from(*character))
                }
                _ => format!("`{character}`"),
            };
            let _ = write!(examples, "{comma}{shown}");
        }
        let more = if most.len() > SHOWN { ", …" } else { "" };
        let documents = match self.texts {
            1 => format!("the first {of} document"),
            n => format!("the first {n} {of} documents"),
        };
        Some(format!(
            "the tokenizer loses {lost} of {} characters in {documents}: {examples}{more}; losses and perplexities are of the rest, and bits per byte are left out",
            self.characters
        ))
    }
}

//! Training of a byte-level BPE (Sennrich et al., arXiv:1508.07909; over bytes as in GPT-2).
//!
//! The library's trainer counts with hash maps over threads; ours is small and deterministic: entry 0 is
//! `<|endoftext|>`, followed by the 256 bytes in order, then the merges. The pair with the highest count is merged
//! first; ties go to the smaller left id, then the smaller right id. Training ends at the requested size or when no
//! pair occurs twice.

use super::split::{Part, gpt2_parts};
use crate::text::{DataError, Stop};
use rayon::prelude::*;
use serde_json::json;
use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

/// Version of this algorithm, part of a run's identity; raise it if the same texts give different merges.
pub const ALGORITHM: u32 = 1;

/// Smallest vocabulary of a trained tokenizer: end-of-text and 256 bytes.
pub const MIN_BPE_VOCAB: usize = 257;
/// Largest vocabulary of a trained tokenizer.
pub const MAX_BPE_VOCAB: usize = 1 << 16;

pub(super) const END_OF_TEXT: &str = "<|endoftext|>";

/// Checks the size of a vocabulary to train.
pub(crate) fn check_vocab_size(vocab_size: usize) -> Result<(), DataError> {
    if (MIN_BPE_VOCAB..=MAX_BPE_VOCAB).contains(&vocab_size) {
        Ok(())
    } else {
        Err(DataError::VocabSize { vocab_size })
    }
}

/// Word counts of texts, which is all that training needs.
#[derive(Clone, Debug, Default)]
pub struct WordCounts(HashMap<String, u64>);

impl WordCounts {
    /// Adds the words of `texts`.
    ///
    /// # Errors
    /// [`DataError::Stopped`] if `stop` is set.
    pub(crate) fn add<T: AsRef<str> + Sync>(
        &mut self,
        texts: &[T],
        stop: &Stop,
    ) -> Result<(), DataError> {
        let counted: Vec<_> = texts
            .par_chunks(64)
            .map(|chunk| {
                stop.check()?;
                let mut words: HashMap<&str, u64> = HashMap::new();
                let mut other: HashMap<&str, u64> = HashMap::new();
                for part in chunk.iter().flat_map(|text| gpt2_parts(text.as_ref())) {
                    match part {
                        Part::Word(word) => *words.entry(word).or_default() += 1,
                        Part::Other(part) => *other.entry(part).or_default() += 1,
                    }
                }
                let mut cut: HashMap<String, u64> = HashMap::new();
                for (part, count) in other {
                    for word in library_words(part)? {
                        *cut.entry(word).or_default() += count;
                    }
                }
                Ok((words, cut))
            })
            .collect();
        for chunk in counted {
            stop.check()?;
            let (words, cut) = chunk?;
            let owned = cut.iter().map(|(word, count)| (word.as_str(), *count));
            for (word, count) in words.into_iter().chain(owned) {
                match self.0.get_mut(word) {
                    Some(sum) => *sum += count,
                    None => {
                        self.0.insert(word.to_owned(), count);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Trains and writes the `tokenizer.json`.
pub(super) fn train(
    words: WordCounts,
    vocab_size: usize,
    stop: &Stop,
) -> Result<Vec<u8>, DataError> {
    check_vocab_size(vocab_size)?;
    let bytes = byte_characters();
    let mut entries: Vec<String> = vec![END_OF_TEXT.to_owned()];
    entries.extend(bytes.iter().map(char::to_string));
    // Sorted by word, so that the map's order never affects a result.
    let words: BTreeMap<String, u64> = words.0.into_iter().collect();
    let merges = Merger::new(words, stop)?.run(&mut entries, vocab_size, stop)?;
    Ok(tokenizer_json(&entries, &merges))
}

/// Cuts any text into words by the library's rule, as written in the text.
pub(super) fn library_words(text: &str) -> Result<Vec<String>, DataError> {
    let mut cut = PreTokenizedString::from(text);
    ByteLevel::new(false, true, true)
        .pre_tokenize(&mut cut)
        .map_err(|error| DataError::Encode(error.to_string()))?;
    Ok(cut
        .get_splits(OffsetReferential::Original, OffsetType::Byte)
        .into_iter()
        .map(|(_, (start, end), _)| text[start..end].to_owned())
        .collect())
}

/// A pair of neighbouring entries.
type Pair = (u32, u32);

/// The state of training: words as lists of entries, and the occurrences of each pair.
struct Merger {
    words: Vec<(Vec<u32>, u64)>,
    pairs: HashMap<Pair, Occurrences, BuildHasherDefault<PairHasher>>,
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

#[derive(Default)]
struct Occurrences {
    count: u64,
    /// Words that contain or contained the pair; may repeat.
    words: Vec<u32>,
}

impl Merger {
    fn new(counted: BTreeMap<String, u64>, stop: &Stop) -> Result<Self, DataError> {
        let words: Vec<(Vec<u32>, u64)> = counted
            .into_iter()
            .map(|(word, count)| {
                (
                    word.bytes().map(|byte| u32::from(byte) + 1).collect(),
                    count,
                )
            })
            .collect();
        let mut merger = Self {
            words: Vec::new(),
            pairs: HashMap::default(),
            queue: BinaryHeap::new(),
        };
        for (index, (symbols, count)) in words.iter().enumerate() {
            stop.check()?;
            for pair in symbols.windows(2) {
                merger.add((pair[0], pair[1]), *count, index as u32);
            }
        }
        merger.words = words;
        merger.queue = merger
            .pairs
            .iter()
            .map(|(pair, seen)| (seen.count, Reverse(*pair)))
            .collect();
        Ok(merger)
    }

    fn add(&mut self, pair: Pair, count: u64, word: u32) {
        let seen = self.pairs.entry(pair).or_default();
        seen.count += count;
        if seen.words.last() != Some(&word) {
            seen.words.push(word);
        }
    }

    /// Removes `count` occurrences; the pair being merged is already removed.
    fn drop_one(&mut self, pair: Pair, count: u64) {
        if let Some(seen) = self.pairs.get_mut(&pair) {
            seen.count = seen.count.saturating_sub(count);
        }
    }

    /// Merges until there are `vocab_size` `entries`; returns the merges in order.
    fn run(
        mut self,
        entries: &mut Vec<String>,
        vocab_size: usize,
        stop: &Stop,
    ) -> Result<Vec<Pair>, DataError> {
        let mut ids: HashMap<String, u32> = entries
            .iter()
            .enumerate()
            .map(|(id, entry)| (entry.clone(), id as u32))
            .collect();
        let mut merges = Vec::new();
        while entries.len() < vocab_size {
            stop.check()?;
            let Some((count, Reverse(pair))) = self.queue.pop() else {
                break;
            };
            // The queue may hold an outdated count; the current one is queued again, which keeps the order by count.
            let current = self.pairs.get(&pair).map_or(0, |seen| seen.count);
            if current != count {
                if current > 0 {
                    self.queue.push((current, Reverse(pair)));
                }
                continue;
            }
            if count < 2 {
                break;
            }
            let entry = format!("{}{}", entries[pair.0 as usize], entries[pair.1 as usize]);
            // The same string can arise from two pairs; it is one entry.
            let id = match ids.entry(entry) {
                Entry::Occupied(found) => *found.get(),
                Entry::Vacant(free) => {
                    let id = entries.len() as u32;
                    entries.push(free.key().clone());
                    free.insert(id);
                    id
                }
            };
            merges.push(pair);
            self.merge(pair, id);
        }
        Ok(merges)
    }

    /// Replaces `pair` by `id` everywhere and updates the counts of its neighbours.
    fn merge(&mut self, pair: Pair, id: u32) {
        let Some(mut seen) = self.pairs.remove(&pair) else {
            return;
        };
        seen.words.sort_unstable();
        seen.words.dedup();
        let mut grown: Vec<Pair> = Vec::new();
        for index in seen.words {
            let (symbols, count) = std::mem::take(&mut self.words[index as usize]);
            let mut merged = Vec::with_capacity(symbols.len());
            let mut at = 0;
            while at < symbols.len() {
                if at + 1 == symbols.len() || (symbols[at], symbols[at + 1]) != pair {
                    merged.push(symbols[at]);
                    at += 1;
                    continue;
                }
                // The current word: `merged`, the pair, and the rest.
                if let Some(before) = merged.last().copied() {
                    self.drop_one((before, pair.0), count);
                    self.add((before, id), count, index);
                    grown.push((before, id));
                }
                if let Some(after) = symbols.get(at + 2).copied() {
                    self.drop_one((pair.1, after), count);
                    self.add((id, after), count, index);
                    grown.push((id, after));
                }
                merged.push(id);
                at += 2;
            }
            self.words[index as usize] = (merged, count);
        }
        grown.sort_unstable();
        grown.dedup();
        for new in grown {
            if let Some(seen) = self.pairs.get(&new) {
                self.queue.push((seen.count, Reverse(new)));
            }
        }
    }
}

/// A fast hash for pairs of ids; map order never affects a result.
#[derive(Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, value: u32) {
        let mixed = (self.0.rotate_left(29) ^ u64::from(value)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// The characters that stand for bytes in the file: printable Latin-1 as itself, the others from U+0100 on.
pub(super) fn byte_characters() -> [char; 256] {
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => {
                let stand_in = char::from_u32(next).unwrap_or(char::REPLACEMENT_CHARACTER);
                next += 1;
                stand_in
            }
        }
    })
}

fn tokenizer_json(entries: &[String], merges: &[Pair]) -> Vec<u8> {
    let vocab: serde_json::Map<String, serde_json::Value> = entries
        .iter()
        .enumerate()
        .map(|(id, entry)| (entry.clone(), id.into()))
        .collect();
    let merges: Vec<[&str; 2]> = merges
        .iter()
        .map(|(left, right)| {
            [
                entries[*left as usize].as_str(),
                entries[*right as usize].as_str(),
            ]
        })
        .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{
            "id": 0, "content": END_OF_TEXT, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }],
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges,
        },
    })
    .to_string()
    .into_bytes()
}

//! Loading: turns documents into tokens and sequences. Tokenised slices are cached.

use super::cache::{Cache, Found, Turn, digest_of, digest_of_slices};
use super::identity::{
    DataKey, Identified, SliceKey, TokenizerKey, identify, slice_cache_key, tokenizer_cache_key,
};
use super::sequence::{self, Frame, Shape, sequence_length};
use super::slices::{DocumentRange, Slices};
use super::source::{self, BinVocabulary, Document, Wanted};
use super::tokenizer::{self, Fidelity, OfDocuments, TextTokenizer};
use super::{DataContext, DataError, SequenceSet, TrainingData};
use crate::digest::{Hasher, Sha256Hex};
use crate::fsx::FsResult;
use crate::spec::{Corpus, DataSettings, ModelConfig, Sequence, Settings, Split, Tokenizer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Documents of a slice that are decoded again, to check that no characters are lost.
const FIRST_DOCUMENTS: usize = 64;
/// Maximum bytes of these documents.
const FIRST_BYTES: usize = 1 << 18;
/// Bytes of text to read before counting or encoding them at once.
const TOGETHER_BYTES: usize = 4 << 20;

/// The data of a run, ready to train on.
#[derive(Clone, Debug)]
pub struct LoadedData {
    /// The training data.
    pub training: TrainingData,
    /// The validation sequences.
    pub validation: SequenceSet,
    /// The tokenizer.
    pub tokenizer: Arc<TextTokenizer>,
    /// Training documents.
    pub documents: usize,
    /// Training sequences; 0 for a stream.
    pub sequences: usize,
    /// Notes for readers of the run: disabled settings of the tokenizer file, lost characters, documents without text.
    /// Deterministic for the same data.
    pub notes: Vec<String>,
    /// Warnings from reading: damaged cache entries, a cache that cannot be written.
    pub warnings: Vec<String>,
    /// Digest of the ids of the training and validation documents.
    pub ids: Sha256Hex,
}

/// Loads the data of a run, from the cache if it was tokenised before.
///
/// # Errors
/// As [`identify`]; documents that changed since then; ids outside the model's vocabulary; a policy that leaves nothing
/// to train on.
pub fn load(
    settings: &Settings,
    model: &ModelConfig,
    context: &DataContext,
) -> Result<LoadedData, DataError> {
    let data = &settings.data;
    let Identified { key, slices, .. } = identify(data, &settings.model, context)?;
    let mut warnings = Vec::new();
    let tokenizer = open_tokenizer(data, &slices, &key.tokenizer, context, &mut warnings)?;
    if tokenizer.vocab_size() > model.vocab_size {
        return Err(DataError::IdBeyondVocabulary {
            place: "the tokenizer".to_owned(),
            id: tokenizer.vocab_size() as u32 - 1,
            vocab_size: model.vocab_size,
        });
    }
    let loader = Loader {
        key: &key,
        tokenizer: &tokenizer,
        context,
    };
    let [train, validation] = loader.tokenised(
        [
            (&slices.train, &key.train),
            (&slices.validation, &key.validation),
        ],
        &mut warnings,
    )?;
    context.stop.check()?;
    let ids = digest_of_slices(&digest_of(&train), &digest_of(&validation));
    let mut notes = tokenizer.notes().to_vec();
    for (slice, documents) in [(&slices.train, &train), (&slices.validation, &validation)] {
        notes.extend(first_documents(slice, &tokenizer, context)?);
        let empty = documents.iter().filter(|ids| ids.is_empty()).count();
        if empty > 0 {
            let (all, name) = (documents.len(), slice.slice);
            notes.push(format!("{empty} of {all} {name} documents hold no text"));
        }
    }
    let document_tokens: Vec<u32> = train.iter().map(|ids| ids.len() as u32).collect();
    let frame = Frame {
        bos: tokenizer.bos(),
        eos: tokenizer.eos(),
        seq_len: sequence_length(key.seq_len, model.max_seq_len, &document_tokens)?,
        shift: key.target_shift,
    };
    let (documents, [train, validation]) = (
        train.len(),
        [(&slices.train, train), (&slices.validation, validation)]
            .map(|(slice, ids)| stream_documents(key.sequence, &slice.corpus, ids)),
    );
    let training = sequence::training(key.sequence, &train, frame);
    let validation_set = sequence::validation(key.sequence, &validation, frame);
    let trains = match &training {
        TrainingData::Sequences(set) => !set.is_empty(),
        TrainingData::Stream { ids, window, shift } => ids.len() >= window + shift,
    };
    for (slice, documents, some) in [
        ("train", &train, trains),
        ("validation", &validation, !validation_set.is_empty()),
    ] {
        if !some {
            return Err(DataError::NoSequences {
                slice,
                seq_len: frame.seq_len,
                documents: documents.len(),
                tokens: documents.iter().map(|ids| ids.len() as u64).sum(),
            });
        }
    }
    Ok(LoadedData {
        sequences: match &training {
            TrainingData::Sequences(set) => set.len(),
            TrainingData::Stream { .. } => 0,
        },
        training,
        validation: validation_set,
        documents,
        notes,
        warnings,
        ids,
        tokenizer: Arc::new(tokenizer),
    })
}

/// The documents of a stream: pieces of one text are rejoined, so that no end-of-text id separates them.
pub(crate) fn stream_documents(
    sequence: Sequence,
    corpus: &Corpus,
    documents: Vec<Vec<u32>>,
) -> Vec<Vec<u32>> {
    if sequence.get().shape() == Shape::Stream && corpus.get().is_one_text() {
        vec![documents.concat()]
    } else {
        documents
    }
}

/// Encodes and decodes the first documents of a slice; returns a note if characters are lost.
fn first_documents(
    slice: &DocumentRange,
    tokenizer: &TextTokenizer,
    context: &DataContext,
) -> Result<Option<String>, DataError> {
    if tokenizer.is_lossless() {
        return Ok(None);
    }
    let start = slice.range.start;
    let wanted = Wanted {
        slice: slice.slice,
        range: start..slice.range.end.min(start.saturating_add(FIRST_DOCUMENTS)),
    };
    let (mut fidelity, mut bytes) = (Fidelity::default(), 0);
    let vocabulary = Some(bin_vocabulary(tokenizer));
    source::read_ranges(
        &slice.corpus,
        &[wanted],
        vocabulary,
        context,
        |_, document| {
            if let Document::Text(text) = document
                && bytes < FIRST_BYTES
            {
                let text = &text[..text.floor_char_boundary(FIRST_BYTES - bytes)];
                bytes += text.len();
                fidelity.add(text, tokenizer.lost(text, &tokenizer.encode(text)?)?);
            }
            Ok(())
        },
    )?;
    Ok(fidelity.note(slice.slice))
}

/// Number of ids of each training document, from the cache if it was tokenised before. Adds any warnings to `warnings`.
///
/// # Errors
/// As [`load`].
pub fn document_lengths(
    settings: &Settings,
    context: &DataContext,
    warnings: &mut Vec<String>,
) -> Result<Vec<u32>, DataError> {
    let Identified { key, slices, .. } = identify(&settings.data, &settings.model, context)?;
    let cache = Cache::new(context);
    let kept = cache.lengths(&slice_cache_key(&key.train, &key.tokenizer));
    if let Some(lengths) = kept.filter(|_| !context.paranoid) {
        return Ok(lengths);
    }
    let tokenizer = open_tokenizer(&settings.data, &slices, &key.tokenizer, context, warnings)?;
    let loader = Loader {
        key: &key,
        tokenizer: &tokenizer,
        context,
    };
    let [train] = loader.tokenised([(&slices.train, &key.train)], warnings)?;
    Ok(train.iter().map(|ids| ids.len() as u32).collect())
}

/// As [`document_lengths`], for data tokenised before, even if its text is gone.
pub fn kept_lengths(key: &DataKey, context: &DataContext) -> Option<Vec<u32>> {
    Cache::new(context).lengths(&slice_cache_key(&key.train, &key.tokenizer))
}

/// Texts of the first `count` documents of a held-out slice. Documents of a `.bin` file are decoded.
///
/// # Errors
/// Fewer documents than requested; missing or damaged files.
pub fn held_out(
    settings: &DataSettings,
    split: Split,
    count: usize,
    context: &DataContext,
) -> Result<Vec<String>, DataError> {
    let slices = Slices::of(settings, context)?;
    let slice = match split {
        Split::Validation => &slices.validation,
        Split::Test => &slices.test,
    };
    if count > slice.range.len() {
        return Err(DataError::HeldOut {
            slice: slice.slice,
            asked: count,
            available: slice.range.len(),
        });
    }
    let tokenizer = match slice.corpus.get().holds_ids() {
        true => tokenizer::open(&settings.tokenizer, context)?,
        false => None,
    };
    let wanted = Wanted {
        slice: slice.slice,
        range: slice.range.start..slice.range.start + count,
    };
    let mut texts = Vec::with_capacity(count.min(1 << 16));
    source::read_ranges(
        &slice.corpus,
        &[wanted],
        tokenizer.as_ref().map(bin_vocabulary),
        context,
        |_, document| {
            texts.push(match (document, &tokenizer) {
                (Document::Text(text), _) => text.clone(),
                (Document::Ids(ids), Some(tokenizer)) => tokenizer.decode(ids)?,
                (Document::Ids(_), None) => {
                    unreachable!("a `.bin` file does not open without a tokenizer")
                }
            });
            Ok(())
        },
    )?;
    Ok(texts)
}

/// The facts a `.bin` file needs about the tokenizer that made it.
pub(super) fn bin_vocabulary(tokenizer: &TextTokenizer) -> BinVocabulary {
    BinVocabulary {
        eos: tokenizer.eos(),
        vocab_size: tokenizer.vocab_size(),
    }
}

fn open_tokenizer(
    settings: &DataSettings,
    slices: &Slices,
    key: &TokenizerKey,
    context: &DataContext,
    warnings: &mut Vec<String>,
) -> Result<TextTokenizer, DataError> {
    let sha256 = match key {
        TokenizerKey::Learnt { .. } => {
            return learnt(&settings.tokenizer, slices, key, context, warnings);
        }
        TokenizerKey::File { sha256 } => sha256,
    };
    let Some(tokenizer) = tokenizer::open(&settings.tokenizer, context)? else {
        unreachable!("the key was made from these settings")
    };
    if tokenizer.sha256() != *sha256 {
        let path = settings.tokenizer.path().unwrap_or(Path::new("bytes"));
        return Err(DataError::Changed {
            corpus: format!("the tokenizer `{}`", path.display()),
        });
    }
    Ok(tokenizer)
}

/// A trained tokenizer, with a note if the documents give fewer entries than requested.
pub(super) fn learnt(
    kind: &Tokenizer,
    slices: &Slices,
    key: &TokenizerKey,
    context: &DataContext,
    warnings: &mut Vec<String>,
) -> Result<TextTokenizer, DataError> {
    let Some(learns) = kind.learns() else {
        unreachable!("only kinds that learn have such a key")
    };
    let mut tokenizer = learn(learns, kind.name(), slices, key, context, warnings)?;
    let found = tokenizer.vocab_size();
    if let Some(asked) = learns.entries().filter(|asked| found < *asked) {
        tokenizer.add_note(format!(
            "the tokenizer's texts give {found} entries, fewer than `vocab_size: {asked}`; the rest is never used"
        ));
    }
    Ok(tokenizer)
}

fn learn(
    kind: &dyn OfDocuments,
    name: &str,
    slices: &Slices,
    key: &TokenizerKey,
    context: &DataContext,
    warnings: &mut Vec<String>,
) -> Result<TextTokenizer, DataError> {
    let cache = Cache::new(context);
    let cache_key = tokenizer_cache_key(key);
    let named = Path::new(name);
    let mut look = || match cache.tokenizer(&cache_key) {
        Found::Hit(bytes) => Some(bytes),
        Found::Damaged(path) => {
            tell(warnings, damaged(&path));
            None
        }
        Found::Miss => None,
    };
    if let Some(bytes) = look() {
        return TextTokenizer::from_bytes(&bytes, named);
    }
    let _lease = match cache.turn(&cache_key, context, look)? {
        Turn::Made(bytes) => return TextTokenizer::from_bytes(&bytes, named),
        ours @ Turn::Ours(_) => ours,
    };
    let slice = slices.tokenizer.as_ref().unwrap_or(&slices.train);
    let wanted = Wanted {
        slice: slice.slice,
        range: slice.range.clone(),
    };
    let (mut learning, mut texts, mut bytes) = (kind.learn(), Vec::new(), 0);
    source::read_ranges(&slice.corpus, &[wanted], None, context, |_, document| {
        if let Document::Text(text) = document {
            bytes += text.len();
            texts.push(text.clone());
        }
        if bytes >= TOGETHER_BYTES {
            learning.add(&texts, &context.stop)?;
            (texts, bytes) = (Vec::new(), 0);
        }
        Ok(())
    })?;
    learning.add(&texts, &context.stop)?;
    let bytes = learning.finish(&context.stop)?;
    #[cfg(test)]
    super::test_support::count_training();
    kept(&cache, cache.put_tokenizer(&cache_key, &bytes), warnings);
    TextTokenizer::from_bytes(&bytes, named)
}

fn damaged(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("the cache entry `{name}` was damaged and is made again")
}

/// Warns if an entry could not be stored or differs from an existing one.
fn kept(cache: &Cache<'_>, result: FsResult<Option<PathBuf>>, warnings: &mut Vec<String>) {
    match result {
        Ok(None) => {}
        Ok(Some(other)) => tell(warnings, damaged(&other)),
        Err(error) => tell(warnings, cache.without(&error)),
    }
}

/// Adds a warning, once.
fn tell(warnings: &mut Vec<String>, warning: String) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}

struct Loader<'a> {
    key: &'a DataKey,
    tokenizer: &'a TextTokenizer,
    context: &'a DataContext,
}

impl Loader<'_> {
    /// Ids of slices, from the cache or the documents.
    fn tokenised<const N: usize>(
        &self,
        slices: [(&DocumentRange, &SliceKey); N],
        warnings: &mut Vec<String>,
    ) -> Result<[Vec<Vec<u32>>; N], DataError> {
        let cache = Cache::new(self.context);
        let cache_keys = slices.map(|(_, key)| slice_cache_key(key, &self.key.tokenizer));
        let vocab_size = self.tokenizer.vocab_size();
        let mut look = |i: usize| match cache.slice(&cache_keys[i], vocab_size) {
            Found::Hit(documents) => Some(documents),
            Found::Miss => None,
            Found::Damaged(path) => {
                tell(warnings, damaged(&path));
                None
            }
        };
        let mut found: [Option<Vec<Vec<u32>>>; N] = std::array::from_fn(&mut look);
        // Leases are taken in the order of their names, in every process, so that there is no deadlock.
        let mut order: Vec<usize> = (0..N).filter(|i| found[*i].is_none()).collect();
        order.sort_by_key(|i| &cache_keys[*i]);
        order.dedup_by_key(|i| &cache_keys[*i]);
        let mut leases = Vec::new();
        for i in order {
            match cache.turn(&cache_keys[i], self.context, || look(i))? {
                Turn::Made(documents) => found[i] = Some(documents),
                ours @ Turn::Ours(_) => leases.push(ours),
            }
        }
        for i in 0..N {
            if found[i].is_some() {
                continue;
            }
            // Slices of one corpus are read in one pass.
            let together: Vec<usize> = (i..N)
                .filter(|j| found[*j].is_none() && slices[*j].0.corpus == slices[i].0.corpus)
                .collect();
            let chosen: Vec<_> = together.iter().map(|j| slices[*j]).collect();
            #[cfg(test)]
            super::test_support::count_encodings(chosen.len());
            for (j, documents) in together.into_iter().zip(self.read(&chosen)?) {
                kept(
                    &cache,
                    cache.put_slice(&cache_keys[j], &documents),
                    warnings,
                );
                found[j] = Some(documents);
            }
        }
        Ok(found.map(Option::unwrap_or_default))
    }

    /// Reads and encodes slices of one corpus; fails if they differ from the identified ones.
    fn read(
        &self,
        slices: &[(&DocumentRange, &SliceKey)],
    ) -> Result<Vec<Vec<Vec<u32>>>, DataError> {
        let Some(corpus) = slices.first().map(|(range, _)| &range.corpus) else {
            return Ok(Vec::new());
        };
        let wanted: Vec<Wanted> = slices
            .iter()
            .map(|(range, _)| Wanted {
                slice: range.slice,
                range: range.range.clone(),
            })
            .collect();
        let mut hashers = vec![Hasher::new(); slices.len()];
        let mut pending = Pending::new(slices.len());
        source::read_ranges(
            corpus,
            &wanted,
            Some(bin_vocabulary(self.tokenizer)),
            self.context,
            |number, document| {
                if matches!(slices[number].1, SliceKey::Documents { .. }) {
                    hashers[number].update_prefixed(&document.identity_bytes());
                }
                match document {
                    Document::Ids(ids) => pending.encoded[number].push(ids.clone()),
                    Document::Text(text) => pending.add(number, text.clone(), self)?,
                }
                Ok(())
            },
        )?;
        pending.encode(self)?;
        for ((_, key), hasher) in slices.iter().zip(hashers) {
            if let SliceKey::Documents { sha256, .. } = key
                && *sha256 != hasher.finish()
            {
                Cache::new(self.context).forget_stats();
                return Err(DataError::Changed {
                    corpus: source::describe(corpus),
                });
            }
        }
        Ok(pending.encoded)
    }
}

/// Texts waiting to be encoded at once.
struct Pending {
    numbers: Vec<usize>,
    texts: Vec<String>,
    bytes: usize,
    encoded: Vec<Vec<Vec<u32>>>,
}

impl Pending {
    fn new(slices: usize) -> Self {
        Self {
            numbers: Vec::new(),
            texts: Vec::new(),
            bytes: 0,
            encoded: vec![Vec::new(); slices],
        }
    }

    fn add(&mut self, number: usize, text: String, loader: &Loader<'_>) -> Result<(), DataError> {
        self.bytes += text.len();
        self.numbers.push(number);
        self.texts.push(text);
        if self.bytes >= TOGETHER_BYTES {
            self.encode(loader)
        } else {
            Ok(())
        }
    }

    fn encode(&mut self, loader: &Loader<'_>) -> Result<(), DataError> {
        let (tokenizer, stop) = (loader.tokenizer, &loader.context.stop);
        let encoded = tokenizer.encode_all_unless(stop, &self.texts)?;
        for (number, mut ids) in self.numbers.drain(..).zip(encoded) {
            ids.shrink_to_fit();
            self.encoded[number].push(ids);
        }
        self.texts.clear();
        self.bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! One evaluation: documents, calibration, random windows, samples.

use super::calibration::{Calibrator, mean_nll};
use super::perplexity::{DocumentSum, accuracies, bounded_exp, perplexities};
use super::text::variety;
use crate::choices::Reduction;
use crate::choices::loss::Formula;
use crate::data::{DataError, SequenceSet, Stop};
use crate::digest::Sha256Hex;
use crate::record::{DocumentScore, EvalResult, Sample};
use crate::rng::{Purpose, Stream};
use crate::spec::{EvalSettings, Loss, ModelConfig, RandomWindows, SampleSettings};
use crate::train::{Engine, EvalJob, SampleJob, TokenScores, TrainError, Weights};

/// Format number of `result.json`.
const FORMAT: u32 = 1;
/// Characters of a document shown beside its score.
const EXCERPT: usize = 80;
/// Smallest value that counts as a probability estimate in the clipped-linear perplexity (docs/studies.md#e7).
const CLIP: f64 = 1e-6;

/// A held-out document, ready to be scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoredDocument {
    /// The text; its bytes are the denominator of bits per byte.
    pub text: String,
    /// Whether its ids decode to exactly its text. If characters are lost, the ids encode less than
    /// the text, and bits per byte are meaningless.
    pub is_whole: bool,
    /// Its windows, each no longer than the model's context, every target scored.
    pub windows: SequenceSet,
}

/// Decodes the new ids that follow a prompt.
pub type Decode<'a> = dyn Fn(&[u32], &[u32]) -> Result<String, DataError> + 'a;

/// Everything an evaluation needs: plain data, and a function that decodes ids.
#[derive(Clone, Copy)]
pub struct EvalRequest<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// The requested measurements.
    pub settings: &'a EvalSettings,
    /// The documents of `settings.perplexity`; not read if that is not set.
    pub documents: &'a [ScoredDocument],
    /// Concatenated ids of the validation slice, for `settings.random_windows`; may be empty otherwise.
    pub stream: &'a [u32],
    /// Distance from an input to its target in random windows.
    pub target_shift: usize,
    /// Ids of `settings.samples.prompts`, including BOS, in the same order.
    pub prompts: &'a [Vec<u32>],
    /// The text that new ids add to a prompt; takes the prompt's ids and the new ids.
    pub decode: &'a Decode<'a>,
    /// Id that ends a continuation.
    pub eos: Option<u32>,
    /// Ids at or above this are never drawn.
    pub usable_vocab: usize,
    /// The training loss, which decides whether clipped-linear scores mean anything.
    pub loss: Loss,
    /// Threads; they do not affect the results.
    pub threads: usize,
    /// Ends the evaluation early, with [`TrainError::Stopped`].
    pub halt: &'a Stop,
}

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] TrainError),
    /// Ids that the tokenizer cannot decode.
    #[error(transparent)]
    Decode(#[from] DataError),
    /// The engine returned the wrong number of scores.
    #[error("the engine scored {got} targets of {asked}")]
    Count {
        /// Targets of the sequences.
        asked: usize,
        /// Scores.
        got: usize,
    },
    /// A log-likelihood that is NaN or infinite.
    #[error(
        "the log-likelihood of target {target} of {set} is {value}: the weights are not usable"
    )]
    NotFinite {
        /// Which targets were scored: `the documents`, `the random windows`.
        set: &'static str,
        /// Index among them.
        target: usize,
        /// The value.
        value: f32,
    },
    /// A stream that is too short for the requested windows.
    #[error(
        "eval.random_windows: a validation stream of {stream} ids holds no window of {tokens} tokens; ask for fewer `tokens` or more validation documents"
    )]
    ShortStream {
        /// Ids.
        stream: usize,
        /// Tokens per window.
        tokens: usize,
    },
    /// The number of tokenised prompts differs from the number of prompts.
    #[error("{got} tokenised prompts for {asked} prompts")]
    Prompts {
        /// Prompts of the settings.
        asked: usize,
        /// Lists of ids.
        got: usize,
    },
}

/// Evaluates `weights` as specified by `request`.
///
/// # Errors
/// Whatever the engine refuses; scores that are not finite; a stream too short for its windows.
pub fn evaluate(
    engine: &dyn Engine,
    weights: &Weights,
    request: &EvalRequest<'_>,
) -> Result<EvalResult, EvalError> {
    let evaluation = Evaluation {
        engine,
        weights,
        request,
    };
    let mut result = EvalResult {
        format: FORMAT,
        ..EvalResult::default()
    };
    if let Some(settings) = &request.settings.perplexity {
        evaluation.documents(&mut result)?;
        if settings.calibrated {
            evaluation.calibrated(&mut result)?;
        }
    }
    if let Some(windows) = &request.settings.random_windows {
        let perplexity = evaluation.random_windows(windows)?;
        result
            .metrics
            .insert("perplexity_random_windows".to_owned(), perplexity);
    }
    if let Some(settings) = &request.settings.samples {
        evaluation.samples(settings, &mut result)?;
    }
    result.metrics.retain(|_, value| value.is_finite());
    Ok(result)
}

/// Targets and nats of each sequence, in order.
///
/// # Errors
/// Those of [`evaluate`].
pub fn by_sequence(
    engine: &dyn Engine,
    weights: &Weights,
    request: &EvalRequest<'_>,
    sequences: &SequenceSet,
) -> Result<Vec<(u64, f64)>, EvalError> {
    let evaluation = Evaluation {
        engine,
        weights,
        request,
    };
    let scores = evaluation.scores("the validation sequences", sequences, None)?;
    let mut rest = scores.log_likelihood.as_slice();
    let own = |length: &usize| {
        let (own, after) = rest.split_at(*length);
        rest = after;
        let nll = own.iter().map(|value| -f64::from(*value)).sum();
        (*length as u64, nll)
    };
    Ok(scores.lengths.iter().map(own).collect())
}

struct Evaluation<'a> {
    engine: &'a dyn Engine,
    weights: &'a Weights,
    request: &'a EvalRequest<'a>,
}

impl Evaluation<'_> {
    fn scores(
        &self,
        set: &'static str,
        sequences: &SequenceSet,
        clipped_linear_eps: Option<f64>,
    ) -> Result<TokenScores, EvalError> {
        let job = EvalJob {
            model: self.request.model,
            sequences,
            temperatures: &[],
            clipped_linear_eps,
            threads: self.request.threads,
            halt: self.request.halt,
        };
        let scores = self.engine.evaluate(self.weights, &job)?;
        let (asked, got) = (sequences.targets.len(), scores.log_likelihood.len());
        let lists = [
            scores.rank.len(),
            scores.confidence.len(),
            scores.lengths.iter().sum(),
        ];
        if asked != got || lists.iter().any(|length| *length != asked) {
            return Err(EvalError::Count { asked, got });
        }
        match scores
            .log_likelihood
            .iter()
            .position(|value| !value.is_finite())
        {
            Some(target) => Err(EvalError::NotFinite {
                set,
                target,
                value: scores.log_likelihood[target],
            }),
            None => Ok(scores),
        }
    }

    /// Clipped-linear scores, for losses whose logits estimate probabilities.
    fn clip(&self) -> Option<f64> {
        let calibrated = self
            .request
            .settings
            .perplexity
            .is_some_and(|settings| settings.calibrated);
        let is_linear = Formula::new(&self.request.loss, Reduction::default(), 2).is_linear();
        (calibrated && is_linear).then_some(CLIP)
    }

    fn documents(&self, result: &mut EvalResult) -> Result<(), EvalError> {
        let documents = self.request.documents;
        let all = gather(documents.iter());
        if all.targets.is_empty() {
            return Ok(());
        }
        let scores = self.scores("the documents", &all, self.clip())?;
        let mut rest = scores.log_likelihood.as_slice();
        let mut ranks = scores.rank.as_slice();
        let mut sums = Vec::with_capacity(documents.len());
        for document in documents {
            let (own, after) = rest.split_at(document.windows.targets.len());
            rest = after;
            let (own_ranks, after) = ranks.split_at(own.len());
            ranks = after;
            sums.push(DocumentSum {
                tokens: own.len() as u64,
                nll: own.iter().map(|value| -f64::from(*value)).sum(),
                bytes: document.text.len() as u64,
                hits: own_ranks.iter().filter(|rank| **rank == 0).count() as u64,
            });
        }
        result.metrics.extend(perplexities(&sums));
        if documents.iter().any(|document| !document.is_whole) {
            result.metrics.remove("bits_per_byte");
        }
        result.metrics.extend(accuracies(&scores));
        if !scores.clipped_linear.is_empty() {
            let clipped = bounded_exp(mean_nll(&scores.clipped_linear));
            result
                .metrics
                .insert("perplexity_clipped_linear".to_owned(), clipped);
        }
        let perplexity = &self.request.settings.perplexity;
        let quotes = perplexity.is_none_or(|settings| settings.quote);
        let scored = documents
            .iter()
            .zip(&sums)
            .enumerate()
            .filter(|(_, (_, sum))| sum.tokens > 0);
        result.documents = scored
            .map(|(index, (document, sum))| DocumentScore {
                document: index,
                tokens: sum.tokens,
                nll: sum.nll,
                perplexity: sum.perplexity(),
                hits: Some(sum.hits),
                excerpt: match quotes {
                    true => excerpt(&document.text),
                    false => format!(
                        "SHA-256 {}",
                        Sha256Hex::of(document.text.as_bytes()).short()
                    ),
                },
            })
            .collect();
        Ok(())
    }

    /// Fits on the even documents, scores the odd ones.
    fn calibrated(&self, result: &mut EvalResult) -> Result<(), EvalError> {
        let even = gather(self.request.documents.iter().step_by(2));
        let odd = gather(self.request.documents.iter().skip(1).step_by(2));
        if even.targets.is_empty() || odd.targets.is_empty() {
            return Ok(());
        }
        let calibrator = Calibrator {
            engine: self.engine,
            weights: self.weights,
            model: self.request.model,
            threads: self.request.threads,
            halt: self.request.halt,
        };
        let temperature = calibrator.fit(&even)?;
        if let Some(nll) = calibrator.score(&odd, temperature)? {
            result.metrics.insert("temperature".to_owned(), temperature);
            result
                .metrics
                .insert("perplexity_calibrated".to_owned(), bounded_exp(nll));
        }
        Ok(())
    }

    fn random_windows(&self, windows: &RandomWindows) -> Result<f64, EvalError> {
        let (stream, shift) = (self.request.stream, self.request.target_shift);
        let short = EvalError::ShortStream {
            stream: stream.len(),
            tokens: windows.tokens,
        };
        let choices = match stream
            .len()
            .checked_sub(windows.tokens.saturating_add(shift))
        {
            Some(last) if windows.tokens > 0 => last as u64 + 1,
            _ => return Err(short),
        };
        let mut set = SequenceSet::new();
        for batch in 0..windows.batches as u64 {
            let draws = Stream::new(windows.seed, Purpose::EvalWindow, batch);
            for row in 0..windows.windows as u64 {
                let start = draws.below(row, choices) as usize;
                let end = start + windows.tokens;
                set.push(&stream[start..end], &stream[start + shift..end + shift]);
            }
        }
        let scores = self.scores("the random windows", &set, None)?;
        Ok(bounded_exp(mean_nll(&scores.log_likelihood)))
    }

    fn samples(&self, settings: &SampleSettings, result: &mut EvalResult) -> Result<(), EvalError> {
        let request = self.request;
        let (asked, got) = (settings.prompts.len(), request.prompts.len());
        if asked != got {
            return Err(EvalError::Prompts { asked, got });
        }
        let rows = settings.prompts.iter().zip(request.prompts);
        let rows: Vec<_> = rows
            .flat_map(|row| std::iter::repeat_n(row, settings.per_prompt))
            .collect();
        let prompts: Vec<Vec<u32>> = rows.iter().map(|(_, ids)| (*ids).clone()).collect();
        if prompts.is_empty() {
            return Ok(());
        }
        let job = SampleJob {
            model: request.model,
            prompts: &prompts,
            max_new_tokens: settings.max_new_tokens,
            temperature: settings.temperature,
            top_k: settings.top_k,
            top_p: settings.top_p,
            seed: settings.seed,
            stop: request.eos,
            usable_vocab: request.usable_vocab,
            threads: request.threads,
            halt: request.halt,
        };
        let continuations = self.engine.generate(self.weights, &job)?;
        let found = variety(&continuations);
        let named = [
            ("distinct_1", found.distinct_1),
            ("distinct_2", found.distinct_2),
            ("repetition", found.repetition),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        result.metrics.extend(named);
        for ((prompt, ids), new) in rows.iter().zip(&continuations) {
            result.samples.push(Sample {
                prompt: (*prompt).clone(),
                continuation: (request.decode)(ids, new)?,
                new_tokens: new.len(),
                ended: new.len() < settings.max_new_tokens
                    && ids.len() + new.len() < request.model.max_seq_len,
            });
        }
        Ok(())
    }
}

/// All windows of `documents`, in order.
pub fn gather<'a>(documents: impl Iterator<Item = &'a ScoredDocument>) -> SequenceSet {
    let mut set = SequenceSet::new();
    for document in documents {
        for index in 0..document.windows.len() {
            let (input, target) = document.windows.get(index);
            set.push(input, target);
        }
    }
    set
}

/// The first characters of a text, on one line.
fn excerpt(text: &str) -> String {
    let mut line: String = text
        .split_whitespace()
        .flat_map(|word| [word, " "])
        .flat_map(str::chars)
        .take(EXCERPT)
        .collect();
    line.truncate(line.trim_end().len());
    line
}

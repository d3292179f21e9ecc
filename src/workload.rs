//! The scheduler's work: the data of runs and the evaluation of trained weights, from settings and files.
//!
//! Runs on the same data share it in memory. Nothing here trains.

use crate::data::batch::Course;
use crate::data::identity::DataKey;
use crate::data::{
    self, DataContext, DataError, LoadedData, SequenceSet, Stop, TextTokenizer, scoring_windows,
};
use crate::eval::ngram::{self, Ngrams};
use crate::eval::{self, EvalError, EvalRequest, ScoredDocument};
use crate::plan::Run;
use crate::record::EvalResult;
use crate::scheduler::{Evaluation, Prepared, Work, WorkError};
use crate::spec::{
    EvalSettings, Keep, Loss, ModelConfig, Sequence, Settings, Split, TrainSettings,
};
use crate::store::Store;
use crate::train::{Engine, Weights};
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the data of a plan's runs and evaluates them.
pub struct Workload<'a> {
    store: &'a Store,
    engine: &'a dyn Engine,
    context: &'a DataContext,
    /// The most recently read data with its key: plans keep runs on the same slice together.
    recent: Mutex<Vec<(DataKey, usize, Arc<Loaded>)>>,
}

/// Data of a run in the forms that training and evaluation need.
struct Loaded {
    data: LoadedData,
    prepared: Arc<Prepared>,
}

/// Number of data sets kept in memory.
const KEPT: usize = 4;

impl<'a> Workload<'a> {
    /// Evaluates with `engine`; files are found through `context`; tokenizers are stored in `store`.
    pub fn new(store: &'a Store, engine: &'a dyn Engine, context: &'a DataContext) -> Self {
        Self {
            store,
            engine,
            context,
            recent: Mutex::new(Vec::new()),
        }
    }

    fn load(&self, run: &Run) -> Result<Arc<Loaded>, WorkError> {
        let (key, length) = (&run.key.data, run.model.max_seq_len);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recent
            .iter()
            .find(|(data, max_seq_len, _)| data == key && *max_seq_len == length);
        if let Some((_, _, loaded)) = found {
            return Ok(loaded.clone());
        }
        // Read under the lock: runs that start together on one slice wait instead of reading it twice.
        let mut data = data::load(&run.settings, &run.model, self.context)?;
        self.keep_tokenizer(&mut data);
        let prepared = Arc::new(Prepared {
            training: std::mem::replace(
                &mut data.training,
                data::TrainingData::Sequences(data::SequenceSet::new()),
            ),
            validation: std::mem::take(&mut data.validation),
            docs: data.documents as u64,
            sequences: data.sequences as u64,
            tokenizer: data.tokenizer.sha256(),
            notes: std::mem::take(&mut data.notes),
            warnings: std::mem::take(&mut data.warnings),
            ids: data.ids,
        });
        let loaded = Arc::new(Loaded { data, prepared });
        if recent.len() == KEPT {
            recent.remove(0);
        }
        recent.push((key.clone(), length, loaded.clone()));
        Ok(loaded)
    }

    /// Stores the tokenizer, so that `sample` and `eval` need only the store. Without a cache the tokenizer is not
    /// stored either, and a store that cannot be written does not prevent training.
    fn keep_tokenizer(&self, data: &mut LoadedData) {
        if self.context.cache.is_none() {
            return;
        }
        let kept = match self.store.tokenizer(&data.tokenizer.sha256()) {
            Ok(Some(_)) => return,
            Ok(None) => self.store.put_tokenizer(data.tokenizer.json()),
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            let text = "the tokenizer could not be stored, so `sample` and `eval` will not find it";
            data.warnings.push(format!("{text}: {}", error.chain()));
        }
    }

    /// Evaluates `weights` according to the settings of `run`.
    fn score(&self, run: &Run, weights: &Weights, threads: usize) -> Result<EvalResult, WorkError> {
        let loaded = self.load(run)?;
        let tokenizer = loaded.data.tokenizer.clone();
        let materials = Materials::new(&run.settings, &run.model, &tokenizer, self.context)?;
        let mut result = materials.evaluate(self.engine, weights, threads)?;
        result.validation = materials.by_document(
            self.engine,
            weights,
            threads,
            &run.settings,
            &loaded.prepared.validation,
        )?;
        result
            .metrics
            .extend(materials.baselines(&loaded.prepared, &run.settings.train));
        let beaten = ngram::beaten(&result);
        result
            .metrics
            .extend(beaten.map(|order| ("beats_ngrams".to_owned(), order)));
        Ok(result)
    }
}

impl Work for Workload<'_> {
    fn prepare(&self, run: &Run) -> Result<Arc<Prepared>, WorkError> {
        Ok(self.load(run)?.prepared.clone())
    }

    fn evaluate(
        &self,
        run: &Run,
        weights: &Weights,
        threads: usize,
    ) -> Result<Option<Evaluation>, WorkError> {
        if !self.has_evaluation(run) {
            return Ok(None);
        }
        let key = serde_json::to_value(&run.eval_key)?;
        let result = self.score(run, weights, threads)?;
        Ok(Some(Evaluation { key, result }))
    }

    fn has_evaluation(&self, run: &Run) -> bool {
        run.settings.eval != EvalSettings::default()
    }
}

/// Tokenised documents, windows and prompts of an evaluation.
pub struct Materials<'a> {
    model: &'a ModelConfig,
    eval: &'a EvalSettings,
    loss: crate::spec::Loss,
    target_shift: usize,
    tokenizer: &'a TextTokenizer,
    documents: Vec<ScoredDocument>,
    stream: Vec<u32>,
    prompts: Vec<Vec<u32>>,
    halt: Stop,
}

impl<'a> Materials<'a> {
    /// Reads and tokenises the texts for `settings.eval`.
    ///
    /// # Errors
    /// Too few held-out documents; missing or damaged files.
    pub fn new(
        settings: &'a Settings,
        model: &'a ModelConfig,
        tokenizer: &'a TextTokenizer,
        context: &DataContext,
    ) -> Result<Self, DataError> {
        let eval = &settings.eval;
        let documents = match &eval.perplexity {
            None => Vec::new(),
            Some(set) => {
                let texts = data::held_out(&settings.data, set.split, set.documents, context)?;
                scored_documents(texts, tokenizer, model.max_seq_len, &context.stop)?
            }
        };
        let stream = match &eval.random_windows {
            None => Vec::new(),
            Some(_) => {
                let count = settings.data.validation.take;
                let texts = data::held_out(&settings.data, Split::Validation, count, context)?;
                let ids = tokenizer.encode_all_unless(&context.stop, &texts)?;
                let slice = &settings.data.validation.corpus;
                let corpus = slice.as_ref().unwrap_or(&settings.data.corpus);
                let ids = data::stream_documents(settings.data.sequence, corpus, ids);
                data::sequence::stream::ids(&ids, tokenizer.eos())
            }
        };
        let prompts = eval.samples.iter().flat_map(|samples| &samples.prompts);
        let prompts = prompts
            .map(|prompt| Ok([vec![tokenizer.bos()], tokenizer.encode(prompt)?].concat()))
            .collect::<Result<_, DataError>>()?;
        Ok(Self {
            model,
            eval,
            loss: settings.train.loss,
            target_shift: settings.data.target_shift,
            tokenizer,
            documents,
            stream,
            prompts,
            halt: context.stop.clone(),
        })
    }

    /// Scores and samples.
    ///
    /// # Errors
    /// As [`eval::evaluate`].
    pub fn evaluate(
        &self,
        engine: &dyn Engine,
        weights: &Weights,
        threads: usize,
    ) -> Result<EvalResult, EvalError> {
        eval::evaluate(engine, weights, &self.request(&self.decode(), threads))
    }

    fn decode(&self) -> impl Fn(&[u32], &[u32]) -> Result<String, DataError> + '_ {
        |prompt, new| self.tokenizer.decode_continuation(prompt, new)
    }

    fn request<'b>(&'b self, decode: &'b eval::Decode<'b>, threads: usize) -> EvalRequest<'b> {
        EvalRequest {
            model: self.model,
            settings: self.eval,
            documents: &self.documents,
            stream: &self.stream,
            target_shift: self.target_shift,
            prompts: &self.prompts,
            decode,
            eos: Some(self.tokenizer.eos()),
            usable_vocab: self.usable_vocab(),
            loss: self.loss,
            threads,
            halt: &self.halt,
        }
    }

    /// Scores the validation documents as in the run's validation, if each gives one sequence, the loss is
    /// cross-entropy and the kept weights are those of the last validation; otherwise empty.
    fn by_document(
        &self,
        engine: &dyn Engine,
        weights: &Weights,
        threads: usize,
        settings: &Settings,
        validation: &SequenceSet,
    ) -> Result<Vec<(u64, f64)>, EvalError> {
        let of_documents = settings.data.sequence == Sequence::NextToken;
        let is_loss =
            settings.train.loss == Loss::CrossEntropy && settings.train.keep == Keep::Last;
        if !of_documents || !is_loss || validation.is_empty() {
            return Ok(Vec::new());
        }
        let decode = self.decode();
        eval::by_sequence(engine, weights, &self.request(&decode, threads), validation)
    }

    /// N-gram baselines from a run's training text: metrics, by name, on the held-out documents token by token and on
    /// the validation sequences as in the run's validation.
    fn baselines(&self, prepared: &Prepared, train: &TrainSettings) -> Vec<(String, f64)> {
        let lines = Course::new(&prepared.training, train).lines(self.target_shift);
        let documents = eval::gather(self.documents.iter());
        let count = |shift| {
            let lines = lines.iter().map(Vec::as_slice);
            Ngrams::count(lines, shift, self.usable_vocab())
        };
        let next = count(1);
        let ahead = (self.target_shift != 1).then(|| count(self.target_shift));
        let sets = [
            ("nll", &next, &documents),
            ("val", ahead.as_ref().unwrap_or(&next), &prepared.validation),
        ];
        let mut metrics = Vec::new();
        for (prefix, counted, windows) in sets {
            let scores = counted.nll(windows).into_iter().flatten();
            let named = ngram::ORDERS.iter().zip(scores);
            metrics.extend(named.map(|(order, nll)| (format!("{prefix}_{order}"), nll)));
        }
        metrics
    }

    /// Number of ids that the tokenizer can give and the model can take.
    fn usable_vocab(&self) -> usize {
        self.tokenizer.vocab_size().min(self.model.vocab_size)
    }
}

/// Tokenises texts into windows of at most `max_seq_len` positions, with every target scored.
///
/// # Errors
/// Text that the tokenizer refuses.
pub fn scored_documents(
    texts: Vec<String>,
    tokenizer: &TextTokenizer,
    max_seq_len: usize,
    stop: &Stop,
) -> Result<Vec<ScoredDocument>, DataError> {
    let ids = tokenizer.encode_all_unless(stop, &texts)?;
    let windows = |ids: &[u32]| scoring_windows(ids, tokenizer.bos(), tokenizer.eos(), max_seq_len);
    let documents = texts.into_iter().zip(&ids);
    documents
        .map(|(text, ids)| {
            Ok(ScoredDocument {
                is_whole: tokenizer.lost(&text, ids)?.is_none(),
                windows: windows(ids),
                text,
            })
        })
        .collect()
}

//! A small plan, its data and its evaluation, for tests of the scheduler and the store.

use super::*;
use crate::data::identity::{DataKey, SliceKey, TokenizerKey};
use crate::fsx::{Fs, RealFs};
use crate::plan::{EVAL_RECIPE, EvalKey, RECIPE, RunKey};
use crate::record::Estimate;
use crate::spec::{Embedded, SeqLen, Sequence, Settings};
use crate::store::LeaseTiming;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

/// A plan of `runs` seeds with `steps` steps each (two per epoch).
pub(crate) fn plan(runs: u64, steps: usize) -> Plan {
    let runs = (0..runs).map(|seed| run(seed, steps)).collect();
    Plan {
        spec: "small".to_owned(),
        profile: "desk".to_owned(),
        runs,
        data: crate::plan::KnownPlan::new(),
    }
}

fn run(seed: u64, steps: usize) -> Run {
    let settings: Settings = serde_json::from_value(serde_json::json!({
        "data": {
            "corpus": {"stories": {"version": 1}},
            "tokenizer": {"train_bpe": {"vocab_size": 300}},
            "train": 4,
            "validation": 1,
        },
        "model": {"dim": 8, "n_layers": 1, "n_heads": 2, "max_seq_len": 8},
        "train": {
            "batch_size": 2,
            "max_steps": steps,
            "optimizer": {"adamw": {"learning_rate": 1e-3}},
            "validate": {"every": "epoch"},
            "seed": seed,
        },
    }))
    .unwrap();
    let model = settings.model.resolve(300);
    let slice = |take| SliceKey::Embedded {
        generator: "stories".to_owned(),
        parameters: Embedded {
            version: 1,
            seed: 0,
        },
        skip: 0,
        take,
    };
    let key = RunKey {
        recipe: RECIPE,
        data: DataKey {
            train: slice(4),
            validation: slice(1),
            tokenizer: TokenizerKey::learnt(&settings.data.tokenizer, &slice(4)).unwrap(),
            sequence: Sequence::NextToken,
            seq_len: SeqLen::Max,
            target_shift: 1,
        },
        model: model.clone(),
        train: settings.train.clone(),
    };
    let id = key.id();
    let eval_key = EvalKey {
        recipe: EVAL_RECIPE,
        run: id,
        eval: settings.eval.clone(),
        test: None,
    };
    Run {
        id,
        eval_id: eval_key.id(),
        eval_key,
        name: format!("seed={seed}"),
        axes: Vec::new(),
        seed,
        key,
        settings,
        model,
        estimate: Estimate::default(),
        uncounted: crate::plan::Uncounted::default(),
    }
}

/// Four sequences and an evaluation that depends on the weights; counts calls.
#[derive(Default)]
pub(crate) struct SmallWork {
    pub(crate) prepared: AtomicUsize,
    pub(crate) evaluated: AtomicUsize,
    pub(crate) missing_input: bool,
    /// Whether preparing ends early, as after a signal.
    pub(crate) stops: bool,
}

impl Work for SmallWork {
    fn prepare(&self, _: &Run) -> Result<Arc<Prepared>, WorkError> {
        self.prepared.fetch_add(1, Ordering::SeqCst);
        if self.stops {
            return Err(crate::data::DataError::Stopped.into());
        }
        if self.missing_input {
            return Err("no such corpus".into());
        }
        let mut set = SequenceSet::new();
        for start in 0..4 {
            set.push(&[start, 1, 2], &[1, 2, 3]);
        }
        Ok(Arc::new(Prepared {
            validation: set.clone(),
            training: TrainingData::Sequences(set),
            docs: 4,
            sequences: 4,
            tokenizer: Sha256Hex::of(b"tokenizer"),
            notes: Vec::new(),
            warnings: Vec::new(),
            ids: Sha256Hex::of(b"ids"),
        }))
    }

    fn evaluate(
        &self,
        run: &Run,
        weights: &Weights,
        _: usize,
    ) -> Result<Option<Evaluation>, WorkError> {
        self.evaluated.fetch_add(1, Ordering::SeqCst);
        let sum: f32 = weights.0[0].data.iter().sum();
        let mut result = EvalResult {
            format: 1,
            ..EvalResult::default()
        };
        result.documents.push(crate::record::DocumentScore {
            document: 0,
            tokens: 3,
            nll: 1.5,
            perplexity: 1.6,
            hits: Some(1),
            excerpt: "Once".to_owned(),
        });
        result.metrics.insert("perplexity".to_owned(), sum.into());
        Ok(Some(Evaluation {
            key: serde_json::json!({"run": run.id}),
            result,
        }))
    }

    fn has_evaluation(&self, _: &Run) -> bool {
        true
    }
}

/// A store for tests: no syncing, leases stale after 3 ms without a heartbeat.
pub(crate) fn store(dir: &Path) -> Store {
    store_on(dir, Arc::new(RealFs::without_sync()))
}

pub(crate) fn store_on(dir: &Path, fs: Arc<dyn Fs>) -> Store {
    Store::open(dir, fs).with_lease_timing(LeaseTiming {
        beat: Duration::from_secs(3600),
        stale: Duration::from_millis(3),
    })
}

/// Options for tests: a checkpoint after every step.
pub(crate) fn options() -> Options {
    Options {
        checkpoint_every: Duration::ZERO,
        checkpoint_share: f64::INFINITY,
        poll: Duration::from_millis(1),
        ..Options::default()
    }
}

/// Runs `plan` with the fake engine.
pub(crate) fn go(store: &Store, plan: &Plan) -> Result<Summary, SchedulerError> {
    go_with(store, plan, options(), &SmallWork::default())
}

pub(crate) fn go_with(
    store: &Store,
    plan: &Plan,
    options: Options,
    work: &SmallWork,
) -> Result<Summary, SchedulerError> {
    Scheduler {
        store,
        engine: &crate::train::FakeEngine::default(),
        options,
    }
    .run(plan, work, &Silent, &AtomicBool::new(false))
}

/// The results that must be equal after any faults: digests, metrics and evaluation of each run.
pub(crate) fn fingerprint(store: &Store, plan: &Plan) -> Vec<String> {
    let of = |run: &Run| {
        let record = store.record(&run.id).unwrap().expect("a finished run");
        let eval = store.eval(&run.eval_id).unwrap().expect("an evaluation");
        format!(
            "{} {:?} {:?} {:?} {:?}",
            run.id, record.status, record.digests, record.metrics, eval
        )
    };
    plan.runs.iter().map(of).collect()
}

/// All files in a folder.
pub(crate) fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

use super::*;
use crate::choices::loss::square::Square;
use crate::data::{SequenceSet, Stop};
use crate::record::{EvalResult, Numerics};
use crate::spec::{
    Dtype, EvalSettings, Loss, ModelConfig, ModelSettings, PerplexitySettings, RandomWindows,
    SampleSettings, Split, TrainSettings,
};
use crate::train::{
    Checkpoint, Engine, EvalJob, FakeEngine, NamedTensor, Observer, SampleJob, TokenScores,
    TrainError, TrainJob, Trained, Weights,
};

/// Scores a fixed logit table: target 0 has logit 1, two others 0, so that `f / τ` has a known best temperature.
struct TableEngine {
    broken: bool,
}

/// Log-probability of `target` among three classes with logits (1, 0, 0) at temperature `tau`.
fn table(target: u32, tau: f64) -> f32 {
    let logit = |class: u32| if class == 0 { 1.0 / tau } else { 0.0 };
    // Shifted by the largest logit, so that tiny temperatures stay finite.
    let sum: f64 = (0..3).map(|class| libm::exp(logit(class) - logit(0))).sum();
    (logit(target) - logit(0) - libm::log(sum)) as f32
}

impl Engine for TableEngine {
    fn train(
        &self,
        _: &TrainJob<'_>,
        _: Option<&Checkpoint>,
        _: &mut dyn Observer,
    ) -> Result<Trained, TrainError> {
        Ok(Trained::Stopped)
    }

    fn evaluate(&self, _: &Weights, job: &EvalJob<'_>) -> Result<TokenScores, TrainError> {
        let targets = &job.sequences.targets;
        let at = |tau: f64| {
            targets
                .iter()
                .map(|target| table(*target, tau))
                .collect::<Vec<f32>>()
        };
        let mut log_likelihood = at(1.0);
        if self.broken {
            log_likelihood[1] = f32::NAN;
        }
        let clipped =
            |target: &u32| libm::log(if *target == 0 { 1.0 } else { 1e-6 } / (1.0 + 2e-6)) as f32;
        Ok(TokenScores {
            lengths: (0..job.sequences.len())
                .map(|index| job.sequences.get(index).0.len())
                .collect(),
            rank: targets.clone(),
            confidence: vec![0.576; targets.len()],
            tempered: job.temperatures.iter().map(|tau| at(*tau)).collect(),
            clipped_linear: job
                .clipped_linear_eps
                .map(|_| targets.iter().map(clipped).collect())
                .unwrap_or_default(),
            log_likelihood,
        })
    }

    fn generate_each(
        &self,
        _: &Weights,
        job: &SampleJob<'_>,
        _: &mut dyn FnMut(usize, u32) -> std::ops::ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, TrainError> {
        Ok(job
            .prompts
            .iter()
            .map(|prompt| vec![prompt[0]; 3])
            .collect())
    }

    fn logits(
        &self,
        _: &Weights,
        _: &ModelConfig,
        _: &[u32],
        _: usize,
    ) -> Result<Vec<f32>, TrainError> {
        Ok(Vec::new())
    }

    fn numerics(&self, dtype: Dtype) -> Numerics {
        FakeEngine::default().numerics(dtype)
    }

    fn unsupported(&self, _: &ModelConfig, _: &TrainSettings) -> Option<String> {
        None
    }
}

fn model() -> ModelConfig {
    let settings: ModelSettings = serde_json::from_value(
        serde_json::json!({"dim": 8, "n_layers": 1, "n_heads": 2, "max_seq_len": 16}),
    )
    .unwrap();
    settings.resolve(3)
}

fn document(text: &str, targets: &[u32]) -> ScoredDocument {
    let mut windows = SequenceSet::new();
    for window in targets.chunks(4) {
        windows.push(window, window);
    }
    ScoredDocument {
        text: text.to_owned(),
        is_whole: true,
        windows,
    }
}

fn settings() -> EvalSettings {
    EvalSettings {
        perplexity: Some(PerplexitySettings {
            documents: 4,
            split: Split::Validation,
            calibrated: true,
            quote: true,
        }),
        samples: Some(SampleSettings {
            prompts: vec!["a".to_owned(), "b".to_owned()],
            max_new_tokens: 5,
            temperature: 1.0,
            top_k: None,
            top_p: None,
            seed: 1,
            per_prompt: 2,
        }),
        random_windows: Some(RandomWindows {
            batches: 10,
            windows: 4,
            tokens: 6,
            seed: 1337,
        }),
    }
}

fn evaluated(
    engine: &dyn Engine,
    change: impl Fn(&mut EvalSettings, &mut EvalRequest<'_>),
) -> Result<EvalResult, EvalError> {
    let model = model();
    // Per document: 9 of 10 targets are class 0, so the best temperature has p(0) = 0.9: 1 / ln 18.
    let documents: Vec<_> = (0..4)
        .map(|_| document("once  upon\na time", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]))
        .collect();
    let stream: Vec<u32> = (0..50).map(|index| index % 3).collect();
    let prompts = vec![vec![1], vec![2]];
    let mut own = settings();
    let decode = |_: &[u32], ids: &[u32]| Ok(format!("{ids:?}"));
    let base = settings();
    let mut request = EvalRequest {
        model: &model,
        settings: &base,
        documents: &documents,
        stream: &stream,
        target_shift: 1,
        prompts: &prompts,
        decode: &decode,
        eos: Some(2),
        usable_vocab: 3,
        loss: Loss::Square(Square {
            k: 1.0,
            m: 1.0,
            near: None,
        }),
        threads: 1,
        halt: Stop::never(),
    };
    change(&mut own, &mut request);
    let weights = Weights(vec![NamedTensor {
        name: "w".to_owned(),
        shape: vec![1],
        data: vec![0.5],
    }]);
    evaluate(
        engine,
        &weights,
        &EvalRequest {
            settings: &own,
            ..request
        },
    )
}

#[test]
fn every_metric_is_measured() {
    let result = evaluated(&TableEngine { broken: false }, |_, _| {}).unwrap();
    let close = |name: &str, wanted: f64, tolerance: f64| {
        let got = result.metrics[name];
        assert!(
            (got - wanted).abs() < tolerance,
            "{name}: {got}, not {wanted}"
        );
    };
    // ln(e + 2) − 1 and ln(e + 2) for classes 0 and 1.
    let nll = 1.551_444_713_932_051 - 0.9;
    close("nll", nll, 1e-6);
    close("perplexity", libm::exp(nll), 1e-6);
    close("accuracy", 0.9, 1e-12);
    close("top5", 1.0, 1e-12);
    close("ece", 0.9 - 0.576, 1e-6);
    close(
        "bits_per_byte",
        nll * 10.0 / (17.0 * std::f64::consts::LN_2),
        1e-6,
    );
    close("temperature", 1.0 / libm::log(18.0), 1e-4);
    // Entropy of (0.9, 0.1 with the mass of two classes): −0.9 ln 0.9 − 0.1 ln 0.05.
    close(
        "perplexity_calibrated",
        libm::exp(0.394_397_691_393_930_1),
        1e-6,
    );
    close(
        "perplexity_clipped_linear",
        libm::exp(0.1 * 6.0 * 10.0_f64.ln() + 2e-6),
        1e-4,
    );
    close("distinct_1", 2.0 / 12.0, 1e-12);
    close("distinct_2", 2.0 / 8.0, 1e-12);
    assert!(
        !result.metrics.contains_key("repetition"),
        "three tokens hold no 4-gram"
    );
    assert!(
        result.metrics.keys().all(|name| metric(name).is_some()),
        "{:?}",
        result.metrics
    );
    assert_eq!(result.documents.len(), 4);
    assert_eq!(
        (
            result.documents[1].tokens,
            result.documents[1].excerpt.as_str()
        ),
        (10, "once upon a time")
    );
    let samples: Vec<_> = result
        .samples
        .iter()
        .map(|sample| (sample.prompt.as_str(), sample.continuation.as_str()))
        .collect();
    assert_eq!(
        samples,
        [
            ("a", "[1, 1, 1]"),
            ("a", "[1, 1, 1]"),
            ("b", "[2, 2, 2]"),
            ("b", "[2, 2, 2]")
        ]
    );
    assert!(result.samples[0].ended, "three of five tokens");
}

// LC-11: on the same tokens, exp of the mean token cross-entropy is the perplexity.
#[test]
fn perplexity_is_exp_of_cross_entropy() {
    let result = evaluated(&FakeEngine::default(), |_, _| {}).unwrap();
    let nll: f64 = result.documents.iter().map(|document| document.nll).sum();
    let tokens: u64 = result
        .documents
        .iter()
        .map(|document| document.tokens)
        .sum();
    let relative = libm::exp(nll / tokens as f64) / result.metrics["perplexity"] - 1.0;
    assert!(relative.abs() < 1e-12, "{relative}");
}

// E6: with every logit in [0, 1], softmax perplexity is at least (e + C − 1) / e; at C = 3 the engine's table reaches it.
#[test]
fn square_loss_meets_its_softmax_floor() {
    let floor = |classes: f64| (std::f64::consts::E + classes - 1.0) / std::f64::consts::E;
    for (classes, published) in [
        (50_304.0, 18_506.0),
        (32_000.0, 11_773.0),
        (4096.0, 1507.0),
        (512.0, 189.0),
    ] {
        assert!(
            (floor(classes) - published).abs() < 1.0,
            "{classes}: {}",
            floor(classes)
        );
    }
    assert!((super::perplexity::bounded_exp(-f64::from(table(0, 1.0))) - floor(3.0)).abs() < 1e-6);
}

#[test]
fn random_windows_are_those_of_the_seed() {
    let with = |seed: u64| {
        evaluated(&TableEngine { broken: false }, |settings, _| {
            settings.random_windows = Some(RandomWindows {
                batches: 3,
                windows: 2,
                tokens: 5,
                seed,
            });
        })
        .unwrap()
        .metrics["perplexity_random_windows"]
    };
    assert_eq!(with(1337), with(1337));
    assert!((1..20).any(|seed| with(seed) != with(1337)));
    let short = evaluated(&TableEngine { broken: false }, |settings, _| {
        settings.random_windows = Some(RandomWindows {
            batches: 1,
            windows: 1,
            tokens: 50,
            seed: 1,
        });
    });
    insta::assert_snapshot!(short.unwrap_err(), @"eval.random_windows: a validation stream of 50 ids holds no window of 50 tokens; ask for fewer `tokens` or more validation documents");
}

#[test]
fn unusable_scores_and_prompts_are_errors() {
    let broken = evaluated(&TableEngine { broken: true }, |_, _| {}).unwrap_err();
    insta::assert_snapshot!(broken, @"the log-likelihood of target 1 of the documents is NaN: the weights are not usable");
    let prompts = evaluated(&TableEngine { broken: false }, |_, request| {
        request.prompts = &[]
    })
    .unwrap_err();
    insta::assert_snapshot!(prompts, @"0 tokenised prompts for 2 prompts");
}

#[test]
fn nothing_asked_gives_nothing() {
    let result = evaluated(&FakeEngine::default(), |settings, _| {
        *settings = EvalSettings::default()
    })
    .unwrap();
    assert!(result.metrics.is_empty() && result.documents.is_empty() && result.samples.is_empty());
    let empty = evaluated(&FakeEngine::default(), |_, request| request.documents = &[]).unwrap();
    assert!(!empty.metrics.contains_key("nll"));
}

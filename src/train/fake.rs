//! A fake engine that makes curves and texts from the settings, for tests of everything except training.

use super::*;
use crate::data::batch::Course;
use crate::rng::{Purpose, Stream};

/// Makes smooth, deterministic curves that depend on the job, without training.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeEngine {
    /// Fails every job at this step as if it had diverged.
    pub diverge_at: Option<u64>,
    /// Time to sleep in each step, so that tests can interrupt it.
    pub step_sleep: std::time::Duration,
    /// The engine name it reports; default `fake`.
    pub name: Option<&'static str>,
}

impl FakeEngine {
    fn weights(job: &TrainJob<'_>, step: u64) -> Weights {
        let draws = Stream::new(job.train.seed, Purpose::Init, step);
        let data = (0..job.model.dim as u64)
            .map(|index| draws.uniform(index) as f32)
            .collect();
        Weights(vec![NamedTensor {
            name: "fake.weight".to_owned(),
            shape: vec![job.model.dim],
            data,
        }])
    }

    fn point(job: &TrainJob<'_>, course: &Course<'_>, step: u64, tokens: [u64; 2]) -> MetricPoint {
        let start = (job.model.vocab_size as f64).ln();
        let noise = Stream::new(job.train.seed, Purpose::Window, step).uniform(0) * 0.05;
        let progress = (step + 1) as f64 / course.steps().max(1) as f64;
        let epochs = course.epochs() as f64;
        let train_loss = start * libm::exp(-(1.0 + 0.1 * epochs) * progress) + noise;
        let val_loss = start * (1.0 - 0.5 * progress) + 0.03 * epochs * progress;
        let place = super::Place {
            step,
            steps: course.steps(),
            end_of_epoch: (step + 1).is_multiple_of(course.steps_per_epoch()),
            tokens,
        };
        let due = super::validation_due(job.train, place);
        MetricPoint {
            step: step + 1,
            epoch: course.epochs_done(step + 1),
            tokens: tokens[1],
            train_loss,
            train_ce: train_loss,
            val_loss: due.then_some(val_loss),
            val_ce: due.then_some(val_loss),
            val_loss_batch_mean: due.then_some(val_loss),
            lr: learning_rate(job.train, step),
            grad_norm: 1.0,
            ..MetricPoint::default()
        }
    }
}

impl Engine for FakeEngine {
    fn train(
        &self,
        job: &TrainJob<'_>,
        resume: Option<&Checkpoint>,
        observer: &mut dyn Observer,
    ) -> Result<Trained, TrainError> {
        let course = Course::new(job.data, job.train);
        let mut checkpoint = resume.cloned().unwrap_or_default();
        for step in checkpoint.step..course.steps() {
            std::thread::sleep(self.step_sleep);
            if self.diverge_at == Some(step + 1) {
                return Err(TrainError::Diverged {
                    step: step + 1,
                    what: "train/loss",
                    value: f64::NAN,
                    last_good_step: step,
                });
            }
            let batches = course.micro_batches(step);
            let before = checkpoint.tokens;
            let tokens = before
                + batches
                    .iter()
                    .map(|batch| batch.scored() as u64)
                    .sum::<u64>();
            let weights = Self::weights(job, step);
            checkpoint = Checkpoint {
                step: step + 1,
                tokens,
                weights,
                ..Checkpoint::default()
            };
            let timing = StepTiming {
                train_seconds: 0.001,
                validation_seconds: 0.0,
                positions: batches.iter().map(|b| (b.rows * b.cols) as u64).sum(),
                ..StepTiming::default()
            };
            let stop = observer
                .on_step(&Self::point(job, &course, step, [before, tokens]), timing)
                .is_break();
            let wanted = observer.wants_checkpoint();
            if step + 1 < course.steps() && (stop || wanted) {
                let answer = observer.on_checkpoint(&checkpoint);
                if stop || answer.is_break() {
                    return Ok(Trained::Stopped);
                }
            }
        }
        let last = checkpoint.weights.clone();
        Ok(Trained::Finished(Box::new(Finished { last, checkpoint })))
    }

    fn evaluate(&self, weights: &Weights, job: &EvalJob<'_>) -> Result<TokenScores, TrainError> {
        let lengths: Vec<usize> = (0..job.sequences.len())
            .map(|index| job.sequences.get(index).1.len())
            .collect();
        let all = lengths.iter().sum();
        let shift = weights
            .0
            .first()
            .and_then(|tensor| tensor.data.first())
            .copied()
            .unwrap_or_default();
        let log_likelihood: Vec<f32> = (0..all)
            .map(|index| -2.0 - shift - (index % 7) as f32 * 0.25)
            .collect();
        Ok(TokenScores {
            lengths,
            rank: (0..all).map(|index| (index % 7) as u32).collect(),
            confidence: log_likelihood.iter().map(|value| value.exp()).collect(),
            tempered: job
                .temperatures
                .iter()
                .map(|_| log_likelihood.clone())
                .collect(),
            clipped_linear: job
                .clipped_linear_eps
                .map(|_| log_likelihood.clone())
                .unwrap_or_default(),
            log_likelihood,
        })
    }

    fn generate_each(
        &self,
        _: &Weights,
        job: &SampleJob<'_>,
        _: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, TrainError> {
        let draw = |row: usize| {
            let draws = Stream::new(job.seed, Purpose::Sample, row as u64);
            (0..job.max_new_tokens as u64)
                .map(|index| draws.below(index, job.usable_vocab as u64) as u32)
                .collect()
        };
        Ok((0..job.prompts.len()).map(draw).collect())
    }

    fn logits(
        &self,
        _: &Weights,
        model: &ModelConfig,
        ids: &[u32],
        _: usize,
    ) -> Result<Vec<f32>, TrainError> {
        Ok(vec![0.0; ids.len() * model.vocab_size])
    }

    fn numerics(&self, dtype: crate::spec::Dtype) -> Numerics {
        let dtype = match dtype {
            crate::spec::Dtype::F32 => "f32",
            crate::spec::Dtype::Bf16 => "bf16",
        };
        Numerics {
            engine: self.name.unwrap_or("fake").to_owned(),
            recipe: 0,
            isa: "none".to_owned(),
            dtype: dtype.to_owned(),
        }
    }

    fn unsupported(&self, _: &ModelConfig, _: &TrainSettings) -> Option<String> {
        None
    }
}

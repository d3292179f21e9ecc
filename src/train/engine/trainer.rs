//! The training loop: batches, gradients, updates, validation, checkpoints.
//!
//! A step averages the gradients of its micro-batches, each the mean over its own scored targets (as in nanoGPT, so a
//! short micro-batch has the same weight as a long one); its loss is the mean of theirs. All randomness is
//! counter-based, so a run that continues from a checkpoint matches an uninterrupted one bit for bit.

use super::dropout::Pass;
use super::layout::Layout;
use super::network::{Network, upload};
use super::ops::{AdamwStep, Clip, Grid, Kept, LossTask, LossValue, Moments, Operations};
use super::step::Step;
use crate::choices::loss::Formula;
use crate::data::TrainingData;
use crate::data::batch::{Batch, Course};
use crate::record::MetricPoint;
use crate::spec::{Decay, Keep, Optimizer};
use crate::train::{
    Checkpoint, Finished, Observer, Place, StepTiming, TrainError, TrainJob, Trained, Weights,
    learning_rate, validation_due,
};
use dfdx::prelude::NoneTape;
use std::time::Instant;

/// Runs a job; see [`crate::train::Engine::train`].
pub(crate) fn train<O: Operations>(
    ops: &O,
    job: &TrainJob<'_>,
    resume: Option<&Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Trained, TrainError> {
    check(job.data)?;
    let mut trainer = Trainer::new(ops, job, resume)?;
    let steps = trainer.course.steps();
    for step in trainer.step..steps {
        let advanced = trainer.advance(step, observer);
        // Results and errors of a failed device are equally unreliable.
        ops.check()?;
        let Some((point, timing)) = advanced? else {
            return Ok(Trained::Stopped);
        };
        let stop = observer.on_step(&point, timing).is_break();
        let wanted = observer.wants_checkpoint();
        if step + 1 < steps && (stop || wanted) {
            let checkpoint = trainer.checkpoint();
            ops.check()?;
            let answer = observer.on_checkpoint(&checkpoint);
            if stop || answer.is_break() {
                return Ok(Trained::Stopped);
            }
        }
    }
    Ok(Trained::Finished(Box::new(trainer.finish()?)))
}

/// Checks the assumptions of [`Course`].
fn check(data: &TrainingData) -> Result<(), TrainError> {
    match data {
        TrainingData::Stream { ids, window, shift }
            if ids.len() < window.saturating_add(*shift) =>
        {
            Err(TrainError::Input(format!(
                "the training stream has {} ids, a window of {window} and its targets need {}",
                ids.len(),
                window.saturating_add(*shift)
            )))
        }
        _ => Ok(()),
    }
}

/// Losses of a pass.
#[derive(Clone, Copy, Default)]
struct Losses {
    ce: f64,
    square: f64,
}

/// The results of a validation.
#[derive(Clone, Copy, Default)]
struct Validated {
    loss: f64,
    ce: f64,
    batch_mean: f64,
}

/// The update of step `step`.
fn adamw<'a>(
    job: &TrainJob<'_>,
    decays: &'a [bool],
    step: u64,
    gradient_scale: f64,
) -> AdamwStep<'a> {
    let Optimizer::Adamw(adamw) = &job.train.optimizer;
    AdamwStep {
        step: step + 1,
        learning_rate: learning_rate(job.train, step),
        betas: adamw.betas,
        eps: adamw.eps,
        weight_decay: adamw.weight_decay,
        decays,
        gradient_scale,
    }
}

/// The state of a job between steps.
struct Trainer<'a, O: Operations> {
    ops: &'a O,
    job: &'a TrainJob<'a>,
    course: Course<'a>,
    formula: Formula,
    network: Network<O>,
    moments: Moments<O>,
    /// The kept gradients; `None` only while a tape holds them.
    gradients: Option<Kept<O>>,
    decays: Vec<bool>,
    step: u64,
    tokens: u64,
    best: Option<(f64, Weights)>,
    epoch_loss: (f64, u64),
}

impl<'a, O: Operations> Trainer<'a, O> {
    fn new(
        ops: &'a O,
        job: &'a TrainJob<'a>,
        resume: Option<&Checkpoint>,
    ) -> Result<Self, TrainError> {
        let layout = Layout::new(job.model);
        let start;
        let weights = match resume {
            Some(checkpoint) => {
                // The moments have no names: they follow the order of the weights.
                let mut names = checkpoint.weights.0.iter().map(|tensor| &tensor.name);
                if !layout.parts().all(|part| names.next() == Some(&part.name)) {
                    let what = "the tensors of a checkpoint are not in the model's order";
                    return Err(TrainError::Weights(what.to_owned()));
                }
                &checkpoint.weights
            }
            None => match job.start {
                Some(start) => start,
                None => {
                    start = layout.initial(job.model, job.train.seed, job.threads);
                    &start
                }
            },
        };
        let network = Network::new(ops, job.model, weights)?;
        let moments = |lists: Option<&Vec<Vec<f32>>>| match lists {
            Some(lists) => upload(ops, layout.pack(lists.iter().map(|list| &list[..]))),
            None => {
                let shapes = layout.slots.iter().map(|slot| slot.shape);
                upload(
                    ops,
                    shapes.map(|shape| Ok((vec![0.0; shape.0 * shape.1], shape))),
                )
            }
        };
        let moments = Moments {
            first: moments(resume.map(|checkpoint| &checkpoint.first_moments))?,
            second: moments(resume.map(|checkpoint| &checkpoint.second_moments))?,
        };
        let Optimizer::Adamw(adamw) = &job.train.optimizer;
        let decays = layout.slots.iter();
        Ok(Self {
            ops,
            job,
            course: Course::new(job.data, job.train),
            formula: Formula::new(&job.train.loss, job.train.reduction, job.model.vocab_size),
            gradients: Some(ops.gradients(&network.parameters)),
            decays: decays
                .map(|slot| adamw.decay == Decay::All || slot.is_matrix())
                .collect(),
            network,
            moments,
            step: resume.map_or(0, |checkpoint| checkpoint.step),
            tokens: resume.map_or(0, |checkpoint| checkpoint.tokens),
            best: resume.and_then(|checkpoint| checkpoint.best.clone()),
            epoch_loss: resume.map_or((0.0, 0), |checkpoint| checkpoint.epoch_loss),
        })
    }

    /// Runs step `step` and validates if due; `None` if the observer stopped the validation.
    fn advance(
        &mut self,
        step: u64,
        observer: &mut dyn Observer,
    ) -> Result<Option<(MetricPoint, StepTiming)>, TrainError> {
        let train = self.job.train;
        // Time spent on validation and checkpoints is not part of the step.
        self.ops.take_parts();
        let started = Instant::now();
        let batches = self.course.micro_batches(step);
        let (losses, clip) = self.computed(step, &batches)?;
        let train_seconds = started.elapsed().as_secs_f64();
        let parts = self.ops.take_parts();
        let total = losses.ce + losses.square;
        let first_of_epoch = step.is_multiple_of(self.course.steps_per_epoch().max(1));
        let (sum, count) = if first_of_epoch {
            (0.0, 0)
        } else {
            self.epoch_loss
        };
        self.epoch_loss = (sum + total, count + 1);
        let before = self.tokens;
        self.tokens += batches
            .iter()
            .map(|batch| batch.scored() as u64)
            .sum::<u64>();
        self.step = step + 1;
        let started = Instant::now();
        let place = Place {
            step,
            steps: self.course.steps(),
            end_of_epoch: (step + 1).is_multiple_of(self.course.steps_per_epoch().max(1)),
            tokens: [before, self.tokens],
        };
        let due = validation_due(train, place);
        let validated = match due && !self.job.validation.is_empty() {
            true => match self.validate(observer)? {
                None => return Ok(None),
                measured => measured,
            },
            false => None,
        };
        let point = MetricPoint {
            step: step + 1,
            epoch: self.course.epochs_done(step + 1),
            tokens: self.tokens,
            train_loss: total,
            train_ce: losses.ce,
            train_square: losses.square,
            val_loss: validated.map(|measured| measured.loss),
            val_ce: validated.map(|measured| measured.ce),
            val_loss_batch_mean: validated.map(|measured| measured.batch_mean),
            lr: learning_rate(train, step),
            grad_norm: clip.norm,
        };
        let timing = StepTiming {
            train_seconds,
            validation_seconds: started.elapsed().as_secs_f64(),
            positions: batches.iter().map(|b| (b.rows * b.cols) as u64).sum(),
            parts,
        };
        Ok(Some((point, timing)))
    }

    /// Runs a step; returns its losses and norm.
    fn computed(&mut self, step: u64, batches: &[Batch]) -> Result<(Losses, Clip), TrainError> {
        for batch in batches {
            self.network.check_batch(batch)?;
        }
        let whole = Step {
            model: self.job.model,
            batches,
            pass: self.pass(step, 0),
            update: adamw(self.job, &self.decays, step, 1.0),
        };
        let (losses, clip) = match self.ops.begin_step(&whole) {
            true => (Losses::default(), Clip::of(0.0, None)),
            false => {
                let mut results = self.each(step, batches);
                if !self.ops.end_step(results.is_ok()) {
                    results = self.each(step, batches);
                }
                results?
            }
        };
        self.settled(step, batches, losses, clip)
    }

    /// Calls the operations of a step.
    fn each(&mut self, step: u64, batches: &[Batch]) -> Result<(Losses, Clip), TrainError> {
        let losses = self.accumulate(step, batches)?;
        Ok((losses, self.update(step)?))
    }

    fn pass(&self, step: u64, micro: usize) -> Pass {
        Pass {
            seed: self.job.train.seed,
            step,
            micro,
            probability: self.job.model.dropout,
        }
    }

    /// Adds the gradients of all micro-batches; returns the mean of their losses.
    fn accumulate(&mut self, step: u64, batches: &[Batch]) -> Result<Losses, TrainError> {
        let scale = 1.0 / batches.len().max(1) as f64;
        let mut mean = Losses::default();
        for (micro, batch) in batches.iter().enumerate() {
            if batch.inputs.is_empty() {
                continue;
            }
            let kept = match self.gradients.take() {
                Some(kept) => kept,
                None => self.ops.gradients(&self.network.parameters),
            };
            let pass = self.pass(step, micro);
            let tape = self.ops.tape(kept)?;
            let value = self.loss(batch, Some(pass), scale, tape)?;
            self.finite(step, "train/loss", value.total())?;
            mean.ce += value.ce * scale;
            mean.square += value.square * scale;
            self.gradients = Some(self.ops.backward(value.objective)?);
        }
        Ok(mean)
    }

    /// Losses and norm, read from the device if it held them back.
    fn settled(
        &self,
        step: u64,
        batches: &[Batch],
        losses: Losses,
        clip: Clip,
    ) -> Result<(Losses, Clip), TrainError> {
        let Some(late) = self.ops.readings() else {
            return Ok((losses, clip));
        };
        let scale = 1.0 / batches.len().max(1) as f64;
        let mut mean = Losses::default();
        for [ce, square] in late.losses {
            mean.ce += ce * scale;
            mean.square += square * scale;
        }
        let clip = Clip {
            norm: late.norm,
            ..clip
        };
        self.ops.check()?;
        self.finite(step, "train/loss", mean.ce + mean.square)?;
        self.finite(step, "grad_norm", clip.norm)?;
        Ok((mean, clip))
    }

    fn loss<T: dfdx::prelude::Tape<O::Element, O::Device>>(
        &self,
        batch: &Batch,
        pass: Option<Pass>,
        scale: f64,
        tape: T,
    ) -> Result<LossValue<O, T>, TrainError> {
        let network = &self.network;
        let grid = Grid {
            sequences: batch.rows,
            length: batch.cols,
        };
        let hidden = network.hidden(self.ops, &batch.inputs, grid, pass, tape)?;
        let task = LossTask {
            targets: &batch.targets,
            mask: &batch.mask,
            formula: &self.formula,
            scale,
        };
        self.ops.head_loss(hidden, network.head(), &task)
    }

    fn update(&mut self, step: u64) -> Result<Clip, TrainError> {
        let mut gradients = match self.gradients.take() {
            Some(gradients) => gradients,
            None => self.ops.gradients(&self.network.parameters),
        };
        let parameters = &mut self.network.parameters;
        let limit = self.job.train.grad_clip;
        let clip = self.ops.grad_norm_clip(parameters, &mut gradients, limit)?;
        self.finite(step, "grad_norm", clip.norm)?;
        let update = adamw(self.job, &self.decays, step, clip.scale);
        let parameters = &mut self.network.parameters;
        self.ops
            .adamw_step(parameters, &mut self.moments, &mut gradients, &update)?;
        self.gradients = Some(gradients);
        Ok(clip)
    }

    /// Measures the validation loss without dropout, in order, in batches of the training size; `None` if the observer
    /// stops it.
    fn validate(&mut self, observer: &mut dyn Observer) -> Result<Option<Validated>, TrainError> {
        let (set, size) = (self.job.validation, self.job.train.batch_size.max(1));
        let order: Vec<usize> = (0..set.len()).collect();
        let (mut loss, mut ce, mut tokens) = (0.0, 0.0, 0usize);
        let (mut batch_losses, mut batches) = (0.0, 0usize);
        let mut done = 0;
        for chunk in order.chunks(size) {
            let batch = Batch::gather(set, chunk, self.job.train.ignore_index);
            let scored = batch.scored();
            if scored > 0 {
                self.network.check_batch(&batch)?;
                let value = self.loss(&batch, None, 1.0, NoneTape)?;
                loss += value.total() * scored as f64;
                ce += value.ce * scored as f64;
                tokens += scored;
                batch_losses += value.total();
                batches += 1;
            }
            done += chunk.len();
            if observer.on_validation(done, set.len()).is_break() {
                return Ok(None);
            }
        }
        let measured = Validated {
            loss: loss / tokens.max(1) as f64,
            ce: ce / tokens.max(1) as f64,
            batch_mean: batch_losses / batches.max(1) as f64,
        };
        self.finite(self.step - 1, "val/loss", measured.loss)?;
        let kept = matches!(self.job.train.keep, Keep::Best | Keep::Both);
        let lowest = self
            .best
            .as_ref()
            .is_none_or(|(best, _)| measured.loss < *best);
        if kept && lowest {
            // Free the old ones first: two copies on top of the training's memory would raise the peak.
            self.best = None;
            self.best = Some((measured.loss, self.network.weights(self.ops)));
        }
        Ok(Some(measured))
    }

    fn finite(&self, step: u64, what: &'static str, value: f64) -> Result<(), TrainError> {
        if value.is_finite() {
            return Ok(());
        }
        Err(TrainError::Diverged {
            step: step + 1,
            what,
            value,
            last_good_step: step,
        })
    }

    /// The result, freeing memory as it is read, since memory is scarcest at the end of a large run.
    ///
    /// # Errors
    /// Non-finite weights after the last step, which nothing has been computed from yet.
    fn finish(mut self) -> Result<Finished, TrainError> {
        self.ops.release(true);
        self.gradients = None;
        let (ops, network) = (self.ops, &mut self.network);
        let first_moments = network.drained(ops, std::mem::take(&mut self.moments.first));
        let second_moments = network.drained(ops, std::mem::take(&mut self.moments.second));
        let parameters = std::mem::take(&mut network.parameters);
        let weights = network.layout.named(network.drained(ops, parameters));
        let mut numbers = weights.0.iter().flat_map(|tensor| &tensor.data);
        if let Some(number) = numbers.find(|number| !number.is_finite()) {
            self.finite(self.step.saturating_sub(1), "a weight", f64::from(*number))?;
        }
        Ok(Finished {
            last: weights.clone(),
            checkpoint: Checkpoint {
                step: self.step,
                tokens: self.tokens,
                weights,
                first_moments,
                second_moments,
                best: self.best,
                epoch_loss: self.epoch_loss,
            },
        })
    }

    /// A copy of the state, using the memory of the next step's activations.
    fn checkpoint(&self) -> Checkpoint {
        self.ops.release(false);
        let network = &self.network;
        Checkpoint {
            step: self.step,
            tokens: self.tokens,
            weights: network.weights(self.ops),
            first_moments: network.lists(self.ops, &self.moments.first),
            second_moments: network.lists(self.ops, &self.moments.second),
            best: self.best.clone(),
            epoch_loss: self.epoch_loss,
        }
    }
}

//! Scores of given targets: one forward pass per batch, no tape, no dropout.

use super::network::Network;
use super::ops::{Grid, Operations, ScoreTask, Scores};
use crate::data::batch::{Batch, scoring_batches};
use crate::train::{EvalJob, TokenScores, TrainError, Weights};
use dfdx::prelude::NoneTape;

/// Scores every target; see [`crate::train::Engine::evaluate`].
pub(crate) fn evaluate<O: Operations>(
    ops: &O,
    weights: &Weights,
    job: &EvalJob<'_>,
) -> Result<TokenScores, TrainError> {
    if let Some(bad) = job
        .temperatures
        .iter()
        .find(|&&t| !(t > 0.0 && t.is_finite()))
    {
        return Err(TrainError::Input(format!(
            "a temperature of an evaluation is {bad}, it must be above 0"
        )));
    }
    let network = Network::new(ops, job.model, weights)?;
    let set = job.sequences;
    let lengths: Vec<usize> = (0..set.len()).map(|index| set.get(index).1.len()).collect();
    let mut all = Scores::for_task(&task(job, &Batch::default()));
    for sequences in scoring_batches(&lengths) {
        if job.halt.is_set() {
            return Err(TrainError::Stopped);
        }
        let batch = Batch::gather(set, &sequences.collect::<Vec<_>>(), None);
        if !batch.inputs.is_empty() {
            network.check_batch(&batch)?;
            let grid = Grid {
                sequences: batch.rows,
                length: batch.cols,
            };
            let hidden = network.hidden(ops, &batch.inputs, grid, None, NoneTape)?;
            all.append(ops.head_scores(hidden, network.head(), &task(job, &batch))?);
        }
    }
    Ok(TokenScores {
        lengths,
        log_likelihood: all.log_likelihood,
        rank: all.rank,
        confidence: all.confidence,
        tempered: all.tempered,
        clipped_linear: all.clipped_linear,
    })
}

fn task<'a>(job: &EvalJob<'a>, batch: &'a Batch) -> ScoreTask<'a> {
    ScoreTask {
        targets: &batch.targets,
        mask: &batch.mask,
        temperatures: job.temperatures,
        clipped_linear_eps: job.clipped_linear_eps,
    }
}

//! Rules of the section `train`.

use crate::choices::Findings;
use crate::choices::loss::Formula;
use crate::spec::{Every, LastBatch, Optimizer, Reduction, TrainSettings};

pub(super) fn train_counts(train: &TrainSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 40;
    findings.count("train.batch_size", train.batch_size, 1..=1 << 24);
    let micro_batches = train.grad_accum_steps;
    findings.count("train.grad_accum_steps", micro_batches, 1..=1 << 24);
    let lengths = [
        ("train.epochs", train.epochs),
        ("train.max_steps", train.max_steps),
        ("train.max_tokens", train.max_tokens),
    ];
    for (path, value) in lengths
        .iter()
        .chain(&[("train.max_batches", train.max_batches)])
    {
        // An imported model can be evaluated without training.
        let none_is_fine = *path == "train.max_steps" && train.init_from.is_some();
        if let Some(value) = value {
            findings.count(path, *value, usize::from(!none_is_fine)..=MOST);
        }
    }
    let mut given = lengths.iter().filter(|(_, value)| value.is_some());
    if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
        let message = format!("`{first}` and `{second}` both say how long to train");
        let hint = format!("keep one; an override removes the other with `{first}: null`");
        findings.say(*second, message).hint(hint);
    }
    if train.max_tokens.is_some() && train.max_batches.is_some() {
        let message = "`train.max_batches` cuts epochs, and `train.max_tokens` already says how long to train";
        findings.say("train.max_batches", message);
    }
    if train.max_tokens.is_some() && train.last_batch == LastBatch::Drop {
        let message = "`train.last_batch: drop` drops different sequences in each epoch, so the tokens for `train.max_tokens` cannot be counted in advance";
        let hint = "leave it out: the last step ends at the last token anyway";
        findings.say("train.last_batch", message).hint(hint);
    }
    match train.validate.every {
        Every::Steps(steps) => findings.count("train.validate.every.steps", steps, 1..=MOST),
        Every::Tokens(tokens) => findings.count("train.validate.every.tokens", tokens, 1..=MOST),
        Every::Epoch | Every::Step | Every::End => {}
    }
    if let Some(clip) = train.grad_clip
        && !(clip > 0.0 && clip.is_finite())
    {
        let message = format!("`train.grad_clip` is {clip}; it has to be above 0");
        let hint = "leave it out for no clipping";
        findings.say("train.grad_clip", message).hint(hint);
    }
}

pub(super) fn optimizer_in_range(train: &TrainSettings, findings: &mut Findings) {
    let Optimizer::Adamw(adamw) = &train.optimizer;
    let mut number = |name: &str, value: f64, holds: bool, range: &str| {
        let path = format!("train.optimizer.adamw.{name}");
        findings.number(&path, value, holds, range);
    };
    let rate = adamw.learning_rate;
    number("learning_rate", rate, rate > 0.0, "above 0");
    for (index, beta) in adamw.betas.into_iter().enumerate() {
        let holds = (0.0..1.0).contains(&beta);
        let name = format!("betas.{index}");
        number(&name, beta, holds, "at least 0 and below 1");
    }
    let is_normal = adamw.eps >= f64::from(f32::MIN_POSITIVE);
    let range = "at least 1.2e-38, the smallest normal f32";
    number("eps", adamw.eps, is_normal, range);
    let decay = adamw.weight_decay;
    number("weight_decay", decay, decay >= 0.0, "at least 0");
}

/// The settings of schedule and loss are valid, and a reduction applies to a loss with square
/// terms.
pub(super) fn choices_are_allowed(train: &TrainSettings, findings: &mut Findings) {
    let Optimizer::Adamw(adamw) = &train.optimizer;
    train.schedule.get().check(adamw.learning_rate, findings);
    train.loss.get().check(findings);
    let has_square = Formula::new(&train.loss, train.reduction, 2)
        .square
        .is_some();
    if !has_square && train.reduction != Reduction::default() {
        let loss = train.loss.name();
        let message =
            format!("`train.reduction` has no meaning for `{loss}`: it has no square term");
        findings.say("train.reduction", message);
    }
}

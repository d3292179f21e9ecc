//! Rules of the section `train`.

use super::{Findings, add, at_least, between, in_range, say};
use crate::spec::error::Problem;
use crate::spec::{
    ClassWeight, Every, LastBatch, Loss, Optimizer, Reduction, Schedule, TrainSettings,
};

pub(super) fn train_counts(train: &TrainSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 40;
    between(findings, "train.batch_size", train.batch_size, 1, 1 << 24);
    between(
        findings,
        "train.grad_accum_steps",
        train.grad_accum_steps,
        1,
        1 << 24,
    );
    for (path, value) in [
        ("train.epochs", train.epochs),
        ("train.max_steps", train.max_steps),
        ("train.max_tokens", train.max_tokens),
        ("train.max_batches", train.max_batches),
    ] {
        if let Some(value) = value {
            between(findings, path, value, 1, MOST);
        }
    }
    let lengths = [
        ("train.epochs", train.epochs),
        ("train.max_steps", train.max_steps),
        ("train.max_tokens", train.max_tokens),
    ];
    let mut given = lengths.iter().filter(|(_, value)| value.is_some());
    if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
        let message = format!("`{first}` and `{second}` both say how long to train");
        let hint = format!("keep one; an override removes the other with `{first}: null`");
        add(findings, second, Problem::new(message).hint(hint));
    }
    if train.max_tokens.is_some() && train.max_batches.is_some() {
        let message = "`train.max_batches` cuts epochs, and `train.max_tokens` already says how long to train";
        say(findings, "train.max_batches", message);
    }
    if train.max_tokens.is_some() && train.last_batch == LastBatch::Drop {
        let message = "`train.last_batch: drop` leaves other sequences out in each epoch, so their tokens cannot be counted ahead for `train.max_tokens`";
        let hint = "leave it out: the last step ends at the last token anyway";
        add(
            findings,
            "train.last_batch",
            Problem::new(message).hint(hint),
        );
    }
    match train.validate.every {
        Every::Steps(steps) => at_least(findings, "train.validate.every.steps", steps, 1),
        Every::Tokens(tokens) => at_least(findings, "train.validate.every.tokens", tokens, 1),
        Every::Epoch | Every::Step | Every::End => {}
    }
    if let Some(clip) = train.grad_clip {
        let problem = Problem::new(format!("`train.grad_clip` is {clip}; it has to be above 0"));
        if clip <= 0.0 || !clip.is_finite() {
            add(
                findings,
                "train.grad_clip",
                problem.hint("leave it out for no clipping"),
            );
        }
    }
}

pub(super) fn optimizer_in_range(train: &TrainSettings, findings: &mut Findings) {
    let Optimizer::Adamw(adamw) = &train.optimizer;
    let path = |name: &str| format!("train.optimizer.adamw.{name}");
    let rate = adamw.learning_rate;
    in_range(
        findings,
        &path("learning_rate"),
        rate,
        rate > 0.0,
        "above 0",
    );
    for (index, beta) in adamw.betas.into_iter().enumerate() {
        let holds = (0.0..1.0).contains(&beta);
        in_range(
            findings,
            &path(&format!("betas.{index}")),
            beta,
            holds,
            "at least 0 and below 1",
        );
    }
    in_range(
        findings,
        &path("eps"),
        adamw.eps,
        adamw.eps >= f64::from(f32::MIN_POSITIVE),
        "at least 1.2e-38, the smallest normal f32",
    );
    let decay = adamw.weight_decay;
    in_range(
        findings,
        &path("weight_decay"),
        decay,
        decay >= 0.0,
        "at least 0",
    );
}

pub(super) fn schedule_fits(train: &TrainSettings, findings: &mut Findings) {
    let Schedule::Cosine(cosine) = &train.schedule else {
        return;
    };
    let Optimizer::Adamw(adamw) = &train.optimizer;
    let (warmup, decay) = (cosine.warmup_steps, cosine.decay_steps);
    if warmup >= decay {
        let message =
            format!("the warm-up of {warmup} steps does not end before `decay_steps` {decay}");
        say(findings, "train.schedule.cosine.warmup_steps", message);
    }
    let (low, peak) = (cosine.min_lr, adamw.learning_rate);
    let path = "train.schedule.cosine.min_lr";
    in_range(findings, path, low, low >= 0.0, "at least 0");
    if low > peak {
        say(
            findings,
            path,
            format!("`min_lr` {low} is above the peak `learning_rate` {peak}"),
        );
    }
}

pub(super) fn loss_in_range(train: &TrainSettings, findings: &mut Findings) {
    let weight = |w: &ClassWeight| match w {
        ClassWeight::Absolute(w) | ClassWeight::Per50304(w) => *w,
    };
    match &train.loss {
        Loss::CrossEntropy | Loss::Squentropy => {}
        Loss::Square(square) => {
            in_range(
                findings,
                "train.loss.square.k",
                square.k,
                square.k > 0.0,
                "above 0",
            );
            in_range(
                findings,
                "train.loss.square.m",
                square.m,
                square.m > 0.0,
                "above 0",
            );
        }
        Loss::SquareSoftmax(weighted) => {
            let w = weight(&weighted.w);
            in_range(
                findings,
                "train.loss.square_softmax.w",
                w,
                w > 0.0,
                "above 0",
            );
        }
        Loss::SquentropyCapstone(weighted) => {
            let w = weight(&weighted.w);
            in_range(
                findings,
                "train.loss.squentropy_capstone.w",
                w,
                w > 0.0,
                "above 0",
            );
        }
    }
    if train.loss == Loss::CrossEntropy && train.reduction != Reduction::default() {
        let message = "`train.reduction` has no meaning for `cross_entropy`: it has no square term";
        say(findings, "train.reduction", message);
    }
}

//! The cell `samples`: continuations side by side, with the prompt set off from the model's text.

use super::{Builder, Place, Shown, problem, prose};
use crate::expr::Session;
use crate::record::{RunResult, Sample};
use crate::report::ReportError;
use crate::report::context::{Block, CardView, CardsView, FoldView};
use crate::report::scope::{Scope, groups};
use crate::report::text::{clean, escape_markdown, fence, one_line, shorten};
use crate::spec::{SampleSettings, SamplesCell};

/// Up to this number of settings, all are shown; beyond it, the best and the worst.
const AT_ONCE: usize = 3;

impl Builder<'_, '_> {
    pub(crate) fn samples(
        &mut self,
        cell: &SamplesCell,
        line: usize,
    ) -> Result<Vec<Block>, ReportError> {
        let runs = self.scope.select(&cell.runs, line)?;
        // The first replicate of every setting comes first, so settings can be compared at a
        // glance.
        let groups = groups(&runs);
        let first: Vec<&RunResult> = groups
            .iter()
            .filter_map(|group| group.runs.first().copied())
            .collect();
        let others = groups.iter().flat_map(|group| group.runs.iter().skip(1));
        let heads = first.iter().flat_map(|run| samples(run, true));
        let tails = first.iter().flat_map(|run| samples(run, false));
        let count = heads.clone().count();
        let shown_runs = best_and_worst(&first);
        let rest = others.flat_map(|run| samples(run, true).chain(samples(run, false)));
        let mut prompts: Vec<(&str, Vec<CardView>, Vec<CardView>)> = Vec::new();
        for (index, (run, sample)) in heads.chain(tails).chain(rest).enumerate() {
            let prompt = sample.prompt.as_str();
            let known = prompts.iter().position(|known| known.0 == prompt);
            let known = known.unwrap_or_else(|| {
                prompts.push((prompt, Vec::new(), Vec::new()));
                prompts.len() - 1
            });
            let (_, shown, folded) = &mut prompts[known];
            // Only the first prompt is open; the continuations of other prompts are folded.
            let is_shown = known == 0 && index < count && shown_runs.contains(&run.name.as_str());
            let cards = if is_shown { shown } else { folded };
            cards.push(card(self.scope, run, sample));
        }
        let note = match prompts.is_empty() {
            true => "No sample has been drawn yet.".to_owned(),
            false => {
                let note = note(self.scope, &runs);
                format!(
                    "{note} The prompt is marked; the model wrote what follows (in report.md after ⟫)."
                )
            }
        };
        let mut blocks = vec![Block::Prose(prose(&escape_markdown(&note)))];
        for (prompt, cards, folded) in prompts {
            let cards_shown = !cards.is_empty();
            if cards_shown {
                blocks.push(Block::Cards(CardsView { cards }));
            }
            if !folded.is_empty() {
                blocks.push(Block::Fold(FoldView {
                    summary: match cards_shown {
                        true => format!("{} more for the same prompt", folded.len()),
                        false => {
                            format!("{} for “{}”", folded.len(), shorten(&one_line(prompt), 40))
                        }
                    },
                    is_open: false,
                    is_bulk: true,
                    blocks: vec![Block::Cards(CardsView { cards: folded })],
                }));
            }
        }
        Ok(blocks)
    }
}

/// Names of the runs whose samples are shown unfolded: all if there are few, otherwise the runs
/// with the lowest and the highest loss among those that had room to write.
fn best_and_worst<'a>(runs: &[&'a RunResult]) -> Vec<&'a str> {
    let loss = |run: &RunResult| {
        let metrics = ["nll", "val_ce", "val_loss"];
        metrics
            .iter()
            .find_map(|name| run.metrics.get(*name))
            .copied()
    };
    let sampled = |run: &&&RunResult| {
        run.eval
            .as_ref()
            .is_some_and(|eval| !eval.samples.is_empty())
    };
    let sampled: Vec<&&RunResult> = runs.iter().filter(sampled).collect();
    if sampled.len() <= AT_ONCE {
        return sampled.iter().map(|run| run.name.as_str()).collect();
    }
    let wrote = |run: &RunResult| {
        let first = run.eval.as_ref().and_then(|eval| eval.samples.first());
        first.is_some_and(|sample| sample.new_tokens > 0)
    };
    let mut ranked: Vec<(f64, &str)> = sampled
        .into_iter()
        .filter(|run| wrote(run))
        .map(|run| (loss(run).unwrap_or(f64::INFINITY), run.name.as_str()))
        .collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    match ranked.as_slice() {
        [(_, best), .., (_, worst)] => vec![*best, *worst],
        few => few.iter().map(|(_, name)| *name).collect(),
    }
}

/// The first sample of each prompt of a run, or all others.
fn samples(run: &RunResult, first: bool) -> impl Iterator<Item = (&RunResult, &Sample)> + Clone {
    let all = run.eval.as_ref().map_or(&[][..], |eval| &eval.samples[..]);
    all.iter()
        .enumerate()
        .filter(move |(index, sample)| {
            let is_first = all[..*index]
                .iter()
                .all(|other| other.prompt != sample.prompt);
            is_first == first
        })
        .map(move |(_, sample)| (run, sample))
}

fn card(scope: &Scope<'_>, run: &RunResult, sample: &Sample) -> CardView {
    let prompt = clean(&sample.prompt);
    let continuation = clean(&sample.continuation);
    let whole = format!("{prompt}⟫{continuation}");
    let fence = fence(&whole);
    let tokens = sample.new_tokens;
    let limit = settings(scope, run).map(|settings| settings.max_new_tokens as u64);
    let count = match tokens {
        1 => "1 token".to_owned(),
        tokens => format!("{tokens} tokens"),
    };
    let note = match limit {
        _ if sample.ended => format!("{count}, stopped at end of text"),
        _ if tokens == 0 => {
            "the prompt fills the model's context: no room for a continuation".into()
        }
        Some(limit) if (tokens as u64) < limit => {
            format!("{count}, stopped at the end of the model's context")
        }
        _ => format!("{count}, stopped at the token limit"),
    };
    CardView {
        title: scope.run_name(run),
        target: scope.anchor(run),
        note,
        markdown: format!("{fence}text\n{}\n{fence}", whole.trim_end()),
        mark: prompt,
        text: continuation,
    }
}

/// The sampling settings of a run, from the spec.
fn settings<'a>(scope: &Scope<'a>, run: &RunResult) -> Option<&'a SampleSettings> {
    let runs = &scope.spec.runs;
    let known = runs.iter().find(|known| known.name == run.name)?;
    known.settings.eval.samples.as_ref()
}

/// A sentence on how the text was sampled, from the spec.
fn note(scope: &Scope<'_>, runs: &[&RunResult]) -> String {
    let Some(settings) = runs.iter().find_map(|run| settings(scope, run)) else {
        return String::new();
    };
    let mut parts = Vec::new();
    if settings.temperature == 0.0 {
        parts.push("the most likely token at every step".to_owned());
    } else {
        parts.push(format!("temperature {}", settings.temperature));
        parts.extend(settings.top_k.map(|k| format!("top-k {k}")));
        parts.extend(settings.top_p.map(|p| format!("top-p {p}")));
        parts.push(format!("seed {}", settings.seed));
    }
    parts.push(format!("at most {} new tokens", settings.max_new_tokens));
    format!("Sampled with {}.", parts.join(", "))
}

impl Shown for SamplesCell {
    fn heading(&self) -> Option<&'static str> {
        Some("Samples")
    }

    fn look_up(&self, scope: &Scope<'_>, _: &Session, line: usize) -> Vec<ReportError> {
        problem(scope.select(&self.runs, line))
    }

    fn blocks(
        &self,
        builder: &mut Builder<'_, '_>,
        place: &Place<'_>,
    ) -> Result<Vec<Block>, ReportError> {
        builder.samples(self, place.line)
    }
}

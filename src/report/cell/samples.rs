//! The cell `samples`: continuations side by side, the prompt told apart from what the model wrote.

use super::Builder;
use crate::record::{RunResult, Sample};
use crate::report::ReportError;
use crate::report::context::{PromptView, SampleView, SamplesView};
use crate::report::scope::{Scope, groups};
use crate::report::text::{clean, fence, one_line};
use crate::spec::SamplesCell;

/// Most samples of a prompt that are shown without being asked for.
const AT_ONCE: usize = 12;

impl Builder<'_, '_> {
    pub(crate) fn samples(
        &mut self,
        anchor: String,
        cell: &SamplesCell,
        line: usize,
    ) -> Result<SamplesView, ReportError> {
        let runs = self.scope.select(&cell.runs, line)?;
        let mut prompts: Vec<PromptView> = Vec::new();
        // One replicate of every setting first, so that the settings can be compared at a glance.
        let groups = groups(&runs);
        let first: Vec<&RunResult> = groups
            .iter()
            .filter_map(|group| group.runs.first().copied())
            .collect();
        let others = groups.iter().flat_map(|group| group.runs.iter().skip(1));
        let heads = first.iter().flat_map(|run| samples(run, true));
        let tails = first.iter().flat_map(|run| samples(run, false));
        let count = heads.clone().count();
        let rest = others.flat_map(|run| samples(run, true).chain(samples(run, false)));
        for (index, (run, sample)) in heads.chain(tails).chain(rest).enumerate() {
            let prompt = clean(&sample.prompt);
            let view = view(self.scope, run, sample);
            let known = prompts.iter().position(|known| known.prompt == prompt);
            let known = known.unwrap_or_else(|| {
                prompts.push(PromptView {
                    prompt,
                    shown: 0,
                    samples: Vec::new(),
                });
                prompts.len() - 1
            });
            let known = &mut prompts[known];
            known.samples.push(view);
            if index < count && known.shown < AT_ONCE {
                known.shown += 1;
            }
        }
        Ok(SamplesView {
            anchor,
            has_heading: true,
            note: note(self.scope, &runs),
            prompts,
        })
    }
}

/// The first sample of each prompt of a run, or the others.
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

fn view(scope: &Scope<'_>, run: &RunResult, sample: &Sample) -> SampleView {
    let prompt = clean(&sample.prompt);
    let continuation = clean(&sample.continuation);
    let whole = format!("{prompt}⟫{continuation}");
    let fence = fence(&whole);
    let tokens = sample.new_tokens;
    let note = match sample.ended {
        true => format!("{tokens} tokens, ended by itself"),
        false if tokens == 0 => {
            "the prompt fills the model's context: no room for a continuation".into()
        }
        false => format!("{tokens} tokens, cut at the limit"),
    };
    SampleView {
        run_name: one_line(&run.name),
        run: scope.anchor(run),
        note,
        markdown: format!("{fence}text\n{}\n{fence}", whole.trim_end()),
        prompt,
        continuation,
    }
}

/// How the text was sampled, from the spec.
fn note(scope: &Scope<'_>, runs: &[&RunResult]) -> String {
    let settings = runs
        .iter()
        .find_map(|run| scope.spec.runs.iter().find(|known| known.name == run.name))
        .and_then(|run| run.settings.eval.samples.as_ref());
    let Some(settings) = settings else {
        return String::new();
    };
    let mut parts = Vec::new();
    if settings.temperature == 0.0 {
        parts.push("always the likeliest token".to_owned());
    } else {
        parts.push(format!("temperature {}", settings.temperature));
        parts.extend(settings.top_k.map(|k| format!("top-k {k}")));
        parts.extend(settings.top_p.map(|p| format!("top-p {p}")));
        parts.push(format!("seed {}", settings.seed));
    }
    parts.push(format!("at most {} new tokens", settings.max_new_tokens));
    format!("Sampled with {}.", parts.join(", "))
}

//! The cell `claims`: the scoreboard, and statement, published, ours, margin, verdict and source of every claim.

use super::{Builder, prose_line};
use crate::claim::{Judged, Verdict};
use crate::human;
use crate::report::context::{ClaimView, ClaimsView, Scoreboard, ValueView, VerdictCount};
use crate::report::scope::Scope;
use crate::report::text::{one_line, slug};
use crate::report::{ReportError, csv};
use crate::spec::{Mark, Selection};

/// Every verdict, in the order of the scoreboard.
pub(crate) const VERDICTS: [Verdict; 5] = [
    Verdict::Holds,
    Verdict::Fails,
    Verdict::Inconclusive,
    Verdict::NotCheckableHere,
    Verdict::SourceInconsistent,
];

/// CSS class of a verdict, and a sign that tells it without colour.
fn look(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Holds => ("holds", "✓"),
        Verdict::Fails => ("fails", "✗"),
        Verdict::Inconclusive => ("inconclusive", "≈"),
        Verdict::NotCheckableHere => ("unchecked", "–"),
        Verdict::SourceInconsistent => ("inconsistent", "≠"),
    }
}

/// Counts verdicts.
pub(crate) fn scoreboard(verdicts: &[Verdict]) -> Scoreboard {
    let counts = VERDICTS
        .into_iter()
        .map(|verdict| VerdictCount {
            verdict: verdict.to_string(),
            class: look(verdict).0.to_owned(),
            sign: look(verdict).1.to_owned(),
            count: verdicts.iter().filter(|other| **other == verdict).count(),
        })
        .filter(|count| count.count > 0)
        .collect();
    Scoreboard {
        total: verdicts.len(),
        counts,
    }
}

impl Builder<'_, '_> {
    pub(crate) fn claims(
        &mut self,
        anchor: String,
        selection: &Selection,
        line: usize,
    ) -> Result<ClaimsView, ReportError> {
        look_up(self.scope, selection, line)?;
        let judged = |id: &String| self.claims.iter().find(|judged| judged.id == *id);
        let chosen: Vec<&Judged> = match selection {
            Selection::All => self.claims.iter().collect(),
            Selection::Only(ids) => ids.iter().filter_map(judged).collect(),
        };
        let verdicts: Vec<Verdict> = chosen.iter().map(|judged| judged.verdict).collect();
        Ok(ClaimsView {
            scoreboard: scoreboard(&verdicts),
            has_heading: true,
            csv: format!("data/{anchor}-claims.csv"),
            csv_text: csv_text(&chosen),
            anchor,
            claims: chosen.into_iter().map(view).collect(),
        })
    }
}

/// Checks that the claims exist which a cell names.
pub(super) fn look_up(
    scope: &Scope<'_>,
    selection: &Selection,
    line: usize,
) -> Result<(), ReportError> {
    let Selection::Only(ids) = selection else {
        return Ok(());
    };
    let all = &scope.spec.claims;
    let is_unknown = |id: &&String| all.iter().all(|claim| claim.id != **id);
    match ids.iter().find(is_unknown) {
        None => Ok(()),
        Some(id) => Err(ReportError::UnknownClaim {
            line,
            name: id.clone(),
            known: all.iter().map(|claim| claim.id.clone()).collect(),
        }),
    }
}

fn view(judged: &Judged) -> ClaimView {
    let published = judged.published.as_ref();
    let (class, sign) = look(judged.verdict);
    ClaimView {
        anchor: format!("claim-{}", slug(&judged.id)),
        id: one_line(&judged.id),
        says: one_line(&judged.says),
        kind: judged.kind.map(|kind| kind.to_string()),
        place: one_line(&judged.place),
        published: published.map(|published| one_line(&published.value)),
        mark: published.map(|published| mark(published.mark).to_owned()),
        ours: judged.ours.map(|ours| ours_view(ours, judged)),
        expected: judged.expect.as_deref().map(one_line),
        margin: judged.margin.map(|margin| {
            let sign = if margin > 0.0 { "+" } else { "" };
            format!("{sign}{}", human::significant(margin, 3))
        }),
        verdict: judged.verdict.to_string(),
        class: class.to_owned(),
        sign: sign.to_owned(),
        reason: reason(judged).as_deref().map(prose_line),
        note: judged.note.as_deref().map(prose_line),
        measure: judged.measure.as_deref().map(one_line),
    }
}

/// Why the verdict is what it is. Where the measure decided, the numbers stand beside it: only their basis is left to say.
fn reason(judged: &Judged) -> Option<String> {
    let reason = one_line(&judged.reason);
    let is_decided = matches!(judged.verdict, Verdict::Holds | Verdict::Fails);
    let basis = reason
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once(" ("))
        .filter(|_| is_decided);
    Some(basis.map_or_else(|| reason.clone(), |(_, basis)| basis.to_owned()))
        .filter(|reason| !reason.is_empty())
}

/// Half of the interval over seeds.
fn half_width(judged: &Judged) -> Option<f64> {
    judged.interval.map(|[low, high]| (high - low) / 2.0)
}

fn ours_view(ours: f64, judged: &Judged) -> ValueView {
    let is_whole = ours.fract() == 0.0 && ours.abs() < 1e12;
    let (text, spread) = match half_width(judged).filter(|half| *half > 0.0) {
        Some(half) => {
            let (ours, half) = human::with_half_width(ours, half);
            (ours, Some(half))
        }
        None if is_whole => (human::fixed(ours, 0), None),
        None => (human::plain(ours, 4), None),
    };
    let seeds: Vec<String> = judged
        .per_seed
        .iter()
        .map(|(seed, value)| format!("seed {seed}: {}", human::significant(*value, 5)))
        .collect();
    ValueView {
        text,
        spread,
        hint: (seeds.len() > 1).then(|| seeds.join(", ")),
        ..ValueView::default()
    }
}

fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Printed => "printed",
        Mark::Code => "read from code",
        Mark::StoredOutput => "stored output",
        Mark::Derived => "derived",
    }
}

fn csv_text(claims: &[&Judged]) -> String {
    let mut out = csv::line([
        "id",
        "says",
        "type",
        "where",
        "published",
        "mark",
        "measure",
        "expected",
        "ours",
        "half-width",
        "margin",
        "verdict",
        "reason",
    ]);
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let text = |value: Option<&str>| value.map(one_line).unwrap_or_default();
    for judged in claims {
        let published = judged.published.as_ref();
        let fields = [
            one_line(&judged.id),
            one_line(&judged.says),
            judged.kind.map(|kind| kind.to_string()).unwrap_or_default(),
            one_line(&judged.place),
            text(published.map(|published| published.value.as_str())),
            text(published.map(|published| mark(published.mark))),
            text(judged.measure.as_deref()),
            text(judged.expect.as_deref()),
            number(judged.ours),
            number(half_width(judged)),
            number(judged.margin),
            judged.verdict.to_string(),
            one_line(&judged.reason),
        ];
        out.push_str(&csv::line(fields.iter().map(String::as_str)));
    }
    out
}

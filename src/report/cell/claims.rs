//! The cell `claims`: the scoreboard, and statement, published, ours, margin, verdict and source of every claim.

use super::{Builder, prose_line};
use crate::report::context::{ClaimView, ClaimsView, Scoreboard, ValueView, VerdictCount};
use crate::report::text::{one_line, slug};
use crate::report::{ClaimOutcome, ReportError, VerdictKind, csv, number};
use crate::spec::{Claim, Expect, Mark, Selection};

impl VerdictKind {
    /// Every verdict, in the order of the scoreboard.
    pub(crate) const ALL: [Self; 5] = [
        Self::Holds,
        Self::Fails,
        Self::Inconclusive,
        Self::NotCheckable,
        Self::SourceInconsistent,
    ];

    /// As in the report.
    pub fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Inconclusive => "inconclusive",
            Self::NotCheckable => "not checkable here",
            Self::SourceInconsistent => "source inconsistent",
        }
    }

    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Inconclusive => "inconclusive",
            Self::NotCheckable => "unchecked",
            Self::SourceInconsistent => "inconsistent",
        }
    }

    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Holds => "✓",
            Self::Fails => "✗",
            Self::Inconclusive => "≈",
            Self::NotCheckable => "–",
            Self::SourceInconsistent => "≠",
        }
    }
}

/// Counts verdicts.
pub(crate) fn scoreboard(outcomes: &[&ClaimOutcome]) -> Scoreboard {
    let counts = VerdictKind::ALL
        .into_iter()
        .map(|verdict| VerdictCount {
            verdict: verdict.text().to_owned(),
            class: verdict.class().to_owned(),
            sign: verdict.sign().to_owned(),
            count: outcomes.iter().filter(|o| o.verdict == verdict).count(),
        })
        .filter(|count| count.count > 0)
        .collect();
    Scoreboard {
        total: outcomes.len(),
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
        let spec = self.scope.spec;
        let chosen: Vec<&Claim> = match selection {
            Selection::All => spec.claims.iter().collect(),
            Selection::Only(ids) => ids
                .iter()
                .map(|id| {
                    let found = spec.claims.iter().find(|claim| claim.id == *id);
                    found.ok_or_else(|| ReportError::UnknownClaim {
                        line,
                        name: id.clone(),
                        known: spec.claims.iter().map(|claim| claim.id.clone()).collect(),
                    })
                })
                .collect::<Result<_, _>>()?,
        };
        let outcomes: Vec<(&Claim, &ClaimOutcome)> = chosen
            .into_iter()
            .filter_map(|claim| {
                let outcome = self.claims.iter().find(|outcome| outcome.id == claim.id)?;
                Some((claim, outcome))
            })
            .collect();
        let only: Vec<&ClaimOutcome> = outcomes.iter().map(|(_, outcome)| *outcome).collect();
        let claims: Vec<ClaimView> = outcomes.iter().map(|(c, o)| view(c, o)).collect();
        Ok(ClaimsView {
            scoreboard: scoreboard(&only),
            csv: format!("data/{anchor}-claims.csv"),
            csv_text: csv_text(&outcomes),
            anchor,
            claims,
        })
    }
}

fn view(claim: &Claim, outcome: &ClaimOutcome) -> ClaimView {
    let published = claim.published.as_ref();
    ClaimView {
        anchor: format!("claim-{}", slug(&claim.id)),
        id: one_line(&claim.id),
        says: one_line(&claim.says),
        place: one_line(&claim.place),
        published: published.map(|published| one_line(&published.value)),
        mark: published.map(|published| mark(published.mark).to_owned()),
        ours: outcome.ours.map(|ours| ours_view(ours, outcome)),
        expected: claim.expect.map(expected),
        margin: outcome.margin.map(|margin| {
            let sign = if margin > 0.0 { "+" } else { "" };
            format!("{sign}{}", number::significant(margin, 3))
        }),
        verdict: outcome.verdict.text().to_owned(),
        class: outcome.verdict.class().to_owned(),
        sign: outcome.verdict.sign().to_owned(),
        reason: outcome.reason.as_deref().map(one_line),
        note: claim.note.as_deref().map(prose_line),
        measure: claim.measure.as_deref().map(one_line),
    }
}

fn ours_view(ours: f64, outcome: &ClaimOutcome) -> ValueView {
    let is_whole = ours.fract() == 0.0 && ours.abs() < 1e12;
    let (text, spread) = match outcome.half_width.filter(|half| *half > 0.0) {
        Some(half) => {
            let (ours, half) = number::with_half_width(ours, half);
            (ours, Some(half))
        }
        None if is_whole => (number::fixed(ours, 0), None),
        None => (number::significant(ours, 4), None),
    };
    let seeds: Vec<String> = outcome
        .per_seed
        .iter()
        .map(|value| number::significant(*value, 5))
        .collect();
    ValueView {
        text,
        spread,
        hint: (seeds.len() > 1).then(|| format!("by seed: {}", seeds.join(", "))),
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

fn expected(expect: Expect) -> String {
    let plain = |x| number::plain(x, 6);
    match expect {
        Expect::Above(bound) => format!("> {}", plain(bound)),
        Expect::Below(bound) => format!("< {}", plain(bound)),
        Expect::Within([centre, tolerance]) => format!("{} ± {}", plain(centre), plain(tolerance)),
        Expect::Equals(value) => format!("= {}", plain(value)),
    }
}

fn csv_text(outcomes: &[(&Claim, &ClaimOutcome)]) -> String {
    let mut out = csv::line([
        "id",
        "says",
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
    for (claim, outcome) in outcomes {
        let published = claim.published.as_ref();
        let fields = [
            claim.id.clone(),
            one_line(&claim.says),
            one_line(&claim.place),
            published
                .map(|published| one_line(&published.value))
                .unwrap_or_default(),
            published
                .map(|published| mark(published.mark).to_owned())
                .unwrap_or_default(),
            claim.measure.as_deref().map(one_line).unwrap_or_default(),
            claim.expect.map(expected).unwrap_or_default(),
            number(outcome.ours),
            number(outcome.half_width),
            number(outcome.margin),
            outcome.verdict.text().to_owned(),
            outcome.reason.as_deref().map(one_line).unwrap_or_default(),
        ];
        out.push_str(&csv::line(fields.iter().map(String::as_str)));
    }
    out
}

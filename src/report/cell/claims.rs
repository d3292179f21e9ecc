//! The cell `claims`: the verdict counts and a ledger of the claims.

use super::{Builder, Place, Shown, problem, prose_line};
use crate::claim::{Judged, Reason, Source, Verdict};
use crate::expr::Session;
use crate::human;
use crate::report::context::{
    Block, ColumnView, Disagreement, FoldView, Prose, RowView, Scoreboard, TableView, ValueView,
    VerdictCount,
};
use crate::report::records::ClaimLine;
use crate::report::scope::Scope;
use crate::report::text::{code, escape_markdown, inert_line, one_line, slug};
use crate::report::{ReportError, csv};
use crate::spec::{ClaimKind, ClaimType, ClaimsCell, Mark, Selection};

/// Every verdict, in the order of the scoreboard.
pub(crate) const VERDICTS: [Verdict; 5] = [
    Verdict::Holds,
    Verdict::Fails,
    Verdict::Inconclusive,
    Verdict::NotCheckableHere,
    Verdict::SourceInconsistent,
];

/// CSS class of a verdict, and a sign that distinguishes it without colour.
fn look(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Holds => ("holds", "✓"),
        Verdict::Fails => ("fails", "✗"),
        Verdict::Inconclusive => ("inconclusive", "≈"),
        Verdict::NotCheckableHere => ("unchecked", "–"),
        Verdict::SourceInconsistent => ("inconsistent", "≠"),
    }
}

/// A verdict in words, for published findings or for statements that hold or do not.
fn word(verdict: Verdict, is_published: bool) -> &'static str {
    match (verdict, is_published) {
        (Verdict::Holds, true) => "reproduced",
        (Verdict::Holds, false) => "holds",
        (Verdict::Fails, true) => "contradicted",
        (Verdict::Fails, false) => "does not hold",
        (Verdict::Inconclusive, _) => "undecided",
        (Verdict::NotCheckableHere, _) => "not checkable here",
        (Verdict::SourceInconsistent, _) => "source contradicts itself",
    }
}

/// The properties of a claim that are counted.
pub(crate) trait Counted {
    fn verdict(&self) -> Verdict;
    fn is_aside(&self) -> bool;
    fn is_published(&self) -> bool;
}

impl Counted for &Judged {
    fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn is_aside(&self) -> bool {
        is_aside(self)
    }

    fn is_published(&self) -> bool {
        self.published.is_some()
    }
}

impl Counted for &ClaimLine {
    fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn is_aside(&self) -> bool {
        self.aside
    }

    fn is_published(&self) -> bool {
        self.published.is_some()
    }
}

/// Whether any of the findings was published: findings are then reproduced or contradicted;
/// otherwise they hold or do not.
fn are_published(claims: impl IntoIterator<Item = impl Counted>) -> bool {
    let mut claims = claims.into_iter();
    claims.any(|claim| !claim.is_aside() && claim.is_published())
}

/// Whether a claim is a setting, a formula or a control of ours, which is counted separately from
/// the findings.
pub(crate) fn is_aside(judged: &Judged) -> bool {
    judged.kind != ClaimKind::Finding
}

/// Counts the verdicts of findings, and those of settings and formulas separately.
pub(crate) fn scoreboard(claims: impl Iterator<Item = impl Counted>) -> Scoreboard {
    let claims: Vec<_> = claims.collect();
    let published = claims
        .iter()
        .any(|claim| !claim.is_aside() && claim.is_published());
    let (aside, findings): (Vec<Verdict>, Vec<Verdict>) = {
        let claims = claims.into_iter();
        let (aside, findings): (Vec<_>, Vec<_>) = claims.partition(Counted::is_aside);
        let verdicts = |claims: Vec<_>| claims.iter().map(Counted::verdict).collect();
        (verdicts(aside), verdicts(findings))
    };
    let counts = VERDICTS
        .into_iter()
        .map(|verdict| VerdictCount {
            verdict: word(verdict, published).to_owned(),
            class: look(verdict).0,
            sign: look(verdict).1,
            count: findings.iter().filter(|other| **other == verdict).count(),
        })
        .filter(|count| count.count > 0)
        .collect();
    let holds = aside.iter().filter(|verdict| **verdict == Verdict::Holds);
    let holds = holds.count();
    Scoreboard {
        total: findings.len(),
        aside: (!aside.is_empty()).then(|| {
            format!(
                "settings, formulas and controls: {holds} of {} hold",
                aside.len()
            )
        }),
        counts,
    }
}

/// The findings with a different outcome, at most three.
pub(crate) fn disagreements(claims: &[Judged]) -> Vec<Disagreement> {
    let differs = |judged: &&Judged| judged.verdict == Verdict::Fails && !is_aside(judged);
    let published = are_published(claims);
    let one = |judged: &Judged| Disagreement {
        anchor: anchor(judged),
        says: one_line(&judged.says),
        verdict: verdict_of(judged, published).to_owned(),
        class: look(judged.verdict).0,
        sign: look(judged.verdict).1,
    };
    claims.iter().filter(differs).take(3).map(one).collect()
}

fn anchor(judged: &Judged) -> String {
    format!("claim-{}", slug(&judged.id))
}

/// The verdict word used by the scoreboard; asides were not published as findings.
fn verdict_of(judged: &Judged, are_published: bool) -> &'static str {
    word(judged.verdict, are_published && !is_aside(judged))
}

impl Builder<'_, '_> {
    /// The ledger of claims: one row per claim, disagreements first.
    pub(crate) fn claims(
        &mut self,
        anchor: &str,
        selection: &Selection,
        line: usize,
    ) -> Result<Vec<Block>, ReportError> {
        look_up(self.scope, selection, line)?;
        let judged = |id: &String| self.claims.iter().find(|judged| judged.id == *id);
        let chosen: Vec<&Judged> = match selection {
            Selection::All => self.claims.iter().collect(),
            Selection::Only(ids) => ids.iter().filter_map(judged).collect(),
        };
        let mut ordered = chosen.clone();
        ordered.sort_by_key(|judged| match judged.verdict {
            Verdict::Fails => 0,
            Verdict::SourceInconsistent => 1,
            Verdict::Inconclusive => 2,
            Verdict::Holds => 3,
            Verdict::NotCheckableHere => 4,
        });
        let (findings, aside): (Vec<&Judged>, Vec<&Judged>) =
            ordered.into_iter().partition(|judged| !is_aside(judged));
        // Without findings, the other claims take their place.
        let (findings, aside) = match findings.is_empty() {
            true => (aside, Vec::new()),
            false => (findings, aside),
        };
        let number = self.next_table();
        let what = match are_published(self.claims) {
            true => "Published findings and what our runs show, disagreements first.",
            false => "Findings and what the runs show, those that fail first.",
        };
        let level = match chosen.iter().any(|one| one.test == ClaimType::Equivalence) {
            true => " (90 % for an equivalence)",
            false => "",
        };
        let interval = self.scope.interval_told();
        let caption = format!("{what} ± is half of {interval}{level}.");
        let mut table = self.ledger(&format!("table-{number}"), &findings)?;
        table.number = Some(number);
        table.caption = prose_line(&caption);
        table.csv = format!("data/{anchor}-claims.csv");
        table.csv_text = csv_text(&chosen);
        let mut blocks = vec![
            Block::Tally(scoreboard(chosen.iter().copied())),
            Block::Table(table),
        ];
        if !aside.is_empty() {
            let table = self.ledger(&format!("table-{number}-rest"), &aside)?;
            blocks.push(Block::Fold(FoldView {
                summary: format!("{} settings, formulas and controls", aside.len()),
                is_open: false,
                is_bulk: false,
                blocks: vec![Block::Table(table)],
            }));
        }
        Ok(blocks)
    }

    /// Rows of claims, without number and caption.
    fn ledger(&self, anchor: &str, claims: &[&Judged]) -> Result<TableView, ReportError> {
        let heads = [
            ("Claim", false),
            ("Decision", false),
            ("Here", true),
            ("Published", false),
        ];
        // Without published values there is nothing to compare.
        let count = match claims.iter().any(|judged| judged.published.is_some()) {
            true => 4,
            false => 3,
        };
        let are_published = are_published(self.claims);
        let one = |judged: &&Judged| {
            let mut row = row(judged, self.shown(&judged.id)?, are_published);
            row.cells.truncate(count);
            Ok(row)
        };
        let heads = heads[..count].iter();
        Ok(TableView {
            anchor: anchor.to_owned(),
            columns: heads
                .map(|(label, is_number)| ColumnView::new(label, *is_number))
                .collect(),
            rows: claims.iter().map(one).collect::<Result<_, ReportError>>()?,
            ..TableView::default()
        })
    }
}

/// Checks that the claims named by a cell exist.
fn look_up(scope: &Scope<'_>, selection: &Selection, line: usize) -> Result<(), ReportError> {
    let Selection::Only(ids) = selection else {
        return Ok(());
    };
    let all = &scope.spec.claims;
    let is_unknown = |id: &&String| all.iter().all(|claim| claim.id != **id);
    match ids.iter().find(is_unknown) {
        None => Ok(()),
        Some(id) => Err(ReportError::Unknown {
            line,
            what: "claim",
            name: id.clone(),
            known: all.iter().map(|claim| claim.id.clone()).collect(),
        }),
    }
}

fn row(judged: &Judged, shown: Option<String>, are_published: bool) -> RowView {
    let (class, sign) = look(judged.verdict);
    let dash = || ValueView::text("–");
    let published = judged.published.as_ref();
    RowView {
        anchor: Some(anchor(judged)),
        class: Some(class),
        cells: vec![
            ValueView::text(one_line(&judged.says)),
            ValueView {
                note: decided_by(judged, are_published),
                ..ValueView::text(format!("{sign} {}", verdict_of(judged, are_published)))
            },
            match (shown, judged.ours) {
                (Some(shown), _) => ValueView::text(shown),
                (None, Some(ours)) => in_words(ours, judged),
                (None, None) => dash(),
            },
            published.map_or_else(dash, |published| {
                ValueView::text(one_line(&published.value))
            }),
        ],
        details: Some(details(judged)),
    }
}

/// A value as text, with its half-width and unit.
fn in_words(ours: f64, judged: &Judged) -> ValueView {
    let mut view = ours_view(ours, judged);
    if let Some(spread) = view.spread.take() {
        view.text += &["\u{a0}±\u{a0}", &spread].concat();
    }
    match judged.unit.as_str() {
        "" if judged.test == ClaimType::Trend => view.text.insert_str(0, "rank correlation "),
        "" => {}
        unit => view.text += &[" ", &one_line(unit)].concat(),
    }
    view
}

/// The small text below a decision: its probability corrected for all findings, and the corrected
/// decision if it differs.
fn decided_by(judged: &Judged, are_published: bool) -> Option<String> {
    let adjusted = judged.adjusted?;
    let p = match adjusted.p < 0.001 {
        true => "< 0.001".to_owned(),
        false => human::significant(adjusted.p, 2),
    };
    let word = match adjusted.verdict == judged.verdict {
        true => String::new(),
        false => format!(", {} among all", word(adjusted.verdict, are_published)),
    };
    Some(format!("p (Holm) {p}{word}"))
}

/// What a row omits: the claim's place in the study, the question, the reason for the decision, and
/// the measure.
fn details(judged: &Judged) -> (String, Prose) {
    let kind = format!("{}, {}", judged.kind, judged.test);
    let summary = [one_line(&judged.id), one_line(&judged.place), kind];
    let summary = summary.into_iter().filter(|part| !part.is_empty());
    let escaped = |text: &str| escape_markdown(text);
    let mut parts = Vec::new();
    let published = judged.published.as_ref();
    parts.extend(published.map(|published| format!("Published value: {}.", mark(published.mark))));
    parts.extend(judged.quantity.as_deref().map(|quantity| {
        let unit = match judged.unit.as_str() {
            "" => String::new(),
            unit => format!(", in {}", escaped(unit)),
        };
        format!("Measured: {}{unit}.", inert_line(&one_line(quantity)))
    }));
    parts.extend(judged.expect.as_deref().map(|expect| {
        let margin = judged.margin.map(|margin| {
            let sign = if margin > 0.0 { "+" } else { "" };
            format!("; margin {sign}{}", human::significant(margin, 3))
        });
        format!(
            "Expected: {}{}.",
            escaped(expect),
            margin.unwrap_or_default()
        )
    }));
    parts.extend(reason(judged).map(|reason| format!("Decision: {}.", inert_line(&reason))));
    let intervals = intervals(judged);
    parts.extend((!intervals.is_empty()).then(|| {
        let level = if judged.test == ClaimType::Equivalence {
            90
        } else {
            95
        };
        format!("Intervals ({level} %): {}.", escaped(&intervals))
    }));
    parts.extend(
        judged
            .p
            .map(|p| format!("Largest p {}.", human::significant(p, 2))),
    );
    parts.extend(judged.registered.as_ref().map(ToString::to_string));
    parts.extend(
        judged
            .note
            .as_deref()
            .map(|note| format!("Note: {}", inert_line(note))),
    );
    parts.extend(
        judged
            .measure
            .as_deref()
            .map(|measure| format!("Measure: {}", code(&one_line(measure)))),
    );
    (
        summary.collect::<Vec<_>>().join(" · "),
        prose_line(&parts.join(" ")),
    )
}

/// The reason for the verdict. If the measure decided it, the numbers are already shown, so only
/// their basis remains.
fn reason(judged: &Judged) -> Option<String> {
    let reason = match &judged.reason {
        Reason::Measured { basis, .. } => basis,
        Reason::Stated(reason) => reason,
    };
    Some(one_line(reason)).filter(|reason| !reason.is_empty())
}

/// Half of the widest interval, if any interval tells how much another training would differ.
fn half_width(judged: &Judged) -> Option<f64> {
    judged.interval?;
    let halves = judged
        .intervals
        .iter()
        .map(|one| (one.high - one.low) / 2.0);
    halves.reduce(f64::max)
}

pub(super) fn ours_view(ours: f64, judged: &Judged) -> ValueView {
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

/// The intervals over every source of variation: `seeds 3: 0.1 to 0.2`.
fn intervals(judged: &Judged) -> String {
    let told = judged.intervals.iter().map(|one| {
        let source = match one.source {
            Source::Seeds => "seeds",
            Source::Draws => "draws",
            Source::Pairs => "pairs",
            Source::Documents => "documents",
        };
        let ends = [one.low, one.high].map(|end| human::significant(end, 5));
        format!("{source} {}: {} to {}", one.n, ends[0], ends[1])
    });
    told.collect::<Vec<_>>().join("; ")
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
        "kind",
        "type",
        "quantity",
        "unit",
        "where",
        "published",
        "mark",
        "measure",
        "expected",
        "ours",
        "half-width",
        "intervals",
        "p",
        "adjusted p",
        "adjusted verdict",
        "margin",
        "verdict",
        "registered",
        "reason",
    ]);
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let text = |value: Option<&str>| value.map(one_line).unwrap_or_default();
    for judged in claims {
        let published = judged.published.as_ref();
        let fields = [
            one_line(&judged.id),
            one_line(&judged.says),
            judged.kind.to_string(),
            judged.test.to_string(),
            one_line(judged.quantity.as_deref().unwrap_or_default()),
            one_line(&judged.unit),
            one_line(&judged.place),
            text(published.map(|published| published.value.as_str())),
            text(published.map(|published| mark(published.mark))),
            text(judged.measure.as_deref()),
            text(judged.expect.as_deref()),
            number(judged.ours),
            number(half_width(judged)),
            intervals(judged),
            number(judged.p),
            number(judged.adjusted.map(|adjusted| adjusted.p)),
            judged
                .adjusted
                .map(|adjusted| adjusted.verdict.to_string())
                .unwrap_or_default(),
            number(judged.margin),
            judged.verdict.to_string(),
            judged
                .registered
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            one_line(&judged.reason.to_string()),
        ];
        out.push_str(&csv::line(fields.iter().map(String::as_str)));
    }
    out
}

impl Shown for ClaimsCell {
    fn heading(&self) -> Option<&'static str> {
        Some("Claims")
    }

    fn look_up(&self, scope: &Scope<'_>, _: &Session, line: usize) -> Vec<ReportError> {
        problem(look_up(scope, &self.0, line))
    }

    fn blocks(
        &self,
        builder: &mut Builder<'_, '_>,
        place: &Place<'_>,
    ) -> Result<Vec<Block>, ReportError> {
        builder.claims(place.anchor, &self.0, place.line)
    }
}

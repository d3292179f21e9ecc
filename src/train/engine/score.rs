//! Scores of one target under its logits, in f64 with `libm`; implementations may compute the same numbers faster.

use super::ops::{Element, ScoreTask, Scores};

impl Scores {
    /// Empty scores with the lists required by `task`.
    pub(crate) fn for_task(task: &ScoreTask<'_>) -> Self {
        Self {
            tempered: vec![Vec::new(); task.temperatures.len()],
            ..Self::default()
        }
    }

    /// Appends the scores of later rows.
    pub(crate) fn append(&mut self, other: Self) {
        self.log_likelihood.extend(other.log_likelihood);
        self.rank.extend(other.rank);
        self.confidence.extend(other.confidence);
        self.clipped_linear.extend(other.clipped_linear);
        for (own, more) in self.tempered.iter_mut().zip(other.tempered) {
            own.extend(more);
        }
    }
}

/// `ln Σ_j exp((f_j − max) / τ)`.
fn log_sum<E: Element>(logits: &[E], max: f64, temperature: f64) -> f64 {
    let sum: f64 = logits
        .iter()
        .map(|f| libm::exp((f.widen() - max) / temperature))
        .sum();
    libm::log(sum)
}

/// Appends the scores of one row.
pub(crate) fn score_row<E: Element>(
    logits: &[E],
    target: usize,
    task: &ScoreTask<'_>,
    scores: &mut Scores,
) {
    let own = logits[target].widen();
    let max = logits
        .iter()
        .map(|f| f.widen())
        .fold(f64::NEG_INFINITY, f64::max);
    let before = logits.iter().enumerate().filter(|(class, f)| {
        let f = f.widen();
        f > own || f == own && *class < target
    });
    scores.rank.push(before.count() as u32);
    let norm = log_sum(logits, max, 1.0);
    scores.log_likelihood.push((own - max - norm) as f32);
    scores.confidence.push(libm::exp(-norm) as f32);
    for (list, &temperature) in scores.tempered.iter_mut().zip(task.temperatures) {
        let norm = log_sum(logits, max, temperature);
        list.push(((own - max) / temperature - norm) as f32);
    }
    if let Some(eps) = task.clipped_linear_eps {
        let sum: f64 = logits.iter().map(|f| f.widen().max(eps)).sum();
        scores
            .clipped_linear
            .push(libm::log(own.max(eps) / sum) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_a_row_by_hand() {
        let task = ScoreTask {
            targets: &[],
            mask: &[],
            temperatures: &[2.0],
            clipped_linear_eps: Some(0.5),
        };
        let mut scores = Scores::for_task(&task);
        // Logits ln 1, ln 2, ln 4, ln 2: probabilities 1/9, 2/9, 4/9, 2/9.
        let logits = [1.0f64, 2.0, 4.0, 2.0].map(libm::log);
        score_row(&logits, 3, &task, &mut scores);
        assert!((f64::from(scores.log_likelihood[0]) - libm::log(2.0 / 9.0)).abs() < 1e-6);
        assert_eq!(scores.rank, [2]);
        assert!((scores.confidence[0] - 4.0 / 9.0).abs() < 1e-6);
        let root = 2.0f64.sqrt();
        let tempered = libm::log(root / (3.0 + 2.0 * root));
        assert!((f64::from(scores.tempered[0][0]) - tempered).abs() < 1e-6);
        let ln2 = libm::log(2.0);
        let linear = libm::log(ln2 / (0.5 + 4.0 * ln2));
        assert!((f64::from(scores.clipped_linear[0]) - linear).abs() < 1e-6);
    }
}

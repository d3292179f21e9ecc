//! Unigram models as in SentencePiece: of all ways to cut a text into pieces, takes the one with the best total score.

use super::{Kind, SentencePiece};

/// Score of an unknown character below that of the worst piece.
const UNKNOWN_PENALTY: f32 = 10.0;

/// The range of the scores of normal pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scores {
    least: f32,
    most: f32,
}

impl Scores {
    pub(super) fn of(pieces: &[(String, f32, Kind)]) -> Self {
        let normal = pieces.iter().filter(|(_, _, kind)| *kind == Kind::Normal);
        let start = Self {
            least: f32::MAX,
            most: f32::MIN_POSITIVE,
        };
        normal.fold(start, |range, (_, score, _)| Self {
            least: range.least.min(*score),
            most: range.most.max(*score),
        })
    }
}

/// The best path to a position in the text.
#[derive(Clone, Copy, Default)]
struct Best {
    /// Start of its last piece.
    from: Option<usize>,
    score: f32,
}

impl SentencePiece {
    /// Pieces of a normalized text.
    pub(super) fn unigram(&self, text: &str, mut take: impl FnMut(&str)) {
        let mut best = vec![Best::default(); text.len() + 1];
        // Sums are 32-bit: of two paths with equal sums, the first wins.
        let offer = |target: &mut Best, from: usize, score: f32| {
            if target.from.is_none() || score > target.score {
                *target = Best {
                    from: Some(from),
                    score,
                };
            }
        };
        for (start, first) in text.char_indices() {
            let so_far = best[start].score;
            let mut has_single = false;
            let ends = text[start..]
                .char_indices()
                .map(|(at, c)| at + c.len_utf8());
            for length in ends.take_while(|length| *length <= self.longest) {
                let piece = &text[start..start + length];
                let Some(id) = self.ids.get(piece) else {
                    continue;
                };
                let (_, score, kind) = &self.data.pieces[*id as usize];
                let score = match kind {
                    Kind::Unused => continue,
                    Kind::UserDefined => length as f32 * self.scores.most - 0.1,
                    Kind::Normal | Kind::Unknown | Kind::Control | Kind::Byte => *score,
                };
                offer(&mut best[start + length], start, score + so_far);
                has_single |= length == first.len_utf8();
            }
            if !has_single {
                let score = self.scores.least - UNKNOWN_PENALTY;
                offer(&mut best[start + first.len_utf8()], start, score + so_far);
            }
        }
        let (mut pieces, mut end) = (Vec::new(), text.len());
        while let Some(start) = best[end].from {
            pieces.push(&text[start..end]);
            end = start;
        }
        pieces.into_iter().rev().for_each(&mut take);
    }
}

//! Byte-pair encoding as in SentencePiece: of all neighbours that form a piece, those with the best score are merged
//! first, and of equal scores the leftmost.

use super::{Kind, SentencePiece};
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

/// A span of text, linked with its neighbours; empty once merged.
struct Symbol {
    start: usize,
    end: usize,
    before: Option<usize>,
    after: Option<usize>,
    /// Whether it is a user-defined piece.
    is_fixed: bool,
}

#[derive(PartialEq)]
struct Candidate {
    score: f32,
    left: usize,
    right: usize,
    length: usize,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The state of one encoding.
struct Merger<'a> {
    model: &'a SentencePiece,
    text: &'a str,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Candidate>,
    /// The parts of unused pieces, which are split again.
    apart: HashMap<&'a str, (&'a str, &'a str)>,
}

impl SentencePiece {
    /// Pieces of a normalized text.
    pub(super) fn bpe(&self, text: &str, mut take: impl FnMut(&str)) {
        let mut merger = Merger {
            model: self,
            text,
            symbols: Vec::new(),
            queue: BinaryHeap::new(),
            apart: HashMap::new(),
        };
        merger.cut();
        merger.merge();
        for symbol in merger
            .symbols
            .iter()
            .filter(|symbol| symbol.end > symbol.start)
        {
            merger.give(&text[symbol.start..symbol.end], &mut take);
        }
    }
}

impl<'a> Merger<'a> {
    /// Cuts the text into user-defined pieces and characters.
    fn cut(&mut self) {
        let mut start = 0;
        while start < self.text.len() {
            let rest = &self.text[start..];
            let fixed = self.model.user_defined(rest);
            let length = fixed
                .or(rest.chars().next().map(char::len_utf8))
                .unwrap_or(1);
            let number = self.symbols.len();
            let last = start + length == self.text.len();
            self.symbols.push(Symbol {
                start,
                end: start + length,
                before: number.checked_sub(1),
                after: (!last).then_some(number + 1),
                is_fixed: fixed.is_some(),
            });
            start += length;
        }
    }

    fn consider(&mut self, left: Option<usize>, right: Option<usize>) {
        let (Some(left), Some(right)) = (left, right) else {
            return;
        };
        let (a, b) = (&self.symbols[left], &self.symbols[right]);
        if a.is_fixed || b.is_fixed {
            return;
        }
        let piece = &self.text[a.start..b.end];
        if piece.len() > self.model.longest {
            return;
        }
        let Some(id) = self.model.ids.get(piece) else {
            return;
        };
        let (_, score, kind) = &self.model.data.pieces[*id as usize];
        if *kind == Kind::Unused {
            self.apart.insert(
                piece,
                (&self.text[a.start..a.end], &self.text[b.start..b.end]),
            );
        }
        self.queue.push(Candidate {
            score: *score,
            left,
            right,
            length: piece.len(),
        });
    }

    fn merge(&mut self) {
        for right in 1..self.symbols.len() {
            self.consider(Some(right - 1), Some(right));
        }
        while let Some(Candidate {
            left,
            right,
            length,
            ..
        }) = self.queue.pop()
        {
            let (a, b) = (&self.symbols[left], &self.symbols[right]);
            // One of the two has since been merged with another.
            if a.end == a.start || b.end == b.start || b.end - a.start != length || a.end != b.start
            {
                continue;
            }
            let (end, after) = (b.end, b.after);
            self.symbols[right].end = self.symbols[right].start;
            self.symbols[left].end = end;
            self.symbols[left].after = after;
            if let Some(after) = after {
                self.symbols[after].before = Some(left);
            }
            self.consider(self.symbols[left].before, Some(left));
            self.consider(Some(left), after);
        }
    }

    fn give(&self, piece: &str, take: &mut impl FnMut(&str)) {
        let mut pending = vec![piece];
        while let Some(piece) = pending.pop() {
            match self.apart.get(piece) {
                Some((left, right)) => pending.extend([right, left]),
                None => take(piece),
            }
        }
    }
}

//! Which runs a task trains.

/// A run that is to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece<T> {
    /// Which.
    pub run: T,
    /// How long it is estimated to take; `None` where nothing was measured.
    pub seconds: Option<f64>,
}

/// Puts runs into chunks of at least `least` seconds, the longest first: what is begun last is short, so that tasks end together. Runs whose
/// time is not known get a chunk each.
pub fn chunks<T: Copy>(pieces: &[Piece<T>], least: f64) -> Vec<Vec<Piece<T>>> {
    let mut sorted: Vec<&Piece<T>> = pieces.iter().collect();
    let length = |piece: &Piece<T>| piece.seconds.unwrap_or(f64::INFINITY);
    // Stable: equal ones stay in the plan's order.
    sorted.sort_by(|a, b| length(b).total_cmp(&length(a)));
    let mut chunks: Vec<Vec<Piece<T>>> = Vec::new();
    let mut filled = f64::INFINITY;
    for piece in sorted {
        if filled >= least || chunks.is_empty() {
            chunks.push(Vec::new());
            filled = 0.0;
        }
        filled += length(piece);
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(*piece);
        }
    }
    chunks
}

//! Divides runs among tasks.

/// A run to be trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece<T> {
    /// The run.
    pub run: T,
    /// Estimated duration; `None` without a measurement.
    pub seconds: Option<f64>,
}

/// Groups runs into chunks of at least `least` seconds, longest first: the last ones started are short, so that tasks
/// end together. Runs of unknown duration get a chunk each.
pub fn chunks<T: Copy>(pieces: &[Piece<T>], least: f64) -> Vec<Vec<Piece<T>>> {
    let mut sorted: Vec<&Piece<T>> = pieces.iter().collect();
    let length = |piece: &Piece<T>| piece.seconds.unwrap_or(f64::INFINITY);
    // Stable: equal runs stay in plan order.
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

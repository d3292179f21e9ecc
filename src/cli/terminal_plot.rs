//! A curve in the terminal, drawn with braille dots.

/// Width and height in characters.
const WIDTH: usize = 72;
const HEIGHT: usize = 16;

/// Draws `points` (x, y) in order of rising x; `None` if fewer than two of them are finite.
pub(crate) fn curve(points: &[(f64, f64)]) -> Option<String> {
    let points: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let (first, last) = (points.first()?, points.last()?);
    let (low, high) = points
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, y)| {
            (low.min(*y), high.max(*y))
        });
    if points.len() < 2 || last.0 <= first.0 {
        return None;
    }
    let span = if high > low { high - low } else { 1.0 };
    let column =
        |x: f64| (((x - first.0) / (last.0 - first.0)) * (WIDTH * 2 - 1) as f64).round() as usize;
    let row = |y: f64| (((high - y) / span) * (HEIGHT * 4 - 1) as f64).round() as usize;
    let mut dots = vec![[0u8; WIDTH]; HEIGHT];
    let mut set = |column: usize, row: usize| {
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        dots[row / 4][column / 2] |= BITS[column % 2][row % 4];
    };
    for pair in points.windows(2) {
        let (from, to) = (column(pair[0].0), column(pair[1].0));
        for at in from..=to {
            let share = if to > from {
                (at - from) as f64 / (to - from) as f64
            } else {
                1.0
            };
            set(at, row(pair[0].1 + share * (pair[1].1 - pair[0].1)));
        }
    }
    let label = |index: usize| match index {
        0 => format!("{high:9.3}"),
        index if index == HEIGHT - 1 => format!("{low:9.3}"),
        _ => " ".repeat(9),
    };
    let lines: Vec<String> = dots
        .iter()
        .enumerate()
        .map(|(index, line)| {
            let drawn: String = line
                .iter()
                .map(|bits| char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' '))
                .collect();
            format!("{} ┤{drawn}", label(index))
        })
        .collect();
    let axis = format!("{} └{}", " ".repeat(9), "─".repeat(WIDTH));
    let ends = format!("{:>12}{:>width$}", first.0, last.0, width = WIDTH - 1);
    Some(format!("{}\n{axis}\n{ends}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::curve;

    #[test]
    fn a_falling_line_falls() {
        let drawn = curve(&[(0.0, 4.0), (100.0, 1.0)]).unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        let first_dot = |line: &str| line.chars().skip(11).position(|c| c != '\u{2800}').unwrap();
        assert!(
            first_dot(lines[0]) < first_dot(lines[8]) && first_dot(lines[8]) < first_dot(lines[15]),
            "{drawn}"
        );
        assert!(
            lines[0].contains("4.000") && lines[15].contains("1.000"),
            "{drawn}"
        );
    }

    #[test]
    fn nothing_is_drawn_from_nothing() {
        assert_eq!(curve(&[]), None);
        assert_eq!(curve(&[(1.0, f64::NAN), (2.0, 1.0)]), None);
    }
}

//! Formulas: LaTeX converted to MathML, which browsers render themselves.

use super::text::escape;
use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser, Storage, push_mathml};

/// Maximum length of a formula, in bytes.
const LONGEST: usize = 4_000;

/// A formula as MathML with its source as an annotation, or its source as text if it cannot be
/// parsed.
pub(crate) fn mathml(latex: &str, is_block: bool) -> String {
    let as_written = || {
        let fence = if is_block { "$$" } else { "$" };
        escape(&format!("{fence}{latex}{fence}"))
    };
    if latex.len() > LONGEST {
        return as_written();
    }
    let storage = Storage::new();
    if Parser::new(latex, &storage).any(|event| event.is_err()) {
        return as_written();
    }
    let config = RenderConfig {
        display_mode: if is_block {
            DisplayMode::Block
        } else {
            DisplayMode::Inline
        },
        ..RenderConfig::default()
    };
    let mut out = String::new();
    match push_mathml(&mut out, Parser::new(latex, &storage), config) {
        // A formula wider than the page scrolls in its own box.
        Ok(()) if is_block => format!("<span class=\"scroll formula\">{out}</span>"),
        Ok(()) => out,
        Err(_) => as_written(),
    }
}

#[cfg(test)]
mod tests {
    use super::mathml;

    #[test]
    fn formulas_become_mathml() {
        let html = mathml(r"\frac{a*b}{\sqrt{d_k}}", false);
        assert!(
            html.starts_with("<math") && html.contains("<mfrac>") && html.contains("<msqrt>"),
            "{html}"
        );
        let block = mathml(
            "\\begin{aligned}\ny &= W_1*x \\\\\nz &= d\n\\end{aligned}",
            true,
        );
        assert!(
            block.starts_with("<span class=\"scroll formula\"><math display=\"block\"")
                && block.contains("<mtable"),
            "{block}"
        );
    }

    #[test]
    fn what_is_no_formula_stays_as_written() {
        assert_eq!(mathml(r"\frac{1", false), r"$\frac{1$");
        assert_eq!(mathml("<script>", false).matches("<script").count(), 0);
        let text = mathml(r"\text{<img src=x>}", false);
        assert!(!text.contains("<img"), "{text}");
    }
}

//! Counting tokens: the budget's unit.

/// Counts the tokens of a text as the loaded model would. The daemon adapts its tokenizer;
/// [`Estimate`] stands in while no model is loaded.
pub trait TokenCounter: Send + Sync {
    /// Tokens of `text`, special tokens not recognized in it.
    fn count(&self, text: &str) -> usize;
}

/// About one token every 3.2 bytes, which is what byte-pair vocabularies of 32-50 thousand entries
/// need for Rust and Python source; rounded up, so that a budget is kept rather than exceeded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate;

impl TokenCounter for Estimate {
    fn count(&self, text: &str) -> usize {
        (text.len() * 10).div_ceil(32)
    }
}

/// The longest tail of `text` that starts at a line start and fits `budget`; falls back to a cut
/// inside the last line when not even that line fits. Lines are counted one by one, each once.
pub fn tail_within<'t>(text: &'t str, budget: usize, counter: &dyn TokenCounter) -> &'t str {
    let (mut start, mut left) = (text.len(), budget);
    for line in text.split_inclusive('\n').rev() {
        let n_tokens = counter.count(line);
        if n_tokens > left {
            break;
        }
        left -= n_tokens;
        start -= line.len();
    }
    if start < text.len() || budget == 0 {
        return &text[start..];
    }
    // One long line: drop its head in steps until the rest fits.
    let mut cut = text.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
    while cut < text.len() && counter.count(&text[cut..]) > budget {
        cut += ((text.len() - cut) / 4).max(1);
        while !text.is_char_boundary(cut) {
            cut += 1;
        }
    }
    &text[cut..]
}

/// The longest head of `text` that ends at a line end and fits `budget`; empty if the first line
/// alone does not fit.
pub(crate) fn head_within<'t>(text: &'t str, budget: usize, counter: &dyn TokenCounter) -> &'t str {
    let (mut end, mut left) = (0, budget);
    for line in text.split_inclusive('\n') {
        let n_tokens = counter.count(line);
        if n_tokens > left {
            break;
        }
        left -= n_tokens;
        end += line.len();
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Words;
    impl TokenCounter for Words {
        fn count(&self, text: &str) -> usize {
            text.split_whitespace().count()
        }
    }

    #[test]
    fn windows_are_cut_at_lines_and_fit() {
        let text = "a b c\nd e\nf g\n";
        assert_eq!(tail_within(text, 4, &Words), "d e\nf g\n");
        assert_eq!(tail_within(text, 3, &Words), "f g\n");
        assert_eq!(head_within(text, 5, &Words), "a b c\nd e\n");
        assert_eq!(head_within(text, 2, &Words), "");
        assert_eq!(tail_within(text, 100, &Words), text);
    }

    #[test]
    fn a_single_long_line_keeps_its_end() {
        let line = "x".repeat(1_000);
        let tail = tail_within(&line, 50, &Estimate);
        assert!(!tail.is_empty() && Estimate.count(tail) <= 50, "{} bytes", tail.len());
    }
}

//! The two sides of the cursor in a prompt: a client writes them with the marks of the model it thinks
//! it talks to. Ours is another one, so the marks are taken off again.

/// What the editor sent of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) prefix: String,
    pub(super) suffix: String,
}

/// Marks before the prefix, between both, and behind the suffix.
const FORMATS: [(&str, &str, &str); 6] = [
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    ("<PRE> ", " <SUF>", " <MID>"),
    ("<PRE>", "<SUF>", "<MID>"),
];

/// Takes a prompt apart. One without marks is all prefix, with `suffix` as its other side.
pub(super) fn excerpt(prompt: &str, suffix: Option<&str>) -> Excerpt {
    let of = |prefix: &str, suffix: &str| {
        let text = |side: &str| side.replace("\r\n", "\n");
        Excerpt { prefix: text(prefix), suffix: text(suffix) }
    };
    for (begin, hole, end) in FORMATS {
        // Marks can stand in the file itself: the outermost count.
        if let Some(rest) = prompt.trim_start().strip_prefix(begin)
            && let Some(rest) = rest.trim_end().strip_suffix(end)
            && let Some((prefix, suffix)) = rest.split_once(hole)
        {
            return of(prefix, suffix);
        }
    }
    if let Some(rest) = prompt.strip_prefix("[SUFFIX]")
        && let Some((suffix, prefix)) = rest.rsplit_once("[PREFIX]")
    {
        return of(prefix, suffix);
    }
    of(prompt, suffix.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_every_known_model_are_taken_off() {
        let wanted = Excerpt { prefix: "a = ".to_owned(), suffix: "\nb\n".to_owned() };
        for (begin, hole, end) in FORMATS {
            assert_eq!(excerpt(&format!("{begin}a = {hole}\nb\n{end}"), None), wanted);
        }
        assert_eq!(excerpt("[SUFFIX]\nb\n[PREFIX]a = ", None), wanted);
        assert_eq!(excerpt("a = ", Some("\r\nb\n")), wanted);
        // Marks that are not in order are text.
        let text = "x <fim_suffix> y";
        assert_eq!(excerpt(text, None).prefix, text);
    }
}

//! Makes identifiers readable for a tokenizer that was trained on prose.

/// `text` with a space where an identifier's case changes (`HTTPServer` becomes `HTTP Server`) and in
/// place of underscores. Lower-casing tokenizers would make one unknown word of `parseRequest`.
pub(super) fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + text.len() / 8);
    let mut chars = text.chars().peekable();
    let mut previous = ' ';
    while let Some(char) = chars.next() {
        let next_is_lower = chars.peek().is_some_and(|next| next.is_lowercase());
        let starts_word = char.is_uppercase()
            && (previous.is_lowercase() || previous.is_uppercase() && next_is_lower);
        if starts_word {
            spaced.push(' ');
        }
        spaced.push(if char == '_' { ' ' } else { char });
        previous = char;
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::spaced;

    #[test]
    fn identifiers_become_words() {
        assert_eq!(spaced("parseHTTPRequest_v2(x)"), "parse HTTP Request v2(x)");
        assert_eq!(spaced("HTTPServer URL Ünïcode"), "HTTP Server URL Ünïcode");
        assert_eq!(spaced(""), "");
    }
}

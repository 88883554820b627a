//! The static model's tokenizer: identifier parts, lower case. The training program splits the same
//! way; a change here needs a newly trained table.

/// Longest part that is a word; longer runs are encoded data, not names.
const MAX_BYTES: usize = 24;

/// Calls `each` with every part of every identifier of `text`: ASCII letters only, split where the
/// case changes (`HTTPServer_v2` gives `http`, `server`); parts of one letter are left out.
pub(super) fn for_each(text: &str, mut each: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut lower = [0; MAX_BYTES];
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphabetic() {
            at += 1;
            continue;
        }
        let start = at;
        at += 1;
        if bytes[start].is_ascii_uppercase() {
            while at < bytes.len() && bytes[at].is_ascii_uppercase() {
                at += 1;
            }
            let next_is_lower = bytes.get(at).is_some_and(u8::is_ascii_lowercase);
            if next_is_lower && at - start > 1 {
                // The last capital begins the next part: `HTTPServer`.
                at -= 1;
            } else if next_is_lower {
                while at < bytes.len() && bytes[at].is_ascii_lowercase() {
                    at += 1;
                }
            }
        } else {
            while at < bytes.len() && bytes[at].is_ascii_lowercase() {
                at += 1;
            }
        }
        let part = &bytes[start..at];
        if (2..=MAX_BYTES).contains(&part.len()) {
            let lower = &mut lower[..part.len()];
            lower.copy_from_slice(part);
            lower.make_ascii_lowercase();
            each(std::str::from_utf8(lower).expect("ASCII letters"));
        }
    }
}

#[cfg(test)]
mod tests {
    fn split(text: &str) -> Vec<String> {
        let mut parts = Vec::new();
        super::for_each(text, |part| parts.push(part.to_owned()));
        parts
    }

    #[test]
    fn identifiers_are_split_at_case_and_punctuation() {
        assert_eq!(split("parseHTTPRequest_v2(x)"), ["parse", "http", "request"]);
        assert_eq!(split("HashMap<String, u32> URL"), ["hash", "map", "string", "url"]);
        assert_eq!(split("é snake_case"), ["snake", "case"]);
        assert_eq!(split(&"a".repeat(40)), Vec::<String>::new());
    }
}

//! Decides where generated text ends, and how much of it is final.

use crate::{Finish, Stop};

/// Where `text` must be cut, if a stop rule matches.
///
/// A line break counts only after visible text: a completion may begin with blank lines.
pub(crate) fn find(text: &[u8], stop: &Stop) -> Option<(usize, Finish)> {
    let newline = || {
        let visible = text.iter().position(|b| !b.is_ascii_whitespace())?;
        let at = text[visible..].iter().position(|&b| b == b'\n')? + visible;
        // A Windows line break is one unit.
        let at = if text[..at].ends_with(b"\r") { at - 1 } else { at };
        Some((at, Finish::Newline))
    };
    let strings = stop.strings.iter().filter(|s| !s.is_empty()).filter_map(|string| {
        let at = text.windows(string.len()).position(|window| window == string.as_bytes())?;
        Some((at, Finish::StopString))
    });
    let newline = if stop.at_newline { newline() } else { None };
    newline.into_iter().chain(strings).min_by_key(|(at, _)| *at)
}

/// Length of the prefix of `text` that no later token can cut away, at a character boundary.
pub(crate) fn settled(text: &[u8], stop: &Stop) -> usize {
    let longest = stop.strings.iter().map(String::len).max().unwrap_or(0);
    let mut len = text.len() - longest.saturating_sub(1).min(text.len());
    if stop.at_newline && text[..len].ends_with(b"\r") {
        len -= 1;
    }
    whole_characters(&text[..len])
}

/// Length of `text` without an incomplete UTF-8 character at its end.
pub(crate) fn whole_characters(text: &[u8]) -> usize {
    for n in 1..=text.len().min(3) {
        let byte = text[text.len() - n];
        let needed = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        return if needed > n { text.len() - n } else { text.len() };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, at_newline: bool, strings: &[&str], expected: Option<(&str, Finish)>) {
        let stop = Stop {
            at_newline,
            strings: strings.iter().map(|s| (*s).to_owned()).collect(),
            min_probability: None,
        };
        let found = find(text.as_bytes(), &stop).map(|(at, finish)| (&text[..at], finish));
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn line_breaks() {
        check("\n  a\nb", true, &[], Some(("\n  a", Finish::Newline)));
        check("a\r\nb", true, &[], Some(("a", Finish::Newline)));
        check("\n\n", true, &[], None);
        check("a\nb", false, &[], None);
    }

    #[test]
    fn the_earliest_rule_wins() {
        check("foo); bar", true, &[";", ")"], Some(("foo", Finish::StopString)));
        check("foo\n;", true, &[";"], Some(("foo", Finish::Newline)));
        check("foo", true, &[""], None);
    }

    #[test]
    fn settled_text_holds_back_what_may_become_a_stop_or_a_character() {
        let stop = Stop { strings: vec!["END".to_owned()], ..Stop::default() };
        assert_eq!(settled(b"abEN", &stop), 2);
        assert_eq!(settled("aé".as_bytes(), &Stop::default()), 3);
        assert_eq!(settled(&"aé".as_bytes()[..2], &Stop::default()), 1);
        assert_eq!(settled(b"a\xff\xffb", &Stop::default()), 4);
        assert_eq!(settled(b"\x80\x80\x80\x80", &Stop::default()), 4);
    }
}

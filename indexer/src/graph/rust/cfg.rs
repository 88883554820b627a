//! `#[cfg(..)]`: which alternatives an ordinary build on this kind of machine has.

/// True if `condition` holds in a debug build for tests, on Linux, with `features`. What is unknown
/// does not hold.
pub(crate) fn holds(condition: &str, features: &[String]) -> bool {
    let mut parser = Parser { rest: condition, depth: 0 };
    parser.condition(features)
}

/// Conditions nest no deeper.
const MAX_DEPTH: u32 = 16;

struct Parser<'a> {
    rest: &'a str,
    depth: u32,
}

impl Parser<'_> {
    fn condition(&mut self, features: &[String]) -> bool {
        let word = self.word();
        if self.depth > MAX_DEPTH {
            return false;
        }
        if self.eat('(') {
            self.depth += 1;
            let mut parts = Vec::new();
            while !self.rest.trim_start().is_empty() && !self.eat(')') {
                let before = self.rest.len();
                parts.push(self.condition(features));
                self.eat(',');
                if self.rest.len() == before {
                    break;
                }
            }
            self.depth -= 1;
            return match word.as_str() {
                "all" => parts.iter().all(|part| *part),
                "any" => parts.iter().any(|part| *part),
                "not" => parts.first().is_some_and(|part| !part),
                _ => false,
            };
        }
        if self.eat('=') {
            let value = self.string();
            return match word.as_str() {
                "feature" => features.contains(&value),
                "target_os" => value == "linux",
                "target_family" => value == "unix",
                "target_pointer_width" => value == "64",
                "target_has_atomic" => true,
                "panic" => value == "unwind",
                _ => false,
            };
        }
        matches!(word.as_str(), "unix" | "test" | "debug_assertions")
    }

    fn word(&mut self) -> String {
        let text = self.rest.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        self.rest = &text[end..];
        text[..end].to_owned()
    }

    fn string(&mut self) -> String {
        let text = self.rest.trim_start();
        let inner = text.strip_prefix('"').unwrap_or(text);
        let end = inner.find('"').unwrap_or(inner.len());
        self.rest = inner.get(end + 1..).unwrap_or("");
        inner[..end].to_owned()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.rest.trim_start().strip_prefix(wanted);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn conditions_are_evaluated() {
        let features = ["std".to_owned()];
        for (condition, expected) in [
            ("feature = \"std\"", true),
            ("not(feature = \"std\")", false),
            ("all(unix, not(any(feature = \"x\", loom)))", true),
            ("any(windows, target_os = \"macos\",)", false),
            ("all()", true),
            ("not", false),
            ("not(", false),
            ("((((", false),
        ] {
            assert_eq!(holds(condition, &features), expected, "{condition}");
        }
    }
}

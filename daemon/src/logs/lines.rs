//! One message is one line, whatever stands in the names it tells of.

use std::io::{self, Write};

use fovea_api::clean_name_into;

/// Writes each message, which the subscriber hands over whole and with a line feed behind it, as one
/// line in which nothing acts on a terminal.
pub(super) struct OneLine<W>(pub(super) W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let message = String::from_utf8_lossy(bytes);
        let mut line = String::with_capacity(message.len() + 1);
        clean_name_into(&mut line, message.strip_suffix('\n').unwrap_or(&message));
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_name_neither_makes_a_line_nor_colors_one() {
        let shared = Shared::default();
        let writer = shared.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(move || OneLine(writer.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let root = "a\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[31mred\u{202e}";
            tracing::info!(root, path = %root, "opened {root}");
            tracing::info!("next");
        });
        let text = String::from_utf8(shared.0.lock().expect("not poisoned").clone());
        let text = text.expect("UTF-8");
        assert_eq!(text.lines().count(), 2, "{text}");
        let acts = |c: char| c != '\n' && fovea_api::is_hidden(c);
        assert!(!text.contains(acts), "{text:?}");
        assert!(text.contains(r"opened a\n2026-01-01T00:00:00Z ERROR forged\r"), "{text}");
    }
}

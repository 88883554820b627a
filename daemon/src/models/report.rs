//! How a pull tells what it does: one line before anything is fetched, then progress.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What a pull is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Fetching,
    Checking,
}

/// Receives what a pull does. Byte counts are those of the stage.
pub trait Report {
    /// Once, before the first byte: what will be fetched and how large it is.
    fn announce(&mut self, line: &str);
    /// `n_bytes` may pass `n_total` a little: what pip has written is an estimate.
    fn progress(&mut self, stage: Stage, n_bytes: u64, n_total: u64);
    /// The stages are over, well or badly.
    fn done(&mut self) {}
}

/// Says nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Report for Silent {
    fn announce(&mut self, _line: &str) {}
    fn progress(&mut self, _stage: Stage, _n_bytes: u64, _n_total: u64) {}
}

/// Lines and a progress bar on stderr; only the lines where stderr is not a terminal.
#[derive(Debug, Default)]
pub struct Terminal {
    bar: Option<(Stage, ProgressBar)>,
}

impl Report for Terminal {
    fn announce(&mut self, line: &str) {
        eprintln!("{line}");
    }

    fn progress(&mut self, stage: Stage, n_bytes: u64, n_total: u64) {
        if self.bar.as_ref().is_none_or(|(shown, _)| *shown != stage) {
            self.done();
            let target = if std::io::stderr().is_terminal() {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            };
            let bar = ProgressBar::with_draw_target(Some(n_total), target);
            let style = ProgressStyle::with_template(
                "{msg:9} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            )
            .expect("the template is a constant");
            bar.set_style(style.progress_chars("=> "));
            bar.set_message(match stage {
                Stage::Fetching => "fetching",
                Stage::Checking => "checking",
            });
            bar.enable_steady_tick(Duration::from_millis(200));
            self.bar = Some((stage, bar));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position(n_bytes.min(n_total));
        }
    }

    fn done(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.done();
    }
}

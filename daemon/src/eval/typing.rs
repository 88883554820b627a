//! A cursor that is reached by typing: each plan builds upon the one before, as in an editor. Tells how
//! much of a prompt stays from one keystroke to the next, and what a plan costs then.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use fovea_context::{Plan, PlanRequest, plan, render};
use serde::Serialize;

use super::{
    Options,
    completer::{self, Completer},
    protocol::Point,
    workspace::Workspace,
};

/// Lines typed in front of the cursor's own.
const LINES_ABOVE: usize = 2;
/// Characters of one step: fast typing between two questions.
const STEP: usize = 3;

/// One plan on the way to the cursor.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Keystroke {
    pub context_ms: f64,
    /// Bytes of the prompt before, and how many of them, from its beginning, are in this one as well.
    pub n_before: usize,
    pub n_unchanged: usize,
    /// The keystroke began a new line.
    pub is_new_line: bool,
}

/// Types the lines that lead to `point` and returns the last plan and all keystrokes but the last.
///
/// # Errors
/// If the workspace cannot take the text.
pub(super) fn type_up_to(
    workspace: &mut Workspace,
    point: &Point,
    options: &Options,
    completer: &dyn Completer,
) -> Result<(Option<Arc<Plan>>, Vec<Keystroke>)> {
    let format = completer.format().unwrap_or(options.format());
    let cursor = point.offset();
    let (front, behind) = point.text.split_at(cursor);
    let start = front.rmatch_indices('\n').nth(LINES_ABOVE).map_or(0, |(at, _)| at + 1);
    let ends: Vec<usize> = front[start..].char_indices().map(|(at, _)| start + at).collect();
    let mut before: Option<(Arc<Plan>, String)> = None;
    let mut keystrokes = Vec::new();
    let mut last_end = start;
    for end in ends.into_iter().step_by(STEP) {
        let text = format!("{}{behind}", &front[..end]);
        workspace.edited(&point.file, text.as_str().into())?;
        let line = front[..end].rsplit('\n').next().unwrap_or("");
        let typed = Point {
            line: front[..end].matches('\n').count() as u32 + 1,
            col: line.chars().count() as u32,
            byte: None,
            text,
            ..point.clone()
        };
        let started = Instant::now();
        let request = completer::request(&typed, options, format, &workspace.name, started);
        let previous = before.as_ref().map(|(plan, _)| Arc::clone(plan));
        let request = PlanRequest { previous, ..request };
        let plan = Arc::new(plan(workspace.snapshot(), completer.counter(), &request));
        let prompt = render(&plan, format).text();
        let context_ms = millis(started.elapsed());
        if let Some((_, older)) = &before {
            let same = older.bytes().zip(prompt.bytes()).take_while(|(a, b)| a == b).count();
            keystrokes.push(Keystroke {
                context_ms,
                n_before: older.len(),
                n_unchanged: same,
                is_new_line: front[last_end..end].contains('\n'),
            });
        }
        before = Some((plan, prompt));
        last_end = end;
    }
    Ok((before.map(|(plan, _)| plan), keystrokes))
}

fn millis(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1_000.0
}

/// What keystrokes had in common with the ones before, and what their plans cost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Typed {
    pub n_keystrokes: usize,
    /// Bytes that stayed, in percent of the prompts before: of all keystrokes, and of those that
    /// stay on their line.
    pub unchanged: f64,
    pub unchanged_on_line: f64,
    pub context_ms: (f64, f64),
}

impl Typed {
    /// Of all `keystrokes`; `None` without any.
    #[must_use]
    pub fn of(keystrokes: &[Keystroke]) -> Option<Self> {
        if keystrokes.is_empty() {
            return None;
        }
        let unchanged = |wanted: &dyn Fn(&Keystroke) -> bool| {
            let (mut same, mut all) = (0, 0);
            for keystroke in keystrokes.iter().filter(|keystroke| wanted(keystroke)) {
                same += keystroke.n_unchanged;
                all += keystroke.n_before;
            }
            100.0 * same as f64 / all.max(1) as f64
        };
        let mut times: Vec<f64> = keystrokes.iter().map(|k| k.context_ms).collect();
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
        Some(Self {
            n_keystrokes: keystrokes.len(),
            unchanged: unchanged(&|_| true),
            unchanged_on_line: unchanged(&|keystroke| !keystroke.is_new_line),
            context_ms: (at(50), at(95)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_bytes_before() {
        let keystroke = |n_unchanged, is_new_line| Keystroke {
            context_ms: 1.0,
            n_before: 100,
            n_unchanged,
            is_new_line,
        };
        let typed = Typed::of(&[keystroke(98, false), keystroke(50, true)]).expect("keystrokes");
        assert_eq!((typed.unchanged, typed.unchanged_on_line), (74.0, 98.0));
        assert!(Typed::of(&[]).is_none());
    }
}

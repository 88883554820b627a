//! Stopping long queries without a clock: the caller decides what "too late" means.

use std::{fmt, sync::Arc};

/// Asked between files, between snippets and between decoded tokens. Cheap to clone.
#[derive(Clone, Default)]
pub struct Cancel(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Cancel {
    /// Never stops.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// Stops as soon as `stop` answers true (a deadline, a flag, a closed connection).
    pub fn when(stop: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(stop)))
    }

    /// True if the work should end now with what it has.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(|stop| stop())
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

//! Splits loops over threads.
//!
//! The caller works too, and at the end waits only for pieces that a helper has really started: a
//! helper that the system has not scheduled costs nothing. That matters on a developer's machine,
//! where a compiler usually keeps the cores busy. Helpers park soon after the last loop, so an idle
//! model uses no processor time.

use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};

/// Rounds of spinning before a helper parks: longer than the gap between two loops of one forward
/// pass, far shorter than anything a fan would notice.
const SPIN: u32 = 4_000;
/// Pieces a thread: enough to even out threads that are scheduled late.
const PIECES: usize = 6;

type Body = dyn Fn(Range<usize>) + Sync;

/// A fixed set of helper threads beside the calling one.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<Helper>,
    /// One loop at a time.
    running: Mutex<()>,
}

struct Helper {
    thread: Thread,
    join: Option<JoinHandle<()>>,
}

struct Shared {
    /// Valid while pieces of the current loop are unclaimed or claimed but not done.
    body: UnsafeCell<Option<*const Body>>,
    n_pieces: AtomicUsize,
    piece_len: AtomicUsize,
    /// Loop number in the upper half, number of unclaimed pieces in the lower. One word decides a claim:
    /// a helper that wakes up late finds another number or nothing left, whatever the fields of a
    /// loop that is being set up say.
    unclaimed: AtomicU64,
    n_done: AtomicUsize,
    panicked: AtomicBool,
    epoch: AtomicU64,
    parked: Vec<AtomicBool>,
    stop: AtomicBool,
}

// SAFETY: `body` is written only by the thread that holds `Pool::running`, while `unclaimed` has
// none left; it is read only after a successful claim, which happens after that write (release
// store and acquire compare-exchange on `unclaimed`). The pointee is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the raw pointer itself carries no thread affinity.
unsafe impl Send for Shared {}

impl Pool {
    /// `n_threads` includes the caller's; 0 counts as 1.
    pub(crate) fn new(n_threads: usize) -> Self {
        let n_helpers = n_threads.saturating_sub(1);
        let shared = Arc::new(Shared {
            body: UnsafeCell::new(None),
            n_pieces: AtomicUsize::new(0),
            piece_len: AtomicUsize::new(1),
            unclaimed: AtomicU64::new(0),
            n_done: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            parked: (0..n_helpers).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
        });
        let helpers = (0..n_helpers)
            .filter_map(|index| {
                let shared = Arc::clone(&shared);
                // A machine that refuses another thread still gets its answer, only later.
                let join = std::thread::Builder::new()
                    .name(format!("model-{index}"))
                    .spawn(move || shared.help(index))
                    .ok()?;
                Some(Helper { thread: join.thread().clone(), join: Some(join) })
            })
            .collect();
        Pool { shared, helpers, running: Mutex::new(()) }
    }

    pub(crate) fn n_threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `body` with ranges that cover `0..n_items`, on several threads, and returns when all
    /// are done.
    pub(crate) fn run(&self, n_items: usize, body: impl Fn(Range<usize>) + Sync) {
        if n_items == 0 {
            return;
        }
        if self.helpers.is_empty() || n_items == 1 {
            return body(0..n_items);
        }
        let _running = self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let shared = &*self.shared;
        let piece_len = n_items.div_ceil(self.n_threads() * PIECES);
        let n_pieces = n_items.div_ceil(piece_len);
        let clipped = |range: Range<usize>| body(range.start..range.end.min(n_items));
        let body: &(dyn Fn(Range<usize>) + Sync + '_) = &clipped;
        // SAFETY: only the lifetime changes. The pointer is dereferenced only for claimed pieces,
        // and this function does not return before all `n_pieces` claims are done.
        let body: &'static Body = unsafe { std::mem::transmute(body) };
        // SAFETY: all pieces of the previous loop are claimed and done, so nobody reads `body`.
        unsafe { *shared.body.get() = Some(std::ptr::from_ref(body)) };
        shared.n_pieces.store(n_pieces, Ordering::Relaxed);
        shared.piece_len.store(piece_len, Ordering::Relaxed);
        shared.n_done.store(0, Ordering::Relaxed);
        let epoch = (shared.epoch.load(Ordering::Relaxed) + 1) & 0xffff_ffff;
        shared.unclaimed.store(epoch << 32 | n_pieces as u64, Ordering::Release);
        shared.epoch.store(epoch, Ordering::SeqCst);
        for (helper, parked) in self.helpers.iter().zip(&shared.parked) {
            if parked.load(Ordering::SeqCst) {
                helper.thread.unpark();
            }
        }
        shared.work(epoch);
        let mut spins = 0u32;
        while shared.n_done.load(Ordering::Acquire) != n_pieces {
            spins += 1;
            if spins < 2_000 {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        if shared.panicked.swap(false, Ordering::AcqRel) {
            panic!("a piece of a parallel loop panicked");
        }
    }

    /// Calls `f(scratch, i, chunk)` for each chunk of `a`; see [`Pool::chunks2`].
    pub(crate) fn chunks<A: Send, S>(
        &self,
        a: (&mut [A], usize),
        scratch: impl Fn() -> S + Sync,
        f: impl Fn(&mut S, usize, &mut [A]) + Sync,
    ) {
        let n = a.0.len() / a.1.max(1);
        self.chunks2(a, (&mut vec![(); n], 1), scratch, |scratch, i, a, _| f(scratch, i, a));
    }

    /// Calls `f(scratch, i, a_chunk, b_chunk)` for the i-th chunks of `a` and `b`, given with
    /// their chunk lengths. `scratch` makes the working memory of one thread's piece.
    pub(crate) fn chunks2<A: Send, B: Send, S>(
        &self,
        a: (&mut [A], usize),
        b: (&mut [B], usize),
        scratch: impl Fn() -> S + Sync,
        f: impl Fn(&mut S, usize, &mut [A], &mut [B]) + Sync,
    ) {
        let n = if a.1 == 0 || b.1 == 0 { 0 } else { a.0.len() / a.1 };
        assert_eq!(n, b.0.len().checked_div(b.1).unwrap_or(0), "equally many chunks");
        let (a_ptr, b_ptr) = (Disjoint(a.0.as_mut_ptr()), Disjoint(b.0.as_mut_ptr()));
        let (a_len, b_len) = (a.1, b.1);
        self.run(n, |range| {
            let mut scratch = scratch();
            for i in range {
                // SAFETY: `i < n`, so both chunks lie inside their slices, and `run` gives each
                // `i` to exactly one call, so no two chunks that live at once overlap.
                let (a, b) = unsafe { (a_ptr.chunk(i, a_len), b_ptr.chunk(i, b_len)) };
                f(&mut scratch, i, a, b);
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for helper in &mut self.helpers {
            helper.thread.unpark();
            if let Some(join) = helper.join.take() {
                // A helper does not panic: pieces run under `catch_unwind`.
                let _ = join.join();
            }
        }
    }
}

impl Shared {
    fn help(&self, index: usize) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            loop {
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                let epoch = self.epoch.load(Ordering::Acquire);
                if epoch != seen {
                    seen = epoch;
                    break;
                }
                spins += 1;
                if spins < SPIN {
                    std::hint::spin_loop();
                    continue;
                }
                self.parked[index].store(true, Ordering::SeqCst);
                if self.epoch.load(Ordering::SeqCst) == seen && !self.stop.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                self.parked[index].store(false, Ordering::SeqCst);
                spins = 0;
            }
            self.work(seen);
        }
    }

    fn work(&self, epoch: u64) {
        while let Some(piece) = self.claim(epoch) {
            let len = self.piece_len.load(Ordering::Relaxed);
            // SAFETY: a claimed piece keeps the loop's body alive until `n_done` counts it.
            let body = unsafe { (*self.body.get()).map(|body| &*body) };
            let body = body.expect("set before the first claim");
            let run = || body(piece * len..(piece + 1) * len);
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
                self.panicked.store(true, Ordering::Release);
            }
            self.n_done.fetch_add(1, Ordering::Release);
        }
    }

    fn claim(&self, epoch: u64) -> Option<usize> {
        let mut unclaimed = self.unclaimed.load(Ordering::Acquire);
        loop {
            let n_left = (unclaimed & 0xffff_ffff) as usize;
            if unclaimed >> 32 != epoch || n_left == 0 {
                return None;
            }
            match self.unclaimed.compare_exchange_weak(
                unclaimed,
                unclaimed - 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                // The loop stands still for a claimed piece, so its fields are its own.
                Ok(_) => return Some(self.n_pieces.load(Ordering::Relaxed) - n_left),
                Err(current) => unclaimed = current,
            }
        }
    }
}

/// A pointer to memory that several threads write in disjoint parts.
pub(crate) struct Disjoint<T>(*mut T);

impl<T> Disjoint<T> {
    pub(crate) fn new(slice: &mut [T]) -> Self {
        Disjoint(slice.as_mut_ptr())
    }

    /// # Safety
    /// Chunk `i` of `len` elements lies inside the slice, and no two chunks that live at once
    /// overlap.
    unsafe fn chunk<'a>(&self, i: usize, len: usize) -> &'a mut [T] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(i * len), len) }
    }

    /// # Safety
    /// `start..start + len` lies inside the slice, and no two parts that live at once overlap.
    pub(crate) unsafe fn part<'a>(&self, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

// SAFETY: parts are disjoint (promised at each use), so sharing the pointer moves `T`s at most.
unsafe impl<T: Send> Sync for Disjoint<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Disjoint<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_is_visited_once() {
        for n_threads in [1, 2, 5] {
            let pool = Pool::new(n_threads);
            for n in [0, 1, 2, 7, 64, 1_000] {
                let mut counts = vec![0u32; n];
                pool.chunks((&mut counts, 1), || (), |(), i, count| count[0] += 1 + i as u32);
                assert!(counts.iter().enumerate().all(|(i, &c)| c == 1 + i as u32), "n {n}");
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_still_works() {
        let pool = Pool::new(3);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(100, |range| assert!(!range.contains(&50), "boom"));
        }));
        assert!(caught.is_err());
        let sum = AtomicUsize::new(0);
        pool.run(100, |range| {
            sum.fetch_add(range.sum(), Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 4_950);
    }

    #[test]
    fn loops_of_changing_sizes_visit_each_index_once() {
        // A helper that is late for a short loop meets the longer one after it.
        let pool = Pool::new(4);
        let counts: Vec<AtomicUsize> = (0..24).map(|_| AtomicUsize::new(0)).collect();
        for round in 0..1_000_000 {
            let n = if round % 2 == 0 { 2 } else { counts.len() };
            pool.run(n, |range| {
                for count in &counts[range] {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let counts: Vec<usize> = counts.into_iter().map(AtomicUsize::into_inner).collect();
        assert_eq!(counts[..2], [1_000_000; 2]);
        assert!(counts[2..].iter().all(|count| *count == 500_000), "{counts:?}");
    }

    #[test]
    fn callers_on_several_threads_take_turns() {
        let pool = Pool::new(2);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let sum = AtomicUsize::new(0);
                        pool.run(10, |range| {
                            sum.fetch_add(range.sum(), Ordering::Relaxed);
                        });
                        assert_eq!(sum.into_inner(), 45);
                    }
                });
            }
        });
    }
}

//! Memory: what the process may take, what it takes, and what it gives up when that is too much.
//!
//! The limit is a setting, or a share of what the machine or the control group has. Nothing looks at
//! it while nothing happens: it is checked when an index grew or a workspace was opened.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Without a setting: this share of the memory there is, within these bounds.
const SHARE: u64 = 4;
const MIN_BYTES: u64 = 256 << 20;
const MAX_BYTES: u64 = 4 << 30;

/// Of a control group's limit, whoever set it: the rest is for the model's process and the file cache.
const GROUP_SHARE_PERCENT: u64 = 60;

/// Time between two looks.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// What is done when the limit is passed; runs on the thread that noticed.
type OnOver = Box<dyn Fn() + Send + Sync>;

/// The process's memory budget.
pub struct Budget {
    limit_bytes: u64,
    /// Where the limit comes from, for people.
    source: String,
    checked: Mutex<Option<Instant>>,
    is_over: AtomicBool,
    n_closed: AtomicU64,
    on_over: OnceLock<OnOver>,
}

impl Budget {
    /// `setting` is in MiB, 0 for a share of what there is.
    #[must_use]
    pub fn new(setting_mb: u64) -> Self {
        let group = group_limit(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"));
        Self::with(setting_mb, machine_bytes(), group)
    }

    fn with(setting_mb: u64, machine: Option<u64>, group: Option<u64>) -> Self {
        let group = group.filter(|group| machine.is_none_or(|machine| *group < machine));
        let of_group = group.map(|group| group / 100 * GROUP_SHARE_PERCENT);
        let (wanted, source) = match setting_mb {
            0 => {
                let share = machine.unwrap_or(MAX_BYTES) / SHARE;
                let share = share.clamp(MIN_BYTES, MAX_BYTES);
                (share, "a quarter of the machine's memory, between 256 MiB and 4 GiB".to_owned())
            }
            mb => (mb << 20, "daemon.memory-mb".to_owned()),
        };
        let (limit_bytes, source) = match of_group {
            Some(bytes) if bytes < wanted => {
                (bytes, format!("{GROUP_SHARE_PERCENT} % of the control group's limit"))
            }
            _ => (wanted, source),
        };
        Self {
            limit_bytes,
            source,
            checked: Mutex::default(),
            is_over: AtomicBool::new(false),
            n_closed: AtomicU64::new(0),
            on_over: OnceLock::new(),
        }
    }

    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Sets what gives memory back. Only the first call counts.
    pub(crate) fn on_over(&self, act: impl Fn() + Send + Sync + 'static) {
        let _ = self.on_over.set(Box::new(act));
    }

    /// Something grew: looks, unless that was done a moment ago.
    pub(crate) fn note_growth(&self) {
        {
            let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
            if checked.is_some_and(|at| at.elapsed() < CHECK_EVERY) {
                return;
            }
            *checked = Some(Instant::now());
        }
        if self.look()
            && let Some(act) = self.on_over.get()
        {
            act();
        }
    }

    /// True if more is taken than the limit allows.
    pub(crate) fn look(&self) -> bool {
        let is_over = resident_bytes() > self.limit_bytes;
        let was_over = self.is_over.swap(is_over, Ordering::Relaxed);
        if is_over && !was_over {
            tracing::warn!(
                limit = self.limit_bytes,
                source = self.source,
                "over the memory budget"
            );
        }
        is_over
    }

    /// True if the last look found too much taken: indexing goes on with one thread then.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(crate) fn note_closed(&self, n_workspaces: usize) {
        self.n_closed.fetch_add(n_workspaces as u64, Ordering::Relaxed);
    }

    /// What was given up so far, in one sentence; `None` if nothing was.
    #[must_use]
    pub fn degraded(&self) -> Option<String> {
        let n_closed = self.n_closed.load(Ordering::Relaxed);
        let closed = match n_closed {
            0 => String::new(),
            1 => "; 1 unused workspace was closed".to_owned(),
            n => format!("; {n} unused workspaces were closed"),
        };
        let limit = self.limit_bytes >> 20;
        if self.is_over() {
            return Some(format!(
                "over the memory budget of {limit} MiB ({}){closed}; indexing uses one thread; \
                 exclude files or raise daemon.memory-mb",
                self.source
            ));
        }
        (n_closed > 0).then(|| format!("within the memory budget of {limit} MiB again{closed}"))
    }
}

/// Gives freed memory back to the system, where the allocator can.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "malloc_trim has no safe wrapper")]
    // SAFETY: it takes no pointers, is thread-safe, and only releases pages that no block lies in.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// As many pools of the allocator as cores: by default there are eight times as many, and each keeps what
/// its threads freed. Call it before any thread is started.
pub fn few_pools() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let n_cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let n_pools = n_cores.clamp(2, 16) as libc::c_int;
        #[expect(unsafe_code, reason = "mallopt has no safe wrapper")]
        // SAFETY: it takes no pointers and only sets a limit for pools to come.
        let is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, n_pools) };
        tracing::debug!(n_pools, is_set, "allocator");
    }
}

fn resident_bytes() -> u64 {
    crate::service::rss_bytes("self")
}

fn machine_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// The lowest memory limit of the process's control group and those around it; version 2, or version
/// 1's memory controller.
fn group_limit(of_process: &Path, mount: &Path) -> Option<u64> {
    let groups = fs::read_to_string(of_process).ok()?;
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (base, file) = match controllers {
            "" => (mount.to_owned(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // In a container the path may name a group that is not visible: then its root is the limit.
        let own = base.join(path.trim_start_matches('/'));
        let folders: Vec<PathBuf> = own
            .ancestors()
            .take_while(|folder| folder.starts_with(&base))
            .map(Path::to_owned)
            .collect();
        let limit = |folder: &PathBuf| -> Option<u64> {
            fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()
        };
        folders.iter().filter_map(limit).min()
    });
    // Version 1 says "no limit" by a number near the largest.
    limits.min().filter(|limit| *limit < 1 << 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_of_setting_machine_and_group_counts() {
        let check = |setting, machine, group, expected: (u64, &str)| {
            let budget = Budget::with(setting, machine, group);
            assert_eq!(budget.limit_bytes() >> 20, expected.0);
            assert!(budget.source().contains(expected.1), "{}", budget.source());
        };
        let gb = |n: u64| Some(n << 30);
        check(0, gb(8), None, (2_048, "quarter"));
        check(0, gb(64), None, (4_096, "quarter"));
        check(0, Some(512 << 20), None, (256, "quarter"));
        check(900, gb(8), None, (900, "daemon.memory-mb"));
        check(900, gb(8), gb(1), (614, "60 % of the control group"));
        check(0, gb(8), gb(16), (2_048, "quarter"));
    }

    #[test]
    fn limits_of_outer_groups_count() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let (of_process, mount) = (temp.path().join("cgroup"), temp.path().join("fs"));
        let inner = mount.join("user.slice/app.scope");
        fs::create_dir_all(&inner).expect("made");
        fs::write(&of_process, "0::/user.slice/app.scope\n").expect("written");
        assert_eq!(group_limit(&of_process, &mount), None);
        fs::write(inner.join("memory.max"), "max\n").expect("written");
        fs::write(mount.join("user.slice/memory.max"), "1073741824\n").expect("written");
        assert_eq!(group_limit(&of_process, &mount), Some(1 << 30));
        fs::write(inner.join("memory.max"), "500000000\n").expect("written");
        assert_eq!(group_limit(&of_process, &mount), Some(500_000_000));

        fs::create_dir_all(mount.join("memory/docker/x")).expect("made");
        fs::write(&of_process, "5:cpu:/x\n4:memory:/docker/x\n").expect("written");
        let file = mount.join("memory/docker/x/memory.limit_in_bytes");
        fs::write(&file, "9223372036854771712\n").expect("written");
        assert_eq!(group_limit(&of_process, &mount), None);
        fs::write(&file, "700000000\n").expect("written");
        assert_eq!(group_limit(&of_process, &mount), Some(700_000_000));
    }

    #[test]
    fn being_over_is_noticed_acted_on_and_told() {
        let budget = Budget::with(1, None, None);
        let acted = std::sync::Arc::new(AtomicU64::new(0));
        let counter = std::sync::Arc::clone(&acted);
        budget.on_over(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(budget.degraded(), None);
        budget.note_growth();
        budget.note_growth();
        assert_eq!(acted.load(Ordering::Relaxed), 1, "not looked at twice in a moment");
        let said = budget.degraded().expect("this process has more than one MiB");
        assert!(said.contains("1 MiB") && said.contains("daemon.memory-mb"), "{said}");
    }
}

//! Watches of folders on Linux: one inotify instance and one thread for the whole process, however many
//! roots are open, since both are scarce.
//!
//! **Invariant:** a folder that [`Watcher::add`] was called for is watched, or its end was told. The kernel
//! watches the folder itself, not its name: another folder of the name has to be added anew.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::Notice;

type OnNotice = Arc<dyn Fn(Notice) + Send + Sync>;

/// The folders of one root.
pub(super) struct Watcher {
    hub: Arc<Hub>,
    id: u64,
}

/// What all roots share.
struct Hub {
    instance: OwnedFd,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Watch descriptor to roots and the folder's name in each. Nested roots share a descriptor.
    folders: HashMap<i32, Vec<(u64, PathBuf)>>,
    roots: HashMap<u64, Root>,
    n_roots: u64,
    /// Nothing is told any more.
    is_broken: bool,
}

struct Root {
    notice: OnNotice,
    descriptors: BTreeMap<PathBuf, i32>,
}

/// Contents and names. Opening and reading are no change; our own walks would wake us otherwise.
const EVENTS: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

const BUFFER_BYTES: usize = 64 << 10;

impl Watcher {
    pub(super) fn new(
        _: &Path,
        notice: impl Fn(Notice) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let hub = hub()?;
        let mut table = hub.lock();
        table.n_roots += 1;
        let id = table.n_roots;
        let root = Root { notice: Arc::new(notice), descriptors: BTreeMap::new() };
        table.roots.insert(id, root);
        drop(table);
        Ok(Self { hub, id })
    }

    /// Watches one folder. Costs nothing if that is so already.
    pub(super) fn add(&self, folder: &Path) -> io::Result<()> {
        // An event of the new descriptor waits until the table knows it.
        let mut table = self.hub.lock();
        let table = &mut *table;
        let Some(root) = table.roots.get_mut(&self.id) else { return Ok(()) };
        if root.descriptors.contains_key(folder) {
            return Ok(());
        }
        let descriptor = inotify::add_watch(&self.hub.instance, folder, EVENTS)?;
        let names = table.folders.entry(descriptor).or_default();
        // The folder had another name until now.
        if let Some(index) = names.iter().position(|(id, _)| *id == self.id) {
            root.descriptors.remove(&names.swap_remove(index).1);
        }
        names.push((self.id, folder.to_owned()));
        root.descriptors.insert(folder.to_owned(), descriptor);
        Ok(())
    }

    pub(super) fn remove(&self, folder: &Path) {
        let mut table = self.hub.lock();
        let descriptor =
            table.roots.get_mut(&self.id).and_then(|root| root.descriptors.remove(folder));
        if let Some(descriptor) = descriptor {
            self.hub.forget(&mut table, self.id, descriptor);
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.hub.lock().is_broken
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut table = self.hub.lock();
        let Some(root) = table.roots.remove(&self.id) else { return };
        for descriptor in root.descriptors.into_values() {
            self.hub.forget(&mut table, self.id, descriptor);
        }
    }
}

/// The hub of this process. Its thread sleeps where nothing is watched.
fn hub() -> io::Result<Arc<Hub>> {
    static HUB: Mutex<Weak<Hub>> = Mutex::new(Weak::new());
    let mut shared = HUB.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hub) = shared.upgrade().filter(|hub| !hub.lock().is_broken) {
        return Ok(hub);
    }
    let hub =
        Arc::new(Hub { instance: inotify::init(CreateFlags::CLOEXEC)?, table: Mutex::default() });
    let of_thread = Arc::clone(&hub);
    std::thread::Builder::new().name("fovea-watch".into()).spawn(move || of_thread.listen())?;
    *shared = Arc::downgrade(&hub);
    Ok(hub)
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Each change of the table is complete before anything that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a root's name off a descriptor, and the descriptor off the kernel if it was the last.
    fn forget(&self, table: &mut Table, id: u64, descriptor: i32) {
        let Some(names) = table.folders.get_mut(&descriptor) else { return };
        names.retain(|(other, _)| *other != id);
        if names.is_empty() {
            table.folders.remove(&descriptor);
            // The kernel forgets a removed folder by itself.
            let _ = inotify::remove_watch(&self.instance, descriptor);
        }
    }

    fn listen(&self) {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = inotify::Reader::new(&self.instance, &mut buffer);
        let mut changed: HashMap<u64, Vec<PathBuf>> = HashMap::new();
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    self.tell_lost(false);
                }
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_bytes());
                    self.note(event.wd(), event.events(), name, &mut changed);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(err) => {
                    tracing::warn!(%err, "folders cannot be watched any more");
                    return self.tell_lost(true);
                }
            }
            if reader.is_buffer_empty() && !changed.is_empty() {
                self.tell(&mut changed);
            }
        }
    }

    fn note(
        &self,
        descriptor: i32,
        events: ReadFlags,
        name: Option<&[u8]>,
        changed: &mut HashMap<u64, Vec<PathBuf>>,
    ) {
        let mut table = self.lock();
        let table = &mut *table;
        let is_over = events.contains(ReadFlags::IGNORED);
        // Descriptors that were removed have no names any more.
        let Some(names) = table.folders.get(&descriptor) else { return };
        for (id, folder) in names {
            let path = match name {
                Some(name) => folder.join(std::ffi::OsStr::from_bytes(name)),
                None => folder.clone(),
            };
            let paths = changed.entry(*id).or_default();
            if paths.last() != Some(&path) {
                paths.push(path);
            }
            if is_over && let Some(root) = table.roots.get_mut(id) {
                root.descriptors.remove(folder);
            }
        }
        if is_over {
            table.folders.remove(&descriptor);
        }
    }

    fn tell(&self, changed: &mut HashMap<u64, Vec<PathBuf>>) {
        let told: Vec<(OnNotice, Vec<PathBuf>)> = {
            let table = self.lock();
            let of = |(id, paths)| Some((Arc::clone(&table.roots.get(&id)?.notice), paths));
            changed.drain().filter_map(of).collect()
        };
        told.into_iter().for_each(|(notice, paths)| notice(Notice::Changed(paths)));
    }

    fn tell_lost(&self, is_broken: bool) {
        let told: Vec<OnNotice> = {
            let mut table = self.lock();
            table.is_broken |= is_broken;
            table.roots.values().map(|root| Arc::clone(&root.notice)).collect()
        };
        told.into_iter().for_each(|notice| notice(Notice::Lost));
    }
}

//! Tries, from inside a confined process, what a hostile model would try. `fovea doctor` runs it.

use std::{
    fs, io,
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::{
        fs::{FileExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fovea_model::worker::Confinement;
use serde::{Deserialize, Serialize};

/// What one process found out about its own confinement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub active: Vec<String>,
    pub missing: Vec<String>,
    /// Acts that were refused.
    pub denied: Vec<String>,
    /// Acts that worked, or failed for another reason than the confinement.
    pub worked: Vec<String>,
    /// True if the model could be read, which must work.
    pub reads_model: bool,
}

type Act = (&'static str, Box<dyn Fn() -> io::Result<()>>);

/// Confines this process and tries each act once. Whatever works is undone.
///
/// The folder of `model` must be writable, so that a refusal is the confinement's.
#[must_use]
pub fn run(model: &Path) -> Report {
    let folder = model.parent().unwrap_or(Path::new("/")).to_owned();
    // Made before, so that the acts fail for one reason only.
    let victim = folder.join(".fovea-probe");
    let _ = fs::write(&victim, "probe");
    let acts = acts(model, &folder, &victim);
    let Confinement { active, missing } = super::confine(model);
    let mut report = Report { active, missing, ..Report::default() };
    for (name, act) in acts {
        match act() {
            Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                report.denied.push(name.to_owned());
            }
            Ok(()) => report.worked.push(name.to_owned()),
            Err(err) => report.worked.push(format!("{name} ({err})")),
        }
    }
    report.reads_model = fs::File::open(model).is_ok_and(|file| {
        let mut byte = [0];
        file.read_at(&mut byte, 0).is_ok()
    });
    report
}

#[rustfmt::skip]
fn acts(model: &Path, folder: &Path, victim: &Path) -> Vec<Act> {
    fn act(name: &'static str, run: impl Fn() -> io::Result<()> + 'static) -> Act {
        (name, Box::new(run))
    }
    let new = |name: &str| -> PathBuf { folder.join(name) };
    let (model, victim, folder) = (model.to_owned(), victim.to_owned(), folder.to_owned());
    let executable = std::env::current_exe().unwrap_or_default();
    let parent = std::os::unix::process::parent_id();
    let (link, hard, fifo, directory, file) =
        (new(".fovea-link"), new(".fovea-hard"), new(".fovea-fifo"), new(".fovea-dir"), new(".fovea-new"));
    let [v1, v2, v3, v4, v5, v6] = [0; 6].map(|_| victim.clone());
    let moved = new(".fovea-moved");
    vec![
        act("read a file beside the model", move || fs::read(&v1).map(drop)),
        act("read /etc/passwd", || fs::read("/etc/passwd").map(drop)),
        act("read its own program", move || fs::read(&executable).map(drop)),
        act("list a folder", move || fs::read_dir(&folder).map(drop)),
        act("read another process's memory", move || fs::File::open(format!("/proc/{parent}/mem")).map(drop)),
        act("read another process's environment", move || fs::read(format!("/proc/{parent}/environ")).map(drop)),
        act("write to the model", move || fs::File::options().write(true).open(&model).map(drop)),
        act("write to a file", move || fs::File::options().append(true).open(&v2).map(drop)),
        act("create a file", move || fs::File::create(&file).map(drop)),
        act("create a folder", move || fs::create_dir(&directory)),
        act("create a link", move || std::os::unix::fs::symlink("/", &link)),
        act("create a hard link", move || fs::hard_link(&v3, &hard)),
        act("create a FIFO", move || Ok(rustix::fs::mknodat(
            rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)?)),
        act("rename a file", move || fs::rename(&v4, &moved)),
        act("change a file's mode", move || fs::set_permissions(&v5, fs::Permissions::from_mode(0o666))),
        act("delete a file", move || fs::remove_file(&v6)),
        act("connect by TCP", || TcpStream::connect("127.0.0.1:9").map(drop)),
        act("listen by TCP", || TcpListener::bind("127.0.0.1:0").map(drop)),
        act("send by UDP", || UdpSocket::bind("127.0.0.1:0").map(drop)),
        act("open a unix socket", || UnixStream::pair().map(drop)),
        act("start a program", || {
            Command::new("/bin/true").stdin(Stdio::null()).spawn()?.wait().map(drop)
        }),
        act("signal another process", move || {
            let pid = rustix::process::Pid::from_raw(parent as i32).expect("a parent");
            Ok(rustix::process::test_kill_process(pid)?)
        }),
        act("change the root", || Ok(rustix::process::chroot("/")?)),
        act("raise a limit", || {
            let rlimit = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
            Ok(rustix::process::setrlimit(rustix::process::Resource::Core, rlimit)?)
        }),
        act("make a file in memory", || {
            Ok(rustix::fs::memfd_create("probe", rustix::fs::MemfdFlags::CLOEXEC).map(drop)?)
        }),
    ]
}

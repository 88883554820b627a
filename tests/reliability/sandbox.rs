//! What only root or special tools can do to a process: mounts that lose power or space, system calls
//! that fail. Each says so where the machine has it not.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{daemon::run, suite::NotHere};

pub(crate) fn is_root() -> bool {
    run("id", &["-u"]).is_ok_and(|id| id.trim() == "0")
}

/// The error of a row that needs root.
pub(crate) fn need_root() -> Result<()> {
    if is_root() { Ok(()) } else { Err(NotHere("needs root".into()).into()) }
}

/// The error of a row that needs strace and the right to use it.
pub(crate) fn need_strace() -> Result<()> {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    match traced {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(NotHere("strace is missing or not allowed".into()).into()),
    }
}

pub(crate) fn need(program: &str) -> Result<()> {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    match found {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(NotHere(format!("`{program}` is missing")).into()),
    }
}

/// A mounted file system, gone when dropped.
pub(crate) struct Mount {
    pub(crate) at: PathBuf,
    image: Option<PathBuf>,
    _temp: tempfile::TempDir,
}

impl Mount {
    /// A tmpfs with this `mount -o` (`size=8m`, `nr_inodes=100`).
    pub(crate) fn tmpfs(options: &str) -> Result<Self> {
        need_root()?;
        let temp = tempfile::tempdir()?;
        let at = temp.path().canonicalize()?.join("mnt");
        fs::create_dir(&at)?;
        mount(&["-t", "tmpfs", "-o", options, "none", text(&at)])?;
        Ok(Self { at, image: None, _temp: temp })
    }

    /// An ext4 in a file.
    pub(crate) fn ext4(n_megabytes: u64) -> Result<Self> {
        need_root()?;
        need("mkfs.ext4")?;
        need("python3")?;
        let temp = tempfile::tempdir()?;
        let base = temp.path().canonicalize()?;
        let (at, image) = (base.join("mnt"), base.join("image"));
        fs::create_dir(&at)?;
        fs::File::create(&image)?.set_len(n_megabytes << 20)?;
        run("mkfs.ext4", &["-q", "-F", text(&image)])?;
        let this = Self { at, image: Some(image), _temp: temp };
        this.mount_image()?;
        Ok(this)
    }

    fn mount_image(&self) -> Result<()> {
        let image = self.image.as_deref().expect("only ext4 is mounted again");
        mount(&["-o", "loop", text(image), text(&self.at)])
    }

    pub(crate) fn remount(&self, options: &str) -> Result<()> {
        mount(&["-o", &format!("remount,{options}"), text(&self.at)])
    }

    /// From now on nothing reaches the disk: the file system is shut down without writing its log.
    pub(crate) fn cut_power(&self) -> Result<()> {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
        let script = "import fcntl, os, struct, sys\n\
                      fd = os.open(sys.argv[1], os.O_RDONLY)\n\
                      fcntl.ioctl(fd, 0x8004587D, struct.pack('I', 2))\n";
        run("python3", &["-c", script, text(&self.at)]).map(drop)
    }

    /// After [`Mount::cut_power`], once nobody uses it any more: as after the next start.
    pub(crate) fn restore_power(&self) -> Result<()> {
        run("umount", &[text(&self.at)])?;
        self.mount_image()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", text(&self.at)]);
    }
}

/// A folder that cannot be written until this is dropped, not even by root.
pub(crate) struct ReadOnly(PathBuf);

impl ReadOnly {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        need_root()?;
        mount(&["--bind", text(folder), text(folder)])?;
        let this = Self(folder.to_owned());
        mount(&["-o", "remount,ro,bind", text(folder)])?;
        Ok(this)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", text(&self.0)]);
    }
}

fn mount(args: &[&str]) -> Result<()> {
    match run("mount", args) {
        Ok(_) => Ok(()),
        Err(err) => Err(NotHere(format!("mounting is not allowed ({err:#})")).into()),
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

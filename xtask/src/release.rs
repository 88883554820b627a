//! Builds a release that others can build again and compare bit by bit.
//!
//! What may differ between two machines is taken out: the tree is a fresh clone of the commit, folders'
//! names are replaced in what compilers write down, and the toolchain's version is written beside the
//! program. The folders of the build are below the system's folder for temporary files.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

const PROGRAM: &str = if cfg!(windows) { "fovea.exe" } else { "fovea" };

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Receives the program, its checksum and the bill of materials.
    out: PathBuf,
    /// Builds a second time in a folder with another name, and fails if one byte differs.
    #[arg(long)]
    twice: bool,
    /// Commit, tag or branch to build.
    #[arg(long, default_value = "HEAD")]
    commit: String,
}

pub(crate) fn run(args: &Args, root: &Path) -> Result<()> {
    let commit = git(root, &["rev-parse", "--verify", &format!("{}^{{commit}}", args.commit)])?;
    fs::create_dir_all(&args.out).with_context(|| format!("{}", args.out.display()))?;
    let first = build(root, &commit, "release", Some(&args.out.join("bom.json")))?;
    if args.twice {
        // Longer, so that a path that is not replaced moves what stands behind it.
        let second = build(root, &commit, "a second release in another folder", None)?;
        if let Some(difference) = difference(&first, &second) {
            for (name, program) in [("first", &first), ("second", &second)] {
                fs::write(args.out.join(name), program)?;
            }
            let out = args.out.display();
            bail!(
                "two builds of {commit} differ: {difference}; compare `{out}/first` and `{out}/second`"
            );
        }
        println!("two builds of {commit} in two folders: equal, {} bytes", first.len());
    }
    let program = args.out.join(PROGRAM);
    fs::write(&program, &first).with_context(|| format!("{}", program.display()))?;
    executable(&program)?;
    let sum = checksum(&args.out)?;
    let rustc = text(Command::new("rustc").arg("--version"))?;
    let notes = format!("commit {commit}\ntoolchain {rustc}\nsha256 {sum}\n");
    fs::write(args.out.join("BUILD"), &notes)?;
    print!("{notes}");
    Ok(())
}

/// The bytes of the program, built in a folder of that name; writes what that commit is made of to `bom`.
fn build(root: &Path, commit: &str, name: &str, bom: Option<&Path>) -> Result<Vec<u8>> {
    let scratch = tempfile::Builder::new().prefix("fovea-").tempdir()?;
    let tree = scratch.path().canonicalize()?.join(name);
    let clone = Command::new("git")
        .args(["clone", "--quiet", "--no-checkout"])
        .args([root, tree.as_path()])
        .status()?;
    ensure!(clone.success(), "`git clone` of {} failed", root.display());
    git(&tree, &["checkout", "--quiet", "--detach", commit])?;
    if let Some(bom) = bom {
        crate::supply::sbom(&tree, bom)?;
    }
    let date = git(&tree, &["log", "-1", "--format=%ct", commit])?;
    let replaced = [(tree.clone(), "/fovea"), (cargo_home()?, "/cargo")];
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&tree)
        .args(["build", "--release", "--locked", "--package", "fovea", "--bin", "fovea"])
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_DIR", tree.join("target"))
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&replaced))
        .env("CC_SHELL_ESCAPED_FLAGS", "1")
        .env("SOURCE_DATE_EPOCH", date)
        .env_remove("RUSTFLAGS");
    for name in ["CFLAGS", "CXXFLAGS"] {
        cargo.env(name, c_flags(&replaced));
    }
    ensure!(cargo.status()?.success(), "the build in {} failed", tree.display());
    let program = tree.join("target/release").join(PROGRAM);
    fs::read(&program).with_context(|| format!("{}", program.display()))
}

/// For rustc, the arguments separated as cargo wants them.
fn rust_flags(replaced: &[(PathBuf, &str)]) -> OsString {
    let mut flags = Vec::new();
    for (from, to) in replaced {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    }
    flags.join(OsStr::new("\x1f"))
}

/// For the C compiler, quoted as in a shell.
fn c_flags(replaced: &[(PathBuf, &str)]) -> OsString {
    let mut flags = Vec::new();
    for (from, to) in replaced {
        let mut flag = OsString::from("'-ffile-prefix-map=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flag.push("'");
        flags.push(flag);
    }
    flags.join(OsStr::new(" "))
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(home));
    }
    env::home_dir().map(|home| home.join(".cargo")).context("no home folder; set CARGO_HOME")
}

/// Where two programs differ first, or `None` if they are equal.
fn difference(first: &[u8], second: &[u8]) -> Option<String> {
    if first == second {
        return None;
    }
    let at = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    let n = first.iter().zip(second).filter(|(a, b)| a != b).count();
    Some(format!(
        "{} and {} bytes, from byte {at:#x} on, {n} of those that both have",
        first.len(),
        second.len()
    ))
}

/// In hexadecimal, as `sha256sum` and `shasum` print it; written for them, too.
fn checksum(folder: &Path) -> Result<String> {
    let mut sum = Command::new("sha256sum");
    if cfg!(target_os = "macos") {
        sum = Command::new("shasum");
        sum.args(["-a", "256"]);
    }
    let line = text(sum.current_dir(folder).arg(PROGRAM))?;
    fs::write(folder.join("fovea.sha256"), format!("{line}\n"))?;
    line.split_whitespace().next().map(str::to_owned).context("no checksum was printed")
}

#[cfg(unix)]
fn executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::set_permissions(program, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn executable(_: &Path) -> Result<()> {
    Ok(())
}

fn git(folder: &Path, args: &[&str]) -> Result<String> {
    text(Command::new("git").arg("-C").arg(folder).args(args))
}

fn text(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_their_place() {
        assert_eq!(difference(b"same", b"same"), None);
        assert_eq!(
            difference(b"0123", b"01x3yz").as_deref(),
            Some("4 and 6 bytes, from byte 0x2 on, 1 of those that both have")
        );
        assert!(difference(b"01", b"012").is_some());
    }

    #[test]
    fn folders_with_blanks_reach_both_compilers() {
        let replaced = [("/tmp/a b/tree".into(), "/fovea"), ("/home/me/.cargo".into(), "/cargo")];
        assert_eq!(
            rust_flags(&replaced),
            "--remap-path-prefix=/tmp/a b/tree=/fovea\x1f--remap-path-prefix=/home/me/.cargo=/cargo"
        );
        assert_eq!(
            c_flags(&replaced),
            "'-ffile-prefix-map=/tmp/a b/tree=/fovea' '-ffile-prefix-map=/home/me/.cargo=/cargo'"
        );
    }
}

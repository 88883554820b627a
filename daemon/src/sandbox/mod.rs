//! Takes everything from the model's process that it does not need: files, network, other programs.
//!
//! The worker reads one model file and two pipes. Landlock leaves it that file for reading, seccomp the
//! system calls of arithmetic on threads, limits bound its memory, and no new privileges can be had. All
//! of it happens before the first byte of the model is read, on the only thread there is. What the
//! system does not have is left out and named; [`probe`] tries what must not work.

#[cfg(target_os = "linux")]
mod filter;
pub mod probe;

use std::path::Path;

use fovea_model::worker::Confinement;

/// Memory of the worker beside the model: keys and values, working memory, a copy of weights that are
/// laid out anew.
const EXTRA_BYTES: u64 = 6 << 30;
/// Copies of the model's weights that may exist at once.
const N_COPIES: u64 = 2;
/// The pipes, the model, and a few that the standard library opens.
const MAX_FILES: u64 = 64;

/// Confines this process to reading `model`; must be called before a thread is started.
#[must_use]
pub fn confine(model: &Path) -> Confinement {
    let mut confinement = Confinement::default();
    note(&mut confinement, "limits", limits(model));
    #[cfg(target_os = "linux")]
    {
        note(&mut confinement, "Landlock", landlock(model));
        note(&mut confinement, "seccomp", filter::apply());
    }
    #[cfg(not(target_os = "linux"))]
    for what in ["Landlock", "seccomp"] {
        note(&mut confinement, what, Err("this system has none".to_owned()));
    }
    confinement
}

fn note(confinement: &mut Confinement, what: &str, outcome: Result<String, String>) {
    match outcome {
        Ok(detail) if detail.is_empty() => confinement.active.push(what.to_owned()),
        Ok(detail) => confinement.active.push(format!("{what} ({detail})")),
        Err(reason) => confinement.missing.push(format!("{what}: {reason}")),
    }
}

/// No core dumps, few files, bounded memory.
fn limits(model: &Path) -> Result<String, String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let set = |resource, value: u64| {
        let hard = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let value = Some(value.min(hard));
        setrlimit(resource, Rlimit { current: value, maximum: value })
            .map_err(|err| err.to_string())
    };
    set(Resource::Core, 0)?;
    set(Resource::Nofile, MAX_FILES)?;
    let n_bytes = std::fs::metadata(model).map_or(0, |metadata| metadata.len());
    // Mapped files do not count, what is written in memory does.
    set(Resource::Data, n_bytes.saturating_mul(N_COPIES).saturating_add(EXTRA_BYTES))?;
    Ok(String::new())
}

/// Nothing of the file system but the model, no TCP, no signals and no abstract sockets beyond us.
#[cfg(target_os = "linux")]
fn landlock(model: &Path) -> Result<String, String> {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, LandlockStatus, PathBeneath, PathFd, Ruleset,
        RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    };
    // What is newer than this kernel is left out by the crate.
    let newest = ABI::V6;
    let restrict = || -> Result<_, landlock::RulesetError> {
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(newest))?
            .handle_access(AccessNet::from_all(newest))?
            .scope(Scope::from_all(newest))?
            .create()?;
        // A model that is not there is reported by the load that fails.
        if let Ok(file) = PathFd::new(model) {
            ruleset = ruleset.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
        }
        ruleset.restrict_self()
    };
    let status = restrict().map_err(|err| err.to_string())?;
    let abi = match status.landlock {
        LandlockStatus::NotEnabled => return Err("it is switched off in this kernel".to_owned()),
        LandlockStatus::NotImplemented => return Err("this kernel has none".to_owned()),
        LandlockStatus::Available { effective_abi, .. } => effective_abi as i32,
    };
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(format!("ABI {abi}")),
        RulesetStatus::PartiallyEnforced => Ok(format!("ABI {abi}, in part")),
        RulesetStatus::NotEnforced => Err("the kernel did not take the rules".to_owned()),
    }
}

/// Keeps the text of a process out of core dumps.
pub fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(err) = setrlimit(Resource::Core, none) {
        tracing::debug!(%err, "core dumps stay allowed");
    }
}

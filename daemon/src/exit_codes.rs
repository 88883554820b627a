//! What the process returns. Scripts rely on these numbers; they never change their meaning.

use std::process;

/// Exit code of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// It worked.
    Ok = 0,
    /// It worked, and there is nothing to show: no hit, no definition, no suggestion.
    Nothing = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A file, position, symbol or model that was named does not exist.
    NotFound = 3,
    /// The engine cannot answer now: no daemon, disk full, index in use, no permission.
    Unavailable = 4,
    /// The path is excluded from the index, or lies outside the workspace.
    Refused = 5,
    /// A setting is not valid.
    Config = 6,
    /// The model could not be fetched, or a model file cannot be used.
    Model = 7,
    /// `doctor` found something that does not work.
    Unhealthy = 8,
    /// A bug. The log has the details.
    Internal = 70,
}

impl ExitCode {
    /// All codes with their meaning, for the manual.
    pub const TABLE: [(Self, &'static str); 10] = [
        (Self::Ok, "it worked"),
        (Self::Nothing, "it worked, and there is nothing to show"),
        (Self::Usage, "the command line is wrong"),
        (Self::NotFound, "a file, position, symbol or model that was named does not exist"),
        (Self::Unavailable, "the engine cannot answer now; the message says why"),
        (Self::Refused, "the path is excluded, or lies outside the workspace"),
        (Self::Config, "a setting is not valid"),
        (Self::Model, "the model could not be fetched or used"),
        (Self::Unhealthy, "doctor found something that does not work"),
        (Self::Internal, "a bug; the log has the details"),
    ];
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

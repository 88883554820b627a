//! What the editor says, in our types.

use std::path::{Component, Path, PathBuf};

use fovea_api::{At, Encoding};
use tower_lsp_server::ls_types::{Position, PositionEncodingKind, Uri};

/// Path of a `file:` URI of this machine; `None` for every other.
pub(crate) fn path(uri: &Uri) -> Option<PathBuf> {
    if !uri.scheme().as_str().eq_ignore_ascii_case("file") {
        return None;
    }
    let host = uri.authority().map(|authority| authority.host()).unwrap_or_default();
    if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
        return None;
    }
    let path = uri.to_file_path()?.into_owned();
    // A trailing slash is no part of a folder's name.
    Some(path.components().collect())
}

/// `file` below `root`, `/`-separated; `None` if it is not below.
pub(crate) fn relative(root: &Path, file: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in file.strip_prefix(root).ok()?.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            _ => return None,
        }
    }
    Some(parts.join("/"))
}

pub(crate) fn encoding(kind: &PositionEncodingKind) -> Option<Encoding> {
    match kind.as_str() {
        "utf-8" => Some(Encoding::Utf8),
        "utf-16" => Some(Encoding::Utf16),
        "utf-32" => Some(Encoding::Utf32),
        _ => None,
    }
}

pub(crate) fn at(path: String, position: Position, encoding: Encoding) -> At {
    At { path, line: position.line, column: position.character, encoding }
}

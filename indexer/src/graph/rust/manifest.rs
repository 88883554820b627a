//! `Cargo.toml`: which crates a folder holds and what they depend on.

use serde::{Deserialize, Serialize};

/// What the Rust resolver needs of one `Cargo.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CargoManifest {
    /// `package.name`; `None` for a virtual workspace manifest.
    pub package: Option<String>,
    /// Crate name of the library, as `use` spells it.
    pub lib_name: Option<String>,
    /// `lib.path`, relative to the manifest's folder.
    pub lib_path: Option<String>,
    /// Explicit `path`s of binaries, tests, examples and benches.
    pub target_paths: Vec<String>,
    pub build: Option<String>,
    /// What `features.default` turns on, directly or through others.
    pub default_features: Vec<String>,
    pub dependencies: Vec<Dependency>,
    /// `workspace.dependencies`, which members refer to with `workspace = true`.
    pub workspace_dependencies: Vec<Dependency>,
}

/// One dependency, of whatever section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// As written on the left, with `-` as `_`: what `use` spells.
    pub name: String,
    /// The package's own name where it differs.
    pub package: Option<String>,
    /// `path`, relative to the manifest's folder.
    pub path: Option<String>,
    pub from_workspace: bool,
}

/// Reads `text` if it is a Cargo manifest.
#[must_use]
pub fn read(text: &str) -> Option<CargoManifest> {
    // Most configuration files are something else: do not run the TOML parser over them.
    if !text.contains("[package]") && !text.contains("[workspace") {
        return None;
    }
    let table: toml::Table = text.parse().ok()?;
    let package = table.get("package").and_then(|package| package.as_table());
    let lib = table.get("lib").and_then(|lib| lib.as_table());
    let string = |table: Option<&toml::Table>, key: &str| {
        table.and_then(|table| table.get(key)).and_then(|value| value.as_str()).map(str::to_owned)
    };
    let name = string(package, "name");
    let mut manifest = CargoManifest {
        lib_name: string(lib, "name").or_else(|| name.clone()).map(|name| name.replace('-', "_")),
        package: name,
        lib_path: string(lib, "path"),
        build: string(package, "build"),
        ..CargoManifest::default()
    };
    for section in ["bin", "test", "example", "bench"] {
        let targets = table.get(section).and_then(|targets| targets.as_array());
        for target in targets.into_iter().flatten() {
            manifest.target_paths.extend(string(target.as_table(), "path"));
        }
    }
    manifest.default_features = default_features(&table);
    sections(&table, &mut manifest.dependencies);
    for target in table.get("target").and_then(|t| t.as_table()).into_iter().flatten() {
        if let Some(target) = target.1.as_table() {
            sections(target, &mut manifest.dependencies);
        }
    }
    if let Some(workspace) = table.get("workspace").and_then(|w| w.as_table()) {
        sections(workspace, &mut manifest.workspace_dependencies);
    }
    Some(manifest)
}

fn default_features(table: &toml::Table) -> Vec<String> {
    let Some(features) = table.get("features").and_then(|features| features.as_table()) else {
        return Vec::new();
    };
    let mut found = vec!["default".to_owned()];
    let mut next = 0;
    while let Some(feature) = found.get(next) {
        let list = features.get(feature).and_then(|list| list.as_array());
        for name in list.into_iter().flatten().filter_map(toml::Value::as_str) {
            if !name.contains([':', '/']) && !found.iter().any(|other| other == name) {
                found.push(name.to_owned());
            }
        }
        next += 1;
    }
    found
}

fn sections(table: &toml::Table, into: &mut Vec<Dependency>) {
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let entries = table.get(section).and_then(|section| section.as_table());
        into.extend(entries.into_iter().flatten().map(|(name, value)| dependency(name, value)));
    }
}

fn dependency(name: &str, value: &toml::Value) -> Dependency {
    let string = |key| value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    Dependency {
        name: name.replace('-', "_"),
        package: string("package"),
        path: string("path"),
        from_workspace: value.get("workspace").and_then(toml::Value::as_bool).unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_path_and_workspace_dependencies_are_read() {
        let manifest = read(
            r#"
[package]
name = "my-app"
[dependencies]
base-lib = { path = "../base", package = "base" }
shared = { workspace = true }
[target.'cfg(unix)'.dependencies]
libc = "0.2"
[[bin]]
name = "x"
path = "src/x.rs"
"#,
        )
        .expect("a manifest");
        assert_eq!(manifest.lib_name.as_deref(), Some("my_app"));
        assert_eq!(manifest.target_paths, ["src/x.rs"]);
        let names: Vec<_> = manifest.dependencies.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["base_lib", "shared", "libc"]);
        assert!(manifest.dependencies[1].from_workspace);
        assert_eq!(read("[tool]\nname = 'x'\n"), None);
    }
}

//! What we build from: licenses, sources, checksums, grammars, versions with known faults; and the list
//! of all of it as a bill of materials.
//!
//! Reads `Cargo.lock` and what `cargo metadata` says, needs no network and no other program. Advisories
//! that came later than [`ADVISORIES`] are what `cargo deny check` looks up, where it is installed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

/// Each permits what we do with it. Of `A OR B` one suffices, of `A AND B` both are needed.
const LICENSES: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Parsers run on every file of a repository and are C: each is allowed by name and checksum.
const GRAMMARS: &str = include_str!("grammars.txt");

/// Faults that are published, with the day on which the list was made.
const ADVISORIES: &str = include_str!("advisories.txt");

/// Not to be built in: they open connections by themselves, or are given up.
const BANNED: [(&str, &str); 8] = [
    ("openssl-sys", "a second TLS stack, and a C library of the system"),
    ("native-tls", "a second TLS stack"),
    ("reqwest", "a second HTTP client"),
    ("sentry", "telemetry"),
    ("opentelemetry", "telemetry"),
    ("atty", "given up by its authors"),
    ("users", "given up by its authors"),
    ("instant", "given up by its authors"),
];

/// Crates that are there in more than one version, at most.
const MAX_DUPLICATES: usize = 40;

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    description: Option<String>,
}

struct Supply {
    locked: Vec<Locked>,
    packages: BTreeMap<(String, String), Package>,
}

/// Checks everything we build from.
///
/// # Errors
/// With all complaints.
pub(crate) fn check(root: &Path) -> Result<()> {
    let supply = Supply::read(root)?;
    let complaints = supply.complaints();
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    let as_of = ADVISORIES.lines().find_map(|line| line.strip_prefix("# as of "));
    println!(
        "{} packages: licenses, sources, checksums, grammars; {} advisories as of {}",
        supply.locked.len(),
        advisories().count(),
        as_of.unwrap_or("an unknown day")
    );
    Ok(())
}

/// Writes the bill of materials (CycloneDX 1.5, JSON). Depends on `Cargo.lock` alone, so the same tree
/// gives the same file.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn sbom(root: &Path, out: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(&Supply::read(root)?.bill()?)?;
    fs::write(out, text + "\n").with_context(|| format!("writing {}", out.display()))
}

impl Supply {
    fn read(root: &Path) -> Result<Self> {
        let text = fs::read_to_string(root.join("Cargo.lock")).context("reading Cargo.lock")?;
        let lock: Lock = toml::from_str(&text).context("reading Cargo.lock")?;
        // What other systems need may not be on this disk.
        let version = cargo(root, &["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("cargo does not say what it runs on")?;
        let arguments = ["metadata", "--format-version", "1", "--locked", "--offline"];
        let text = cargo(root, &[&arguments[..], &["--filter-platform", host]].concat())?;
        let metadata: Metadata = serde_json::from_str(&text)?;
        let packages = metadata
            .packages
            .into_iter()
            .map(|package| ((package.name.clone(), package.version.clone()), package))
            .collect();
        Ok(Self { locked: lock.package, packages })
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let sources: BTreeSet<&String> =
            self.locked.iter().filter_map(|locked| locked.source.as_ref()).collect();
        if sources.len() > 1 || sources.iter().any(|source| !source.starts_with("registry+")) {
            complaints.push(format!("one registry is allowed, there are {sources:?}"));
        }
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        let mut grammars = BTreeSet::new();
        for locked in &self.locked {
            let Locked { name, version, .. } = locked;
            *versions.entry(name).or_default() += 1;
            if locked.source.is_none() {
                continue;
            }
            let Some(checksum) = &locked.checksum else {
                complaints.push(format!("{name} {version} has no checksum"));
                continue;
            };
            if name.starts_with("tree-sitter") {
                grammars.insert(format!("{name} {version} {checksum}"));
            }
            let package = self.packages.get(&(name.clone(), version.clone()));
            // What is for other systems only is not in the metadata of this one.
            if let Some(package) = package {
                match &package.license {
                    Some(license) if is_allowed(license) => {}
                    Some(license) => {
                        complaints.push(format!("{name} {version}: license `{license}`"));
                    }
                    None => complaints.push(format!("{name} {version} names no license")),
                }
            }
            let faults = advisories().filter(|it| it.name == name && it.has(version));
            complaints.extend(faults.map(|Advisory { id, range, .. }| {
                format!("{name} {version} has a published fault ({id}), take none of {range}")
            }));
            if let Some((_, reason)) = BANNED.iter().find(|(known, _)| known == name) {
                complaints.push(format!("{name} must not be built in: {reason}"));
            }
        }
        let allowed: BTreeSet<String> =
            GRAMMARS.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        complaints.extend(
            grammars.symmetric_difference(&allowed).map(|one| {
                format!("grammar `{one}` differs from xtask/src/grammars.txt; look at its source, then list it")
            }),
        );
        let n_duplicates = versions.values().filter(|n| **n > 1).count();
        if n_duplicates > MAX_DUPLICATES {
            complaints
                .push(format!("{n_duplicates} crates in two versions, at most {MAX_DUPLICATES}"));
        }
        complaints
    }

    fn bill(&self) -> Result<Value> {
        let ours = self.packages.iter().find(|((name, _), _)| name == "fovea");
        let version = &ours.context("the workspace has `fovea`")?.0.1;
        let components: Vec<Value> = self
            .locked
            .iter()
            .filter_map(|locked| {
                let Locked { name, version, .. } = locked;
                let checksum = locked.checksum.as_ref()?;
                let address = format!("pkg:cargo/{name}@{version}");
                let mut component = json!({
                    "type": "library",
                    "bom-ref": address,
                    "name": name,
                    "version": version,
                    "purl": address,
                    "hashes": [{ "alg": "SHA-256", "content": checksum }],
                });
                if let Some(package) = self.packages.get(&(name.clone(), version.clone())) {
                    if let Some(license) = &package.license {
                        let expression = license.replace('/', " OR ").replace("  ", " ");
                        component["licenses"] = json!([{ "expression": expression }]);
                    }
                    if let Some(description) = &package.description {
                        let line = description.split_whitespace().collect::<Vec<_>>().join(" ");
                        component["description"] = json!(line);
                    }
                    if let Some(repository) = &package.repository {
                        component["externalReferences"] =
                            json!([{ "type": "vcs", "url": repository }]);
                    }
                }
                Some(component)
            })
            .collect();
        Ok(json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": { "component": {
                "type": "application", "bom-ref": "fovea", "name": "fovea", "version": version,
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            }},
            "components": components,
        }))
    }
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root).output();
    let output = output.context("running cargo")?;
    if !output.status.success() {
        bail!("cargo {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Some way to read the expression has only licenses of the list. `/` is an old way to write `OR`.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let mut rest = expression.as_str();
    // Groups first: `(A OR B) AND C` becomes the verdict on the group.
    let mut flat = String::new();
    while let Some((before, group)) = rest.split_once('(') {
        let Some((group, after)) = group.split_once(')') else { return false };
        flat.push_str(before);
        flat.push_str(if is_allowed(group) { "MIT" } else { "not-allowed" });
        rest = after;
    }
    flat.push_str(rest);
    flat.split(" OR ").any(|part| part.split(" AND ").all(|one| LICENSES.contains(&one.trim())))
}

/// One line of [`ADVISORIES`].
struct Advisory<'a> {
    id: &'a str,
    name: &'a str,
    /// `>=A <B`, or one of the two.
    range: &'a str,
}

impl Advisory<'_> {
    fn has(&self, version: &str) -> bool {
        self.range.split(' ').all(|part| match part.strip_prefix(">=") {
            Some(first) => !is_below(version, first),
            None => part.strip_prefix('<').is_some_and(|end| is_below(version, end)),
        })
    }
}

fn advisories() -> impl Iterator<Item = Advisory<'static>> {
    let lines = ADVISORIES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let (id, rest) = line.split_once(' ')?;
        let (name, range) = rest.split_once(' ')?;
        Some(Advisory { id, name, range })
    })
}

fn is_below(version: &str, floor: &str) -> bool {
    let parts = |text: &str| -> Vec<u64> {
        let text = text.split(['-', '+']).next().unwrap_or_default();
        text.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    parts(version) < parts(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licenses_are_read_as_they_are_meant() {
        for allowed in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 / MIT",
        ] {
            assert!(is_allowed(allowed), "{allowed}");
        }
        for refused in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR AGPL-3.0) AND MIT", "", "(MIT"] {
            assert!(!is_allowed(refused), "{refused}");
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_below("0.9.2", "0.10.0") && is_below("1.9.9", "1.10"));
        assert!(!is_below("1.11.1", "1.11.1") && !is_below("2.0.0", "1.11.1"));
    }

    #[test]
    fn ranges_of_advisories_hold_what_they_say() {
        let has = |range, version| Advisory { id: "-", name: "x", range }.has(version);
        assert!(has("<1.2.0", "1.1.9") && !has("<1.2.0", "1.2.0"));
        assert!(has(">=0.10.0 <0.10.1", "0.10.0") && !has(">=0.10.0 <0.10.1", "0.9.9"));
        let n_lines = ADVISORIES.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(advisories().count(), n_lines, "a line that is not read");
        for Advisory { name, range, .. } in advisories() {
            let is_bound = |part: &str| part.starts_with('<') || part.starts_with(">=");
            assert!(range.split(' ').all(is_bound), "{name} {range}");
        }
    }

    #[test]
    fn what_we_build_from_is_allowed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
        let supply = Supply::read(root).expect("there");
        assert_eq!(supply.complaints(), Vec::<String>::new());
        let bill = supply.bill().expect("a bill");
        let n_components = bill["components"].as_array().expect("a list").len();
        assert_eq!(n_components, supply.locked.iter().filter(|one| one.source.is_some()).count());
    }
}

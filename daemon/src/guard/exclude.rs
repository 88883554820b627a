//! Which paths are never opened, whatever the repository's own rules say.
//!
//! The names of files that usually hold credentials or another program's state. The decision is made
//! on every component of the path, in every reading of it that file systems, editors and eyes have
//! ([`super::names`]), so that variants and backups of an excluded name are excluded too. Users add
//! rules; nothing takes one of these away.

use super::{
    names::{fold, readings},
    secrets,
};

/// Why a path is excluded, in the words shown by `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// The pattern that matched, as in the table.
    pub pattern: &'static str,
    pub reason: &'static str,
}

const ENVIRONMENT: &str = "environment files usually hold credentials";
const KEYS: &str = "it is a key or certificate store";
const CREDENTIALS: &str = "it holds credentials of a program";
const STATE: &str = "it is state that usually embeds secrets";
const HISTORY: &str = "it is a history of typed commands";
const NAMED: &str = "the name itself holds a secret, which would stand in every answer; \
                     revoke it and rename the file";

/// Names of files and folders, some with the folder they are in; `*` at either end stands for anything.
const NAMES: &[(&str, &str)] = &[
    (".env", ENVIRONMENT),
    (".env.*", ENVIRONMENT),
    (".env-*", ENVIRONMENT),
    (".env_*", ENVIRONMENT),
    ("*.env", ENVIRONMENT),
    (".envrc", ENVIRONMENT),
    (".dev.vars", ENVIRONMENT),
    (".flaskenv", ENVIRONMENT),
    ("*.pem", KEYS),
    ("*.key", KEYS),
    ("*.p12", KEYS),
    ("*.pfx", KEYS),
    ("*.p8", KEYS),
    ("*.pkcs12", KEYS),
    ("*.jks", KEYS),
    ("*.jceks", KEYS),
    ("*.bks", KEYS),
    ("*.keystore", KEYS),
    ("*.truststore", KEYS),
    ("*.ppk", KEYS),
    ("*.asc", KEYS),
    ("*.gpg", KEYS),
    ("*.pgp", KEYS),
    ("*.age", KEYS),
    ("*.kdb", KEYS),
    ("*.kdbx", KEYS),
    ("*.agilekeychain", KEYS),
    ("*.keychain", KEYS),
    ("*.keychain-db", KEYS),
    ("*.ovpn", KEYS),
    ("*.mobileprovision", KEYS),
    ("id_rsa*", KEYS),
    ("id_dsa*", KEYS),
    ("id_ecdsa*", KEYS),
    ("id_ed25519*", KEYS),
    ("id_xmss*", KEYS),
    ("ssh_host_*_key", KEYS),
    (".ssh", KEYS),
    (".gnupg", KEYS),
    (".password-store", KEYS),
    (".netrc", CREDENTIALS),
    ("_netrc", CREDENTIALS),
    (".npmrc", CREDENTIALS),
    (".yarnrc", CREDENTIALS),
    (".yarnrc.yml", CREDENTIALS),
    (".pypirc", CREDENTIALS),
    (".pgpass", CREDENTIALS),
    ("pgpass.conf", CREDENTIALS),
    (".my.cnf", CREDENTIALS),
    (".mylogin.cnf", CREDENTIALS),
    (".s3cfg", CREDENTIALS),
    (".boto", CREDENTIALS),
    (".aws", CREDENTIALS),
    (".azure", CREDENTIALS),
    (".gcloud", CREDENTIALS),
    (".kube", CREDENTIALS),
    ("kubeconfig", CREDENTIALS),
    ("*.kubeconfig", CREDENTIALS),
    (".docker", CREDENTIALS),
    (".dockercfg", CREDENTIALS),
    (".dockerconfigjson", CREDENTIALS),
    (".git-credentials", CREDENTIALS),
    (".gitconfig", CREDENTIALS),
    (".hgrc", CREDENTIALS),
    (".htpasswd", CREDENTIALS),
    ("htpasswd", CREDENTIALS),
    (".htdigest", CREDENTIALS),
    ("credentials", CREDENTIALS),
    ("credentials.json", CREDENTIALS),
    ("credentials.toml", CREDENTIALS),
    ("credentials.yml", CREDENTIALS),
    ("credentials.yaml", CREDENTIALS),
    ("credentials.yml.enc", CREDENTIALS),
    ("credentials.xml", CREDENTIALS),
    ("client_secret*.json", CREDENTIALS),
    ("*service-account*.json", CREDENTIALS),
    ("*service_account*.json", CREDENTIALS),
    ("*serviceaccount*.json", CREDENTIALS),
    ("application_default_credentials.json", CREDENTIALS),
    ("google-services.json", CREDENTIALS),
    ("googleservice-info.plist", CREDENTIALS),
    ("secrets.json", CREDENTIALS),
    ("secrets.toml", CREDENTIALS),
    ("secrets.yml", CREDENTIALS),
    ("secrets.yaml", CREDENTIALS),
    ("secrets.*.json", CREDENTIALS),
    ("secrets.*.toml", CREDENTIALS),
    ("secrets.*.yml", CREDENTIALS),
    ("secrets.*.yaml", CREDENTIALS),
    (".databrickscfg", CREDENTIALS),
    (".oci", CREDENTIALS),
    (".config/gh", CREDENTIALS),
    (".config/hub", CREDENTIALS),
    (".config/gcloud", CREDENTIALS),
    (".config/rclone", CREDENTIALS),
    (".m2/settings.xml", CREDENTIALS),
    (".m2/settings-security.xml", CREDENTIALS),
    (".cargo/credentials", CREDENTIALS),
    (".gem/credentials", CREDENTIALS),
    ("master.key", CREDENTIALS),
    (".vault-token", CREDENTIALS),
    ("vault_pass*", CREDENTIALS),
    (".vault_pass*", CREDENTIALS),
    (".terraformrc", CREDENTIALS),
    ("terraform.rc", CREDENTIALS),
    ("auth.json", CREDENTIALS),
    ("shadow", CREDENTIALS),
    ("filezilla.xml", CREDENTIALS),
    ("sitemanager.xml", CREDENTIALS),
    ("recentservers.xml", CREDENTIALS),
    (".remote-sync.json", CREDENTIALS),
    (".ftpconfig", CREDENTIALS),
    ("sftp-config.json", CREDENTIALS),
    ("terraform.tfstate", STATE),
    ("terraform.tfstate.*", STATE),
    ("*.tfstate", STATE),
    ("*.tfstate.*", STATE),
    ("*.tfvars", STATE),
    ("*.tfvars.json", STATE),
    (".terraform", STATE),
    (".vagrant", STATE),
    ("*.rdp", STATE),
    ("*.har", STATE),
    ("*.dmp", STATE),
    ("*.hprof", STATE),
    (".bash_history", HISTORY),
    (".zsh_history", HISTORY),
    (".python_history", HISTORY),
    (".node_repl_history", HISTORY),
    (".psql_history", HISTORY),
    (".mysql_history", HISTORY),
    (".sqlite_history", HISTORY),
    (".rediscli_history", HISTORY),
    (".irb_history", HISTORY),
    (".pry_history", HISTORY),
    (".lesshst", HISTORY),
    (".viminfo", HISTORY),
];

/// Public halves of key pairs, which the patterns for private ones would also take.
const PUBLIC: &[&str] = &[
    "id_rsa*.pub",
    "id_dsa*.pub",
    "id_ecdsa*.pub",
    "id_ed25519*.pub",
    "id_xmss*.pub",
    "ssh_host_*_key.pub",
];

/// The rule that keeps `path` (relative, `/`-separated) closed, if there is one.
#[must_use]
pub fn excluded(path: &str) -> Option<Exclusion> {
    let mut parent = String::new();
    let by_name = path.split(['/', '\\']).find_map(|component| {
        let name = fold(component);
        let is_public = PUBLIC.iter().any(|pattern| matches(pattern, &name));
        let rule = readings(&name).into_iter().find_map(|name| rule(&parent, &name, is_public));
        parent = name;
        rule
    });
    by_name.or_else(|| {
        let secret = in_name(path).into_iter().next()?;
        Some(Exclusion { pattern: secret.rule, reason: NAMED })
    })
}

/// Whether a path holds a secret: nothing of the file is read, and its name is kept nowhere.
#[must_use]
pub fn names_a_secret(path: &str) -> bool {
    !in_name(path).is_empty()
}

/// The path as people and programs may see it: a secret in it is overwritten.
#[must_use]
pub fn shown(path: &str) -> String {
    secrets::overwritten(path, &in_name(path))
}

/// The secrets in a path. Names are made of words, so a shape counts only with a digit in it, and what
/// is assigned to a name is no evidence.
fn in_name(path: &str) -> Vec<secrets::Redaction> {
    let mut found = secrets::find(path);
    found.retain(|secret| {
        let text = &path[secret.range.clone()];
        secret.rule != secrets::ASSIGNED && text.bytes().any(|byte| byte.is_ascii_digit())
    });
    found
}

/// Names these rules, for [`secrets::rules_version`].
pub(super) fn hash_rules(hasher: &mut blake3::Hasher) {
    for (pattern, _) in NAMES {
        hasher.update(pattern.as_bytes()).update(b"\n");
    }
}

/// The rule for one reading of a name below `parent`; `is_public` of the whole name.
fn rule(parent: &str, name: &str, is_public: bool) -> Option<Exclusion> {
    let rule = NAMES.iter().find(|(pattern, _)| {
        let is_meant = match pattern.split_once('/') {
            Some((folder, pattern)) => folder == parent && pattern == name,
            None => matches(pattern, name),
        };
        is_meant
            && !(is_public && ["id_", "ssh_host_"].iter().any(|pair| pattern.starts_with(pair)))
    });
    rule.map(|(pattern, reason)| Exclusion { pattern, reason })
}

/// `*` at the start, the end or once in the middle.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let start = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(start) else { return false };
    let Some(mut part) = parts.next() else { return rest.is_empty() };
    for next in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        part = next;
    }
    rest.ends_with(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_excluded(path: &str) -> bool {
        excluded(path).is_some()
    }

    #[test]
    fn every_pattern_excludes_an_example_of_itself_anywhere_in_the_tree() {
        for (pattern, _) in NAMES {
            let example = pattern.replace('*', "x");
            for path in [example.clone(), format!("a/b/{example}"), format!("{example}/inner.rs")] {
                assert!(is_excluded(&path), "{pattern}: {path}");
            }
        }
    }

    #[test]
    fn variants_of_a_name_are_the_name() {
        for variant in [
            ".ENV",
            ".Env.Local",
            "ID_RSA",
            "Id_Ed25519",
            ".e\u{200b}nv",
            ".ｅｎｖ",
            ".env ",
            ".env.",
            "\u{feff}.env",
            ".en\u{fe0f}v",
            "\u{2024}env",
            "server.PEM",
            "VAULT.KDBX",
            ".env::$DATA",
            "ſecrets.json",
            "id_rsa\u{202e}",
            "a\\.env",
            "\u{212a}UBECONFIG",
            "backup:server.pem",
            "prod:.env",
            "prod:.netrc:x",
            "𝐬ecrets.json",
            "ⓢecrets.json",
            "server.ᵖem",
            "server﹒pem",
            "sec\u{3164}rets.json",
            "server.pem\t",
            "server.pem\n",
            "\u{a0}.env\u{3000}",
            "credentials.jsоn",
            ".еnv",
            "іd_rsа",
            "server.ΡΕΜ",
        ] {
            assert!(is_excluded(variant), "{variant:?}");
        }
    }

    #[test]
    fn a_name_that_is_a_secret_is_refused_and_not_shown() {
        // Made here, so that no file of ours looks like a leak.
        let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9".repeat(2));
        for path in [token.clone(), format!("src/{token}.py"), format!("src/x-{token}/main.rs")] {
            let refused = excluded(&path).expect("refused");
            assert_eq!((refused.pattern, refused.reason), ("github-token", NAMED), "{path}");
            assert!(!shown(&path).contains(&token[4..]), "{}", shown(&path));
            assert_eq!(shown(&path).len(), path.len());
        }
        for path in
            ["src/token=abcDEF123456789xyz.py", "sk-learn-some-words-of-a-long-file-name.md"]
        {
            assert_eq!((excluded(path), &*shown(path)), (None, path));
        }
    }

    #[test]
    fn backups_and_copies_of_a_name_are_the_name() {
        for variant in [
            "server.pem~",
            "server.pem.bak",
            ".server.pem.swp",
            "#server.pem#",
            ".#server.pem",
            "credentials.json.bak",
            ".credentials.json.swp",
            "credentials (1).json",
            "credentials - Copy.json",
            "_netrc.bak",
            "v.kdbx.tmp",
            "prod.tfvars.bak",
            "terraform.tfstate~",
            "id_rsa2",
            "id_rsa.old",
            "secrets.local.yaml",
            "secrets.prod.json.orig",
            ".env~",
            ".netrc~",
            ".npmrc.bak",
            ".npmrc.bak~",
            ".config/gh/hosts.yml",
            ".m2/settings.xml",
            ".m2/settings.xml.bak",
            ".databrickscfg",
            ".oci/config",
            // The public half of a pair of keys is one thing, this another.
            "prod.env.pub",
            "server.pem.pub",
            "id_rsa.pem.pub",
        ] {
            assert!(is_excluded(variant), "{variant:?}");
        }
    }

    #[test]
    fn ordinary_sources_stay_open() {
        for path in [
            "src/main.rs",
            "src/env.rs",
            "environment.py",
            "src/keys.rs",
            "key.rs",
            "docs/credentials.md",
            "src/credentials.rs",
            "src/secrets.py",
            "tokens.json",
            "id_rsa.pub",
            "keys/id_ed25519.pub",
            "id_rsa.github.pub",
            "ssh_host_rsa_key.pub",
            "main.rs~",
            "main.rs.bak",
            "notes (1).md",
            "gh/hosts.yml",
            "src/settings.xml",
            "секреты.json",
            "ключ.py",
            "c:main.rs",
            "venv/lib.py",
            ".github/workflows/ci.yml",
            "package.json",
            "Cargo.lock",
            "monkey",
            "keyboard.key.rs",
            "terraform/main.tf",
            "history.md",
            "shadow.css",
        ] {
            assert_eq!(excluded(path), None, "{path}");
        }
    }
}

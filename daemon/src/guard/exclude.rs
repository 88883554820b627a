//! Which paths are never opened, whatever the repository's own rules say.
//!
//! The names of files that usually hold credentials or another program's state. The decision is made
//! on every component of the path, after folding what file systems and eyes take for the same name
//! (case, full-width letters, invisible characters, trailing dots and blanks), so that a variant of
//! an excluded name is excluded too. Users add rules; nothing takes one of these away.

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

/// Names of files and folders; `*` at either end stands for anything.
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
    ("id_rsa", KEYS),
    ("id_rsa.*", KEYS),
    ("id_rsa_*", KEYS),
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
const PUBLIC: &[&str] = &["*.pub", "*.pub.pem"];

/// The rule that keeps `path` (relative, `/`-separated) closed, if there is one.
#[must_use]
pub fn excluded(path: &str) -> Option<Exclusion> {
    path.split(['/', '\\']).find_map(|component| {
        let name = fold(component);
        if PUBLIC.iter().any(|pattern| matches(pattern, &name)) {
            return None;
        }
        let rule = NAMES.iter().find(|(pattern, _)| matches(pattern, &name));
        rule.map(|(pattern, reason)| Exclusion { pattern, reason })
    })
}

/// The name as a careless reader or file system takes it.
fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            // Zero-width and joining characters, direction marks, variation selectors, tags.
            '\u{ad}'
            | '\u{34f}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}' => {}
            // Full-width forms of ASCII.
            '\u{ff01}'..='\u{ff5e}' => {
                let ascii = char::from_u32(char as u32 - 0xfee0).expect("in ASCII");
                folded.push(ascii.to_ascii_lowercase());
            }
            '\u{2024}' => folded.push('.'), // one dot leader
            '\u{17f}' => folded.push('s'),  // long s
            '\u{212a}' => folded.push('k'), // kelvin sign
            '\u{131}' | '\u{130}' => folded.push('i'), // dotless and dotted i
            _ => folded.extend(char.to_lowercase()),
        }
    }
    // An alternate stream of a file is the file; trailing dots and blanks do not count on Windows.
    if let Some(at) = folded.find(':') {
        folded.truncate(at);
    }
    folded.truncate(folded.trim_end_matches(['.', ' ']).len());
    folded
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

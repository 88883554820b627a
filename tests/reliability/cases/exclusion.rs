//! Section I: what is excluded is silent on every way out, and leaves every store.

use std::{
    cell::RefCell,
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fovea_api::{At, Encoding, Method, Preset};
use serde_json::json;

use crate::{
    agent::Agent,
    client::{Client, grep, search},
    daemon::{Daemon, wrapped},
    rng::Rng,
    sandbox,
    suite::Suite,
    tree::{self, Tree},
};

pub(crate) fn run(suite: &mut Suite) {
    // Made once; if that fails, no case passes.
    let setting: RefCell<Option<Result<Setting, String>>> = RefCell::default();
    let n = CHANNELS.len() * N_FILES;
    suite.row("I07", "20 excluded files on 12 ways out", (n, n), |round, rng| {
        let mut slot = setting.borrow_mut();
        let made = slot.get_or_insert_with(|| Setting::new(rng).map_err(|err| format!("{err:#}")));
        let setting = made.as_mut().map_err(|err| anyhow::anyhow!("{err}"))?;
        let (name, ask) = CHANNELS[round / N_FILES];
        let (path, canary) = setting.files[round % N_FILES].clone();
        let shown = ask(setting, &path, &canary).with_context(|| format!("{name} on {path:?}"))?;
        ensure!(!shown.contains(&canary), "{name} shows {path:?}");
        Ok(String::new())
    });
    drop(setting);
    suite.row("I04", "a file that goes leaves every store", (6, 12), leaves);
    super::remote::leaving(suite);
    suite.row("I05", "default-excluded names are not opened", (1, 1), |_, _| not_opened());
}

const N_FILES: usize = 20;
/// Removed or excluded files have left every store after this long.
const PURGED: Duration = Duration::from_secs(60);

/// A repository with excluded files, open in a daemon, an editor and an agent.
struct Setting {
    daemon: Daemon,
    client: Client,
    agent: Agent,
    tree: Tree,
    home: tempfile::TempDir,
    /// Excluded, with the word in each.
    files: Vec<(String, String)>,
    /// Of a file that is not excluded.
    public: String,
}

/// A word that no rule takes for a secret. Its first half alone is never printed by chance.
fn canary(rng: &mut Rng) -> String {
    (0..24).map(|_| char::from(b'a' + rng.below(26) as u8)).collect()
}

fn text(canary: &str) -> String {
    format!(
        "\"\"\"About {canary}.\"\"\"\n\n\nclass Box{canary}:\n    {canary} = 1\n\n\n\
         def {canary}(x):\n    \"\"\"Makes a {canary} of x.\"\"\"\n    return Box{canary}.{canary} + x\n"
    )
}

/// Excluded from the start.
const FROM_THE_START: [&str; 16] = [
    ".env",
    "config/.env.local",
    "deploy/id_rsa",
    "deploy/server.pem",
    "deploy/tls.key",
    "vault.kdbx",
    "terraform.tfstate",
    "prod.tfvars",
    "credentials.json",
    // Variants of such names.
    ".ENV",
    "config/.e\u{200b}nv",
    "config/Secrets.YAML",
    // By rules.
    "ignored.py",
    "private/inner.py",
    "nested/deep/rule.py",
    "configured.py",
];

impl Setting {
    fn new(rng: &mut Rng) -> Result<Self> {
        let tree = Tree::generate(20, rng)?;
        let home = tempfile::Builder::new().prefix("fovea-home").tempdir()?;
        let mut files = Vec::new();
        for path in FROM_THE_START {
            let canary = canary(rng);
            tree.write(path, text(&canary))?;
            files.push((path.to_owned(), canary));
        }
        let public = canary(rng);
        tree.write("public.py", text(&public))?;
        tree.write(".gitignore", "/ignored.py\n")?;
        tree.write(".foveaignore", "private/\n")?;
        tree.write("nested/.foveaignore", "rule.py\n")?;
        tree.write(".fovea.toml", "[index]\nexclude = [\"configured.py\"]\n")?;
        // A second name of an excluded file.
        let (_, hidden) = files[0].clone();
        fs::hard_link(tree.root.join(".env"), tree.root.join("linked.py"))?;
        files.push(("linked.py".to_owned(), hidden));
        // Indexed at first.
        let mut later = Vec::new();
        for path in ["later.py", "renamed.py", "open.py"] {
            let canary = canary(rng);
            tree.write(path, text(&canary))?;
            later.push((path, canary));
        }
        fs::create_dir_all(home.path().join("config"))?;
        fs::write(home.path().join("config/config.toml"), "[log]\nlevel = \"trace\"\n")?;
        let daemon = Daemon::start(home.path())?;
        let client = daemon.client(&tree.root)?;
        client.open()?;
        for (path, canary) in &later {
            ensure!(!client.grep(canary, 9)?.is_empty(), "{path} should be found at first");
        }
        // An editor has two of them open, one excluded, one not yet.
        let _ = client.edit("ignored.py", &text(&files[12].1));
        client.edit("open.py", &format!("{}# unsaved\n", text(&later[2].1)))?;
        tree.write(".gitignore", "/ignored.py\n/later.py\n/open.py\n")?;
        fs::rename(tree.root.join("renamed.py"), tree.root.join(".env.renamed"))?;
        client.sync()?;
        let started = Instant::now();
        for (path, canary) in later {
            let path = if path == "renamed.py" { ".env.renamed" } else { path };
            files.push((path.to_owned(), canary));
        }
        ensure!(files.len() == N_FILES, "{} files", files.len());
        for (path, canary) in &files {
            wait_until_gone(home.path(), canary, started).context(path.clone())?;
        }
        let agent = Agent::start(home.path(), &tree.root)?;
        let mut this = Self { daemon, client, agent, tree, home, files, public };
        this.check_that_answers_come()?;
        Ok(this)
    }

    /// Each way out does tell of a file that is not excluded, or the test would prove nothing.
    fn check_that_answers_come(&mut self) -> Result<()> {
        let public = self.public.clone();
        let silent = ["completion", "status", "logs"];
        for (name, ask) in CHANNELS {
            let shown = ask(self, "public.py", &public)?;
            let tells = shown.contains(&public);
            ensure!(tells || silent.contains(&name), "{name} does not tell of an indexed file");
        }
        Ok(())
    }

    /// All answers to `methods`, errors too, as they come over the socket.
    fn answers(&self, methods: Vec<Method>) -> Result<String> {
        let mut text = String::new();
        for method in methods {
            match self.client.try_ask(method)? {
                Ok(answer) => writeln!(text, "{answer:?}")?,
                Err(err) => writeln!(text, "{err:?}")?,
            }
        }
        Ok(text)
    }
}

type Ask = fn(&mut Setting, &str, &str) -> Result<String>;

const CHANNELS: [(&str, Ask); 12] = [
    ("grep", |setting, _, canary| {
        let pattern = format!("{}[a-z]+", &canary[..12]);
        setting.answers(vec![grep(&pattern, true, 50), grep(canary, false, 50)])
    }),
    ("search", |setting, path, canary| {
        let half = canary[..12].to_owned();
        let like = Method::Search {
            query: String::new(),
            limit: 50,
            near: None,
            offset: 0,
            like: Some(at(path, 8)),
            budget_tokens: None,
        };
        let asked = search(format!("makes a {half}"), 50);
        setting.answers(vec![
            asked,
            search(canary.to_owned(), 50),
            search(path.to_owned(), 50),
            like,
        ])
    }),
    ("symbols", |setting, path, canary| {
        let query = canary[..12].to_owned();
        setting.answers(vec![
            Method::Symbols { query, limit: 50 },
            Method::DocumentSymbols { path: path.to_owned() },
            Method::Folds { path: path.to_owned() },
        ])
    }),
    ("navigation", |setting, path, _| {
        let at = at(path, 7);
        setting.answers(vec![
            Method::Definition { at: at.clone() },
            Method::References { at: at.clone(), include_definition: true },
            Method::Callers { at: at.clone() },
            Method::Impact { at: at.clone(), limit: 50 },
            Method::Signature { at: at.clone() },
            Method::Rename { at: at.clone(), new_name: Some("x".into()) },
            Method::Around { cursors: vec![at] },
            Method::Lines { path: path.to_owned(), first: 0, last: 20 },
        ])
    }),
    ("completion", |setting, path, canary| {
        // In another file, where the name would be offered, and in the file itself.
        setting.client.edit("cursor.py", &canary[..12])?;
        let methods = ["cursor.py", path].map(|path| {
            let at = At { column: 12, ..at(path, 0) };
            [
                Method::Offers { at: at.clone(), limit: 50, with_imports: true },
                Method::Complete {
                    at,
                    preset: Preset::Deep,
                    budget_tokens: None,
                    max_tokens: Some(16),
                    with_context: true,
                    multi_line: true,
                    use_model: false,
                },
            ]
        });
        setting.answers(methods.into_iter().flatten().collect())
    }),
    ("prompt", |setting, path, canary| {
        let call = format!("import private\n\n\ndef use(x):\n    return Box{}", &canary[..12]);
        setting.client.edit("prompt.py", &call)?;
        let context = |at| Method::Context { at, preset: Preset::Deep, budget_tokens: Some(8_000) };
        let cursor = At { column: 20, ..at("prompt.py", 4) };
        setting.answers(vec![context(cursor), context(at(path, 8))])
    }),
    ("outline", |setting, path, _| {
        let outline = |focus| Method::Outline { budget_tokens: 20_000, focus };
        setting.answers(vec![outline(None), outline(Some(at(path, 7)))])
    }),
    ("dump", |setting, path, _| {
        let path = Some(path.to_owned());
        let whole = setting.client.dump()?;
        Ok(whole + &setting.answers(vec![Method::Dump { after: None, path }])?)
    }),
    ("agent", |setting, path, canary| ask_everything(&mut setting.agent, path, canary)),
    ("status", |setting, path, _| {
        let mut text = setting.answers(vec![
            Method::Status,
            Method::Open { wait: false },
            Method::Why { path: path.to_owned() },
            Method::Secrets,
        ])?;
        for args in [&["status"][..], &["doctor"], &["secrets"], &["status", "--why", path]] {
            let all = [&["--root", sandbox::text(&setting.tree.root)], args].concat();
            let output = wrapped(&[], setting.home.path(), &all).output()?;
            text.push_str(&String::from_utf8_lossy(&output.stdout));
            text.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        Ok(text)
    }),
    ("logs", |setting, _, _| {
        setting.daemon.check_alive()?;
        let state = tree::all_files(&setting.home.path().join("state"));
        let files = state.into_iter().chain([setting.home.path().join("stderr")]);
        let bytes: Vec<u8> = files.filter_map(|file| fs::read(file).ok()).flatten().collect();
        ensure!(!bytes.is_empty(), "there is no log");
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }),
    ("stores", |setting, _, canary| {
        // The words of the index are folded to lower case and cut at case changes; ours are whole.
        Ok(if is_stored(setting.home.path(), canary) { canary.to_owned() } else { String::new() })
    }),
];

fn at(path: &str, line: u32) -> At {
    At { path: path.to_owned(), line, column: 6, encoding: Encoding::Utf32 }
}

/// Whether any file of ours holds the word, as it is or in UTF-16. Short words are stored as they are
/// even where values are compressed.
fn is_stored(home: &Path, canary: &str) -> bool {
    let wide: Vec<u8> = canary.encode_utf16().flat_map(u16::to_le_bytes).collect();
    tree::all_files(home).iter().any(|file| {
        let bytes = fs::read(file).unwrap_or_default();
        [canary.as_bytes(), &wide]
            .iter()
            .any(|needle| bytes.windows(needle.len()).any(|window| window == *needle))
    })
}

fn wait_until_gone(home: &Path, canary: &str, since: Instant) -> Result<()> {
    while is_stored(home, canary) {
        if since.elapsed() > PURGED {
            let holds: Vec<_> = tree::all_files(home)
                .into_iter()
                .filter(|file| {
                    let bytes = fs::read(file).unwrap_or_default();
                    bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
                })
                .collect();
            bail!("its bytes are still in {holds:?} after {} s", since.elapsed().as_secs());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// Every tool that could tell of a file or word.
fn ask_everything(agent: &mut Agent, path: &str, canary: &str) -> Result<String> {
    let half = &canary[..12];
    let mut text = String::new();
    for (tool, arguments) in [
        ("search", json!({ "query": format!("makes a {half}") })),
        ("search", json!({ "query": path })),
        ("definition", json!({ "target": format!("{path}:8:6") })),
        ("references", json!({ "target": format!("{path}:8:6") })),
        ("impact", json!({ "target": format!("{path}:8:6") })),
        ("context", json!({ "at": format!("{path}:9:3") })),
        ("outline", json!({ "budget": 20_000 })),
        ("status", json!({ "path": path })),
    ] {
        let params = json!({ "name": tool, "arguments": arguments });
        text.push_str(&agent.request("tools/call", params)?.to_string());
    }
    Ok(text)
}

/// Deleted, ignored, renamed to an excluded name, or in a folder that goes: gone from every store.
fn leaves(round: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(60, rng)?, tempfile::tempdir()?);
    let canary = canary(rng);
    tree.write("gone/deep/file.py", text(&canary))?;
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    // Until it is durable.
    let durable = Instant::now();
    while !is_stored(home.path(), &canary) {
        ensure!(durable.elapsed() < Duration::from_secs(20), "it was never stored");
        std::thread::sleep(Duration::from_millis(100));
    }
    let file = tree.root.join("gone/deep/file.py");
    match round % 6 {
        0 => fs::remove_file(&file)?,
        1 => tree.write(".gitignore", "deep/\n")?,
        2 => fs::rename(&file, tree.root.join("gone/deep/.env"))?,
        // Its other name is excluded, and that later.
        3 => {
            fs::hard_link(&file, tree.root.join("other.py"))?;
            client.sync()?;
            tree.write(".foveaignore", "other.py\n")?;
        }
        // Or it gets a name that is excluded already, somewhere else.
        4 => fs::hard_link(&file, tree.root.join(".env"))?,
        _ => fs::remove_dir_all(tree.root.join("gone"))?,
    }
    let started = Instant::now();
    client.sync()?;
    ensure!(client.grep(&canary, 9)?.is_empty(), "it is still found");
    wait_until_gone(home.path(), &canary, started)?;
    let seconds = started.elapsed().as_secs_f32();
    // And what is left still answers as it should.
    crate::oracle::check(&client, &tree.root)?;
    Ok(format!("after {seconds:.0} s"))
}

/// 60 names that are never read, whatever they hold.
fn not_opened() -> Result<String> {
    sandbox::need_strace()?;
    let (tree, home) = (Tree::empty()?, tempfile::tempdir()?);
    let names: Vec<String> = [
        ".env .env.local .env.production app.env .envrc .dev.vars .flaskenv server.pem tls.key a.p12 a.pfx",
        "a.p8 a.jks a.keystore a.ppk a.asc a.gpg a.age a.kdb a.kdbx a.ovpn id_rsa id_dsa id_ecdsa id_ed25519",
        "ssh_host_rsa_key .netrc _netrc .npmrc .yarnrc .pypirc .pgpass .my.cnf .s3cfg .boto kubeconfig",
        ".dockercfg .git-credentials .htpasswd htpasswd credentials credentials.json credentials.toml",
        "client_secret_1.json my-service-account.json google-services.json secrets.json secrets.toml",
        "secrets.yml secrets.yaml master.key .vault-token .terraformrc auth.json shadow filezilla.xml",
        "sftp-config.json terraform.tfstate a.tfstate a.tfvars a.har a.hprof .bash_history .psql_history",
    ]
    .iter()
    .flat_map(|line| line.split(' '))
    .map(str::to_owned)
    .collect();
    ensure!(names.len() >= 60, "{} names", names.len());
    for name in &names {
        tree.write(&format!("conf/{name}"), "value = 1\n")?;
    }
    tree.write("conf/read.py", "value = 1\n")?;
    // What only the user's own settings can ask for.
    let settings = home.path().join("config/config.toml");
    fs::create_dir_all(home.path().join("config"))?;
    fs::write(&settings, "[index]\nhidden = true\n")?;
    let log = home.path().join("strace");
    let before = ["strace", "-f", "-qq", "-s", "300", "-o", sandbox::text(&log)];
    let before = [&before[..], &["-e", "trace=open,openat,openat2"]].concat();
    let args = ["--no-daemon", "--root", sandbox::text(&tree.root), "index"];
    let output = wrapped(&before, home.path(), &args).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = fs::read_to_string(&log)?;
    let is_opened = |name: &str| calls.contains(&format!("conf/{name}\""));
    ensure!(is_opened("read.py"), "the log says nothing");
    let opened: Vec<&String> = names.iter().filter(|name| is_opened(name)).collect();
    ensure!(opened.is_empty(), "opened: {opened:?}");
    Ok(format!("{} names", names.len()))
}

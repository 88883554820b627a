//! Recall on shapes of secrets, on shapes no rule was made for, and silence on ordinary code. Values are
//! made when the tests run, so that no file of ours looks like a leak.

use std::collections::BTreeSet;

use super::{
    rules::RULES,
    secrets::{ASSIGNED, find, redact},
};

struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn text(&mut self, alphabet: &str, len: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..len).map(|_| char::from(alphabet[self.next(alphabet.len())])).collect()
    }

    /// Replaces each `{w36}` by 36 random letters and digits; the letter says which characters.
    fn fill(&mut self, template: &str) -> String {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let (hole, after) = after.split_once('}').expect("templates are constants");
            let (kind, len) = hole.split_at(1);
            let alphabet = match kind {
                "w" => alphanumeric(),
                "x" => HEX.to_owned(),
                "d" => DIGITS.to_owned(),
                "l" => alphanumeric()[..52].to_owned(),
                "u" => format!("{}{DIGITS}", LOWER.to_uppercase()),
                "n" => format!("{LOWER}{DIGITS}"),
                "z" => format!("{}234567", LOWER.to_uppercase()),
                "b" => alphanumeric() + "+/",
                "s" => alphanumeric() + "!#%^*-_+",
                _ => unreachable!("templates are constants"),
            };
            filled.push_str(&self.text(&alphabet, len.parse().expect("templates are constants")));
            rest = after;
        }
        filled + rest
    }
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
const UUID: &str = "{x8}-{x4}-{x4}-{x4}-{x12}";

fn alphanumeric() -> String {
    format!("{LOWER}{}{DIGITS}", LOWER.to_uppercase())
}

/// Rule, and a text with the secret between `«` and `»`.
#[rustfmt::skip]
const OWN: &[(&str, &str)] = &[
    ("age-key", "«AGE-SECRET-KEY-1{u58}»"),
    ("aws-access-key", "key = «AKIA{z16}»\n"),
    ("aws-access-key", "[default]\naws_access_key_id=«ASIA{z16}»"),
    ("aws-secret-key", "aws_secret_access_key = \"«{b40}»\""),
    ("github-token", "let t = \"«ghp_{w36}»\";"),
    ("github-token", "https://x-access-token:«ghs_{w36}»@github.com/a/b"),
    ("github-fine-grained-token", "x: «github_pat_{w60}»"),
    ("gitlab-token", "«glpat-{w20}»"),
    ("slack-token", "SLACK=«xoxb-{d12}-{d12}-{w24}»"),
    ("slack-app-token", "«xapp-1-{u11}-{d13}-{x64}»"),
    ("slack-webhook", "https://hooks.slack.com/services/«T{u9}/B{u9}/{w24}»"),
    ("stripe-key", "stripe.api_key = '«sk_live_{w24}»'"),
    ("stripe-key", "«whsec_{w32}»"),
    ("google-api-key", "<a key=\"«AIza{w35}»\">"),
    ("google-oauth-secret", "«GOCSPX-{w28}»"),
    ("google-oauth-token", "token «ya29.{w60}»"),
    ("openai-key", "client(«sk-proj-{w48}»)"),
    ("openai-key", "client(«sk-{w48}»)"),
    ("anthropic-key", "client(«sk-ant-api03-{w93}»)"),
    ("hugging-face-token", "«hf_{l34}»"),
    ("npm-token", "//r/:_authToken=«npm_{w36}»"),
    ("pypi-token", "password = «pypi-AgEIcHlwaS5vcmc{w70}»"),
    ("rubygems-key", "«rubygems_{x48}»"),
    ("crates-io-token", "token: «cio{w32}»"),
    ("docker-token", "«dckr_pat_{w27}»"),
    ("sendgrid-key", "«SG.{w22}.{w43}»"),
    ("mailgun-key", "('api', '«key-{x32}»')"),
    ("mailchimp-key", "«{x32}-us12»"),
    ("twilio-key", "twilio(«SK{x32}»)"),
    ("telegram-token", "bot(\"«{d10}:AA{w33}»\")"),
    ("discord-token", "discord bot «M{w23}.{w6}.{w38}»"),
    ("discord-webhook", "https://discord.com/api/webhooks/«{d18}/{w68}»"),
    ("digitalocean-token", "«dop_v1_{x64}»"),
    ("shopify-token", "«shpat_{x32}»"),
    ("square-token", "«sq0atp-{w22}»"),
    ("databricks-token", "«dapi{x32}»"),
    ("azure-storage-key", "AccountName=x;AccountKey=«{b86}==»;Endpoint"),
    ("azure-client-secret", "«{w3}8Q~{w34}»"),
    ("vault-token", "«hvs.{w32}»"),
    ("terraform-token", "«{w14}.atlasv1.{w64}»"),
    ("grafana-token", "«glsa_{w32}_{x8}»"),
    ("new-relic-key", "«NRAK-{u27}»"),
    ("datadog-key", "DD_API_KEY=«{x32}»"),
    ("postman-key", "«PMAK-{x24}-{x34}»"),
    ("atlassian-token", "«ATATT3{w180}»"),
    ("linear-key", "«lin_api_{w40}»"),
    ("notion-token", "«ntn_{w46}»"),
    ("airtable-token", "«pat{w14}.{x64}»"),
    ("figma-token", "«figd_{w40}»"),
    ("fastly-cloudflare-key", "CLOUDFLARE_API_TOKEN: «{w40}»\n"),
    ("fly-token", "«fo1_{w43}»"),
    ("planetscale-token", "«pscale_tkn_{w43}»"),
    ("doppler-token", "«dp.pt.{w43}»"),
    ("sentry-token", "«sntryu_{x64}»"),
    ("facebook-token", "«EAAC{w80}»"),
    ("groq-key", "«gsk_{w52}»"),
    ("replicate-token", "«r8_{w37}»"),
    ("perplexity-key", "«pplx-{w48}»"),
    ("tailscale-key", "«tskey-auth-{w12}-{w32}»"),
    ("jwt", "cookie: session=«eyJ{w20}.eyJ{w60}.{w43}»"),
    ("bearer-header", "'Authorization': 'Bearer «{w40}»'"),
    ("url-password", "postgres://app:«{w16}»@db.internal:5432/x"),
    ("adobe-token", "«p8e-{x32}»"),
    ("alibaba-key", "«LTAI{w20}»"),
    ("bitbucket-password", "«ATBB{w32}»"),
    ("buildkite-token", "«bkua_{n40}»"),
    ("circleci-token", "«CCIPAT_{w22}_{x40}»"),
    ("clojars-token", "«CLOJARS_{n60}»"),
    ("dropbox-token", "«sl.{w140}»"),
    ("duffel-token", "«duffel_live_{w43}»"),
    ("dynatrace-token", "«dt0c01.{u24}.{u64}»"),
    ("easypost-key", "«EZAK{w54}»"),
    ("flutterwave-key", "«FLWSECK_TEST-{x32}»"),
    ("frameio-token", "«fio-u-{w64}»"),
    ("gitlab-other-token", "«glft-{w20}»"),
    ("heroku-key", "«HRKU-{w60}»"),
    ("hubspot-token", "«pat-na1-{x8}-{x4}-{x4}-{x4}-{x12}»"),
    ("infracost-key", "«ico-{w32}»"),
    ("jfrog-key", "«AKCp{w69}»"),
    ("launchdarkly-key", "«sdk-{x8}-{x4}-{x4}-{x4}-{x12}»"),
    ("mapbox-secret", "«sk.eyJ{w70}.{w22}»"),
    ("maxmind-key", "«{w6}_{w29}_mmk»"),
    ("netlify-token", "«nfp_{w36}»"),
    ("npm-registry-auth", "//registry.internal/:_auth=«{b40}==»\n"),
    ("nuget-key", "«oy2{n43}»"),
    ("octopus-key", "«API-{u26}»"),
    ("okta-token", "Authorization: SSWS «00{w40}»"),
    ("one-password-token", "«ops_eyJ{w260}»"),
    ("openshift-token", "--token=«sha256~{w43}»"),
    ("plaid-token", "«access-production-{x8}-{x4}-{x4}-{x4}-{x12}»"),
    ("prefect-key", "«pnu_{w36}»"),
    ("pulumi-token", "«pul-{x40}»"),
    ("readme-key", "«rdme_{n70}»"),
    ("sendinblue-key", "«xkeysib-{x64}-{w16}»"),
    ("shippo-token", "«shippo_live_{x40}»"),
    ("sonar-token", "sonar.login=«sqp_{x40}»"),
    ("sourcegraph-token", "«sgp_{x40}»"),
    ("supabase-token", "«sbp_{x40}»"),
    ("teams-webhook", "https://x.webhook.office.com/webhookb2/«{x8}-{x4}-{x4}-{x4}-{x12}@{x8}/IncomingWebhook/{x32}»"),
    ("typeform-token", "«tfp_{w59}»"),
    ("xai-key", "«xai-{w80}»"),
    ("docker-auth", "{\"auths\": {\"r.internal\": {\"auth\": \"«{b48}==»\"}}}"),
    ("url-password", "redis://:«{w24}»@cache.internal:6379/0"),
    ("url-password", "https://user:«tok%40{w16}»@git.internal/x.git"),
    ("url-password", "https://first%2Elast:«{w16}»@git.internal/x.git"),
    ("url-password", "postgres://svc:«Password{w18}»@db.internal/x"),
    ("url-password", "amqp://svc:«{w12}your{w6}»@mq.internal"),
    ("url-password", "mysql://svc:«123456{w18}»@db.internal"),
    ("url-token", "git clone https://«{w40}»@git.internal/x.git"),
    ("url-token", "https://«{x32}»@errors.internal/7"),
    ("sshpass-password", "sshpass -p '«{w16}»' ssh root@host"),
    ("sshpass-password", "sshpass -v -p«{w16}» scp a b"),
    (ASSIGNED, "DB_PASSWORD = \"«Password-{w20}»\""),
    ("curl-password", "curl -s -u admin:«{w16}» https://x.internal/"),
    ("connection-password", "Server=db;User Id=app;Password=«{s20}»;Encrypt=true"),
    (ASSIGNED, "DB_PASSWORD = \"«{s20}»\""),
    (ASSIGNED, "  api_key: «{w32}»\n"),
    (ASSIGNED, "const token = '«{x40}»';"),
    (ASSIGNED, "\"clientSecret\": \"«{w28}»\","),
    (ASSIGNED, "static API_KEY: &str = \"«{w32}»\";"),
    (ASSIGNED, "val authToken: String? = \"«{w32}»\""),
    (ASSIGNED, "define('AUTH_KEY', '«{s64}»');"),
    (ASSIGNED, "#define API_TOKEN \"«{w32}»\""),
    (ASSIGNED, "<password>«{w24}»</password>"),
    (ASSIGNED, "    Secret:        \"«{b44}»\","),
    (ASSIGNED, "ENV API_TOKEN «{w32}»\n"),
    (ASSIGNED, "builder.setPassword(\"«{w20}»\")"),
];

/// Names as services and frameworks without a rule of their own have them, and their values.
#[rustfmt::skip]
const HELD_OUT: &[(&str, &str)] = &[
    ("ALGOLIA_ADMIN_API_KEY", "{x32}"), ("ASANA_ACCESS_TOKEN", "{d16}:{x32}"), ("BEAMER_API_KEY", "b_{w44}"),
    ("BITTREX_API_SECRET", "{x32}"), ("CODECOV_TOKEN", UUID), ("COINBASE_API_SECRET", "{b86}=="),
    ("CONFLUENT_API_SECRET", "{b64}"), ("CONTENTFUL_DELIVERY_TOKEN", "{w43}"), ("DISCORD_CLIENT_SECRET", "{w32}"),
    ("DRONE_TOKEN", "{w32}"), ("ETSY_API_KEY", "{n24}"), ("FINNHUB_API_KEY", "{n20}"),
    ("FRESHBOOKS_ACCESS_TOKEN", "{x64}"), ("GITTER_ACCESS_TOKEN", "{x40}"), ("GOCARDLESS_ACCESS_TOKEN", "live_{w40}"),
    ("INTERCOM_ACCESS_TOKEN", "{w58}="), ("KRAKEN_PRIVATE_KEY", "{b86}=="), ("KUCOIN_API_SECRET", UUID),
    ("LOB_API_KEY", "live_{x35}"), ("LOOKER_CLIENT_SECRET", "{w24}"), ("MATTERMOST_TOKEN", "{n26}"),
    ("MESSAGEBIRD_ACCESS_KEY", "{w25}"), ("NYTIMES_API_KEY", "{w32}"), ("RAPIDAPI_KEY", "{w50}"),
    ("SNYK_TOKEN", UUID), ("SQUARESPACE_API_KEY", UUID), ("SUMOLOGIC_ACCESS_KEY", "{w64}"),
    ("TRAVIS_TOKEN", "{w22}"), ("TRELLO_TOKEN", "{x64}"), ("TWITCH_CLIENT_SECRET", "{n30}"),
    ("TWITTER_API_SECRET", "{w50}"), ("YANDEX_API_KEY", "AQVN{w36}"), ("ZENDESK_API_TOKEN", "{w40}"),
    ("DATABASE_PASSWORD", "{s20}"), ("REDIS_PASSWORD", "{w32}"), ("SMTP_PASSWORD", "{w16}"),
    ("JWT_SECRET", "{w64}"), ("SESSION_SECRET", "{w48}"), ("COOKIE_SECRET", "{x32}"), ("SECRET_KEY_BASE", "{x128}"),
    ("NEXTAUTH_SECRET", "{b43}="), ("ENCRYPTION_KEY", "{x64}"), ("DJANGO_SECRET_KEY", "{s50}"),
    ("WEBHOOK_SIGNING_SECRET", "{w40}"), ("ADMIN_PASSWORD", "{s18}"), ("RECAPTCHA_SECRET", "{w40}"),
    ("MAPS_API_KEY", "{w39}"), ("CLOUDINARY_API_SECRET", "{w27}"), ("PUSHER_APP_SECRET", "{x20}"),
    ("TWILIO_AUTH_TOKEN", "{x32}"), ("ROLLBAR_ACCESS_TOKEN", "{x32}"), ("OAUTH_CLIENT_SECRET", "{w64}"),
    ("KEYCLOAK_CLIENT_SECRET", UUID), ("CONSUL_HTTP_TOKEN", UUID), ("NOMAD_TOKEN", UUID), ("ES_PASSWORD", "{w20}"),
    ("MONGO_PASSWORD", "{w24}"), ("LDAP_BIND_PASSWORD", "{s16}"), ("SEGMENT_WRITE_KEY", "{w32}"),
    ("VAULT_UNSEAL_KEY", "{b43}="), ("RABBITMQ_DEFAULT_PASS", "{w20}"), ("ADAFRUIT_IO_KEY", "aio_{w28}"),
];

/// How languages write a name and a value.
#[rustfmt::skip]
const STYLES: &[&str] = &[
    "NAME = \"VALUE\"", "const NAME = 'VALUE';", "NAME: VALUE\n", "\"NAME\": \"VALUE\",", "NAME=VALUE\n",
    "private static final String NAME = \"VALUE\";", "\tNAME:   \"VALUE\",", "export NAME=\"VALUE\"",
    "ENV['NAME'] = 'VALUE'", "os.environ[\"NAME\"] = \"VALUE\"", "pub const NAME: &str = \"VALUE\";",
    "let NAME: string = `VALUE`", ":NAME => 'VALUE',", "#define NAME \"VALUE\"", "var NAME = @\"VALUE\";",
    "NAME := \"VALUE\"", "config.set(\"NAME\", \"VALUE\")", "<NAME>VALUE</NAME>",
];

fn camel(name: &str) -> String {
    let mut words = name.split('_').map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    first + &words.map(|word| word[..1].to_uppercase() + &word[1..]).collect::<String>()
}

/// Whether all of the secret was overwritten, and nothing moved.
fn is_covered(before: &str, secret: &str) -> bool {
    let mut after = before.to_owned();
    redact(&mut after);
    assert_eq!(after.len(), before.len());
    assert_eq!(after.lines().count(), before.lines().count());
    let start = before.find(secret).expect("the secret is in the text");
    assert_eq!(after[..start].split_whitespace().next(), before[..start].split_whitespace().next());
    after[start..start + secret.len()].chars().all(|char| char == '*')
}

#[test]
fn every_rule_finds_its_shapes() {
    let covered: BTreeSet<&str> = OWN.iter().map(|(rule, _)| *rule).collect();
    let untested: Vec<&str> = RULES
        .iter()
        .map(|rule| rule.name)
        .filter(|rule| !covered.contains(rule) && *rule != "private-key")
        .collect();
    assert_eq!(untested, Vec::<&str>::new(), "rules without a shape");
    let mut random = Random(0x5eed_0123_4567_89ab);
    let (mut n_run, mut missed) = (0, Vec::new());
    for _ in 0..100 {
        for (rule, template) in OWN {
            let marked = random.fill(&template.replace("{\"", "\u{1}\"").replace("}}}", "\u{2}"));
            let marked = marked.replace('\u{1}', "{").replace('\u{2}', "}}}");
            let (before, rest) = marked.split_once('«').expect("marked");
            let (secret, after) = rest.split_once('»').expect("marked");
            let text = format!("fn main() {{}}\n{before}{secret}{after}\n// é end\n");
            n_run += 1;
            if !is_covered(&text, secret.trim()) {
                missed.push((rule, text));
            }
        }
    }
    let recall = 1.0 - missed.len() as f64 / n_run as f64;
    let rules: BTreeSet<_> = missed.iter().map(|(rule, _)| rule).collect();
    eprintln!(
        "own shapes: {}/{n_run} cases passed / cases run; missed {rules:?}",
        n_run - missed.len()
    );
    assert!(recall >= 0.99, "recall {recall:.4}: {:?}", &missed[..missed.len().min(8)]);
}

#[test]
fn shapes_without_a_rule_of_their_own_are_found_by_name_and_randomness() {
    let mut random = Random(0x0dd_ba11);
    let (mut n_run, mut missed) = (0, Vec::new());
    for (name, value) in HELD_OUT {
        for style in STYLES {
            for name in [(*name).to_owned(), name.to_lowercase(), camel(name)] {
                let value = random.fill(value);
                let text =
                    format!("a\n{}\nb\n", style.replace("NAME", &name).replace("VALUE", &value));
                n_run += 1;
                if !is_covered(&text, &value) {
                    missed.push(text);
                }
            }
        }
    }
    let recall = 1.0 - missed.len() as f64 / n_run as f64;
    eprintln!("held-out shapes: {}/{n_run} cases passed / cases run", n_run - missed.len());
    if std::env::var_os("FOVEA_TEST_SHOW").is_some() {
        missed.iter().for_each(|text| eprintln!("{}", text.trim()));
    }
    assert!(recall >= 0.95, "recall {recall:.4}: {:?}", &missed[..missed.len().min(20)]);
}

#[test]
fn a_key_block_loses_its_body_and_keeps_its_lines() {
    let mut random = Random(7);
    let body: String = (0..12).map(|_| random.text(&alphanumeric(), 64) + "\n").collect();
    let begin = format!("-----BEGIN {} KEY-----", "RSA PRIVATE");
    let end = format!("-----END {} KEY-----", "RSA PRIVATE");
    for (text, is_whole) in
        [(format!("a\n{begin}\n{body}{end}\nb\n"), true), (format!("{begin}\n{body}"), false)]
    {
        let mut after = text.clone();
        let found = redact(&mut after);
        assert_eq!(
            found.iter().map(|redaction| redaction.rule).collect::<Vec<_>>(),
            ["private-key"]
        );
        assert!(body.lines().all(|line| !after.contains(line)));
        assert_eq!(after.lines().count(), text.lines().count());
        assert_eq!(after.contains(&end), is_whole);
    }
}

#[test]
fn a_key_block_in_a_comment_or_a_page_is_one_too() {
    let mut random = Random(11);
    let lines: Vec<String> = (0..6).map(|_| random.text(&alphanumeric(), 64)).collect();
    for kind in ["RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
        let (begin, end) = (format!("-----BEGIN {kind}-----"), format!("-----END {kind}-----"));
        for (before, behind) in [
            ("# ", ""),
            (" * ", ""),
            ("> ", ""),
            ("// ", ""),
            ("-- ", ""),
            ("; ", ""),
            ("% ", ""),
            ("", "<br>"),
            ("<p>", "</p>"),
            ("\"", "\\n\" +"),
            ("| ", " |"),
        ] {
            let header = "Comment: me <me@host.internal>";
            let block = [&begin, header, ""].into_iter().map(str::to_owned);
            let block = block.chain(lines.iter().cloned()).chain([end.clone()]);
            let text: String = block.map(|line| format!("{before}{line}{behind}\n")).collect();
            let mut after = text.clone();
            redact(&mut after);
            assert!(lines.iter().all(|line| !after.contains(&line[..20])), "{before:?}: {after}");
            assert_eq!(after.lines().count(), text.lines().count());
            assert!(after.contains(&end), "{after}");
        }
    }
}

#[test]
fn ordinary_code_is_left_alone() {
    for text in [
        "let token = tokenizer.next_token();",
        "password = getpass.getpass('Password: ')",
        "token: &'static str = \"end_of_file_token\";",
        "secret_key = os.environ[\"SECRET_KEY\"]",
        "api_key = \"your-api-key-goes-here-1\"",
        "const TOKEN_TYPES: [TokenType; 12] = [TokenType::A1];",
        "let token_count_2 = count_tokens_v2;",
        "password: ${{ secrets.DB_PASSWORD_1 }}",
        "commit = \"da39a3ee5e6b4b0d3255bfef95601890afd80709\"",
        "id: 123e4567-e89b-12d3-a456-426614174000",
        "checksum = \"9b2a0d3e4f5c6b7a8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e\"",
        "postgres://user:password@localhost/db",
        "https://example.com:8080/path@2x.png",
        "http://%s:%s@localhost/",
        "ssh://git@git.internal/x.git",
        "https://first.last-of-the-team@git.internal/x",
        "https://organization_name@dev.internal/x",
        "redis://:password@localhost:6379",
        "postgres://svc:your-password-goes-here@db/x",
        "password = \"password123456\"",
        "sshpass -p \"$PASS\" ssh host",
        "sshpass -p password ssh host",
        "begin = '-----BEGIN PRIVATE KEY-----'\nend = '-----END PRIVATE KEY-----'",
        "token_urls = \"/oauth2/v1/tokens/list\"",
        "AuthToken::new(SecretKind::Bearer2)",
        "The token: a long sentence about passwords and secrets.",
        "self.token_re = re.compile(r'[a-z0-9]+')",
    ] {
        assert_eq!(find(text), [], "{text}");
    }
}

/// This workspace's sources, or with `FOVEA_TEST_SOURCES` whatever lies below that folder; with
/// `FOVEA_TEST_SHOW` every alarm's place and rule.
#[test]
fn clean_sources_raise_few_alarms() {
    let root = std::env::var_os("FOVEA_TEST_SOURCES").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        std::path::PathBuf::from,
    );
    let show = std::env::var_os("FOVEA_TEST_SHOW").is_some();
    let mut folders = vec![root];
    let (mut n_lines, mut n_bytes, mut n_alarms) = (0, 0, 0);
    let mut spent = std::time::Duration::ZERO;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name();
            let extension = path.extension().and_then(|name| name.to_str()).unwrap_or("");
            if kind.is_dir() && name != "target" && name != ".git" && name != "node_modules" {
                folders.push(path);
            } else if kind.is_file()
                && ["rs", "py", "toml", "md", "js", "ts", "go", "c", "h"].contains(&extension)
                && let Ok(text) = std::fs::read_to_string(&path)
                && text.len() <= 1 << 20
            {
                let start = std::time::Instant::now();
                let found = find(&text);
                spent += start.elapsed();
                n_lines += text.lines().count();
                n_bytes += text.len();
                n_alarms += found.len();
                for alarm in found.iter().filter(|_| show) {
                    let line = text[..alarm.range.start].lines().count();
                    eprintln!("{}:{line} {}", path.display(), alarm.rule);
                }
            }
        }
    }
    let rate = n_alarms as f64 * 10_000.0 / n_lines as f64;
    let speed = n_bytes as f64 / 1e6 / spent.as_secs_f64();
    eprintln!("{n_alarms} alarms in {n_lines} lines: {rate:.3} per 10,000; {speed:.0} MB/s");
    assert!(n_lines > 5_000, "nothing to scan");
    assert!(rate <= 1.0, "{rate:.3} false alarms per 10,000 lines");
}

#[test]
fn columns_stay_in_bytes_and_in_utf16() {
    let value = Random(3).text(&alphanumeric(), 20);
    let before = format!("password = \"{value}é日😀{value}\"; next()");
    let mut after = before.clone();
    assert_eq!(redact(&mut after).len(), 1);
    assert_eq!(after.len(), before.len());
    assert_eq!(after.encode_utf16().count(), before.encode_utf16().count());
    assert_eq!(after.find("next"), before.find("next"));
    assert!(!after.contains(&value) && !after.contains('日'));
}

#[test]
fn worst_cases_are_quick() {
    let n = 1 << 20;
    for text in [
        "a".repeat(n),
        "token=".repeat(n / 6),
        format!("-----BEGIN {} KEY-----\n", "PRIVATE").repeat(n / 32),
        "eyJ".repeat(n / 3),
        "://a:".repeat(n / 5),
        "AKIA".repeat(n / 4),
        "password:\"".repeat(n / 10),
        format!("secret {}", "x".repeat(n)),
    ] {
        let start = std::time::Instant::now();
        std::hint::black_box(find(&text));
        // Generous: shared machines and unoptimized builds. Quadratic work takes minutes.
        assert!(start.elapsed().as_secs() < 20, "{:?}: {:?}", &text[..12], start.elapsed());
    }
}

//! The shapes of secrets, as data. Each is a published token format of its issuer; the regular
//! expressions run on a linear engine, so no input makes them slow.

/// One shape.
pub(super) struct Rule {
    /// Stable name, shown by `fovea secrets`.
    pub(super) name: &'static str,
    /// Any of these must be in the text (ASCII case ignored) before the expression is tried.
    pub(super) keywords: &'static [&'static str],
    /// Group `secret` is what is redacted; without one the whole match.
    pub(super) pattern: &'static str,
    /// How random the secret must look, in bits a character; 0 for shapes that are proof enough.
    pub(super) min_entropy: f32,
}

const fn rule(
    name: &'static str,
    keywords: &'static [&'static str],
    pattern: &'static str,
    min_entropy: f32,
) -> Rule {
    Rule { name, keywords, pattern, min_entropy }
}

pub(super) const RULES: &[Rule] = &[
    rule(
        "private-key",
        &["private key"],
        // To the end marker; without one, as far as the lines look like a key.
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?P<secret>(?:[\sA-Za-z0-9+/=:,.()\\\x22'_-]){40,}?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY|\z)",
        0.0,
    ),
    rule("age-key", &["age-secret-key-"], r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b", 0.0),
    rule(
        "aws-access-key",
        &["akia", "asia", "abia", "acca"],
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
        3.0,
    ),
    rule(
        "aws-secret-key",
        &["aws", "amazon", "secret_access", "secretaccess"],
        r#"(?i)(?:aws|amazon|secret_?access)[\w .-]{0,30}["']?\s{0,3}(?::|=>|:=|=|,)\s{0,3}["']?(?P<secret>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|\z)"#,
        4.0,
    ),
    rule(
        "github-token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b",
        3.0,
    ),
    rule(
        "github-fine-grained-token",
        &["github_pat_"],
        r"\bgithub_pat_[A-Za-z0-9_]{22,255}\b",
        3.0,
    ),
    rule(
        "gitlab-token",
        &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-"],
        r"\bgl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_.-]{20,}",
        3.0,
    ),
    rule("slack-token", &["xox"], r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}", 2.8),
    rule(
        "slack-app-token",
        &["xapp-"],
        r"\bxapp-[0-9]-[A-Za-z0-9]{8,}-[0-9]{8,}-[A-Za-z0-9]{20,}",
        3.0,
    ),
    rule(
        "slack-webhook",
        &["hooks.slack.com"],
        r"hooks\.slack\.com/(?:services|workflows)/(?P<secret>[A-Za-z0-9+/]{40,60})",
        3.0,
    ),
    rule(
        "stripe-key",
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"],
        r"\b(?:[sr]k_(?:live|test)_[A-Za-z0-9]{10,247}|whsec_[A-Za-z0-9+/=]{24,})",
        3.0,
    ),
    rule("google-api-key", &["aiza"], r"\bAIza[A-Za-z0-9_-]{35}", 3.5),
    rule("google-oauth-secret", &["gocspx-"], r"\bGOCSPX-[A-Za-z0-9_-]{28}", 3.0),
    rule("google-oauth-token", &["ya29."], r"\bya29\.[A-Za-z0-9_-]{30,}", 3.5),
    rule(
        "openai-key",
        &["sk-"],
        r"\bsk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{32,200}",
        4.0,
    ),
    rule("anthropic-key", &["sk-ant-"], r"\bsk-ant-[A-Za-z0-9_-]{24,200}", 3.5),
    rule("hugging-face-token", &["hf_", "api_org_"], r"\b(?:hf_|api_org_)[A-Za-z]{34}\b", 3.5),
    rule("npm-token", &["npm_"], r"\bnpm_[A-Za-z0-9]{36}\b", 3.5),
    rule("pypi-token", &["pypi-ageichlwas5vcmc"], r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}", 3.0),
    rule("rubygems-key", &["rubygems_"], r"\brubygems_[a-f0-9]{48}\b", 3.0),
    rule("crates-io-token", &["cio"], r"\bcio[A-Za-z0-9]{32}\b", 4.0),
    rule("docker-token", &["dckr_pat_", "dckr_oat_"], r"\bdckr_[po]at_[A-Za-z0-9_-]{27,32}", 3.0),
    rule("sendgrid-key", &["sg."], r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}", 3.5),
    rule("mailgun-key", &["key-", "mailgun"], r"\bkey-[0-9a-f]{32}\b", 3.0),
    rule("mailchimp-key", &["-us"], r"\b[0-9a-f]{32}-us[0-9]{1,2}\b", 3.0),
    rule("twilio-key", &["sk", "twilio"], r"\bSK[0-9a-f]{32}\b", 3.0),
    rule("telegram-token", &[":aa"], r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b", 3.5),
    rule(
        "discord-token",
        &["discord", "bot "],
        r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}",
        3.8,
    ),
    rule(
        "discord-webhook",
        &["/api/webhooks/"],
        r"discord(?:app)?\.com/api/webhooks/(?P<secret>[0-9]{17,20}/[A-Za-z0-9_-]{60,80})",
        3.0,
    ),
    rule(
        "digitalocean-token",
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"\bdo[opr]_v1_[a-f0-9]{64}\b",
        3.0,
    ),
    rule(
        "shopify-token",
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"\bshp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}\b",
        3.0,
    ),
    rule(
        "square-token",
        &["sq0", "eaaa"],
        r"\b(?:sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22,43}|EAAA[A-Za-z0-9_-]{60})",
        3.5,
    ),
    rule("databricks-token", &["dapi"], r"\bdapi[a-f0-9]{32}(?:-[0-9])?\b", 3.0),
    rule(
        "azure-storage-key",
        &["accountkey", "sharedaccesskey"],
        r"(?i)(?:AccountKey|SharedAccessKey)\s?=\s?(?P<secret>[A-Za-z0-9+/]{43,86}={1,2})",
        3.5,
    ),
    rule("azure-client-secret", &["q~"], r"\b[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}", 3.5),
    rule("vault-token", &["hvs.", "hvb.", "hvr."], r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}", 3.5),
    rule(
        "terraform-token",
        &[".atlasv1."],
        r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}",
        3.5,
    ),
    rule(
        "grafana-token",
        &["glsa_", "glc_"],
        r"\b(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,400}={0,2})",
        3.0,
    ),
    rule(
        "new-relic-key",
        &["nrak-", "nrjs-", "nrii-"],
        r"\bNR(?:AK|JS|II)-[A-Za-z0-9_-]{19,32}",
        3.0,
    ),
    rule(
        "datadog-key",
        &["datadog", "dd_api", "dd_app", "dd-api", "dd-app"],
        r#"(?i)(?:datadog|dd)[\w .-]{0,20}["']?\s{0,3}[:=]\s{0,3}["']?(?P<secret>[a-f0-9]{40}|[a-f0-9]{32})\b"#,
        3.0,
    ),
    rule("postman-key", &["pmak-"], r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}\b", 3.0),
    rule("atlassian-token", &["atatt3", "atctt3"], r"\bAT[AC]TT3[A-Za-z0-9_=-]{150,250}", 3.5),
    rule(
        "linear-key",
        &["lin_api_", "lin_oauth_"],
        r"\blin_(?:api|oauth)_[A-Za-z0-9]{32,64}\b",
        3.5,
    ),
    rule(
        "notion-token",
        &["ntn_", "secret_"],
        r"\b(?:ntn_[A-Za-z0-9]{40,50}|secret_[A-Za-z0-9]{43})\b",
        3.8,
    ),
    rule("airtable-token", &["pat"], r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}\b", 3.0),
    rule("figma-token", &["figd_"], r"\bfigd_[A-Za-z0-9_-]{38,}", 3.5),
    rule(
        "fastly-cloudflare-key",
        &["fastly", "cloudflare"],
        r#"(?i)(?:fastly|cloudflare)[\w .-]{0,20}["']?\s{0,3}[:=]\s{0,3}["']?(?P<secret>[A-Za-z0-9_-]{32,40})\b"#,
        3.5,
    ),
    rule(
        "fly-token",
        &["fo1_", "fm1_", "fm2_"],
        r"\b(?:fo1_[A-Za-z0-9_-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{100,}={0,3})",
        3.5,
    ),
    rule(
        "planetscale-token",
        &["pscale_"],
        r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64}",
        3.0,
    ),
    rule(
        "doppler-token",
        &["dp."],
        r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,60}",
        3.5,
    ),
    rule(
        "sentry-token",
        &["sntrys_", "sntryu_"],
        r"\b(?:sntrys_eyJ[A-Za-z0-9+/=_-]{60,}|sntryu_[a-f0-9]{64})",
        3.0,
    ),
    rule("facebook-token", &["eaac", "eaab"], r"\bEAA[BC][A-Za-z0-9]{60,}", 3.5),
    rule("groq-key", &["gsk_"], r"\bgsk_[A-Za-z0-9]{48,56}\b", 3.5),
    rule("replicate-token", &["r8_"], r"\br8_[A-Za-z0-9]{37,40}\b", 3.5),
    rule("perplexity-key", &["pplx-"], r"\bpplx-[A-Za-z0-9]{40,56}\b", 3.5),
    rule(
        "tailscale-key",
        &["tskey-"],
        r"\btskey-[a-z]{2,10}-[A-Za-z0-9]{8,}-[A-Za-z0-9]{16,}",
        3.0,
    ),
    rule(
        "jwt",
        &["eyj"],
        r"\beyJ[A-Za-z0-9_-]{12,}\.eyJ[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]{16,}",
        3.5,
    ),
    rule(
        "bearer-header",
        &["bearer ", "basic "],
        r#"(?i)authorization["']?\s{0,3}[:=,]\s{0,3}["']?(?:bearer|basic|token)\s{1,3}(?P<secret>[A-Za-z0-9._~+/-]{20,}={0,2})"#,
        3.5,
    ),
    rule(
        "url-password",
        &["://"],
        r#"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@'"<>{}$%]{1,60}:(?P<secret>[^\s/@'"<>{}$%*]{6,100})@[A-Za-z0-9\[]"#,
        2.5,
    ),
];

//! What a client can set, defined once: `initializationOptions`, the `fovea` section of a configuration
//! change, the table in `docs/lsp-extensions.md`, and the settings of the VS Code extension, which a
//! test generates from [`schema`].

use fovea_api::Preset;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the server is told.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Options {
    pub(crate) features: Features,
    /// How much context of the project a suggestion may use.
    pub(crate) preset: Preset,
    /// Tokens of context. 0: the preset's.
    pub(crate) budget_tokens: usize,
    /// Longest suggestion, in tokens. 0: the daemon's own limit.
    pub(crate) max_tokens: usize,
    /// Suggestions of the model below this mean probability of a token are shown on demand only.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) min_confidence: f32,
    /// Read the code around a resting cursor before a key is pressed, so that the first suggestion there
    /// is quick.
    pub(crate) prepare: bool,
    /// Languages (ids as in `didOpen`) that another server of the client knows: their documents get
    /// ghost text and nothing else.
    pub(crate) peer_languages: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            features: Features::default(),
            preset: Preset::default(),
            budget_tokens: 0,
            max_tokens: 0,
            min_confidence: 0.0,
            prepare: true,
            peer_languages: Vec::new(),
        }
    }
}

impl Options {
    pub(crate) fn budget_tokens(&self) -> Option<usize> {
        (self.budget_tokens > 0).then_some(self.budget_tokens)
    }

    pub(crate) fn max_tokens(&self) -> Option<usize> {
        (self.max_tokens > 0).then_some(self.max_tokens)
    }
}

/// The features from one table: their names on the wire, what they do, whether they are on.
macro_rules! features {
    ($($(#[doc = $doc:literal])+ $variant:ident $field:ident $name:literal $default:literal,)+) => {
        /// What can be switched off, for clients that run another server beside.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Feature { $($variant,)+ }

        /// Switches, in the client's words; absent means the default.
        #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
        #[serde(default, rename_all = "camelCase")]
        pub(crate) struct Features { $($(#[doc = $doc])+ $field: bool,)+ }

        impl Feature {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As clients write it; with `Provider` behind it, as the protocol does.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        impl Features {
            pub(crate) fn has(&self, feature: Feature) -> bool {
                match feature { $(Feature::$variant => self.$field,)+ }
            }
        }

        impl Default for Features {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }
    };
}

features! {
    /// Ghost text.
    InlineCompletion inline_completion "inlineCompletion" true,
    /// Search for symbols in all files.
    WorkspaceSymbol workspace_symbol "workspaceSymbol" true,
    /// Names that fit in the completion menu, those to be imported and the model's suggestion among them.
    Completion completion "completion" true,
    /// Go to definition.
    Definition definition "definition" true,
    /// Go to declaration.
    Declaration declaration "declaration" true,
    /// Go to type definition.
    TypeDefinition type_definition "typeDefinition" true,
    /// Go to implementations.
    Implementation implementation "implementation" true,
    /// Find all references.
    References references "references" true,
    /// Highlight the symbol at the cursor.
    DocumentHighlight document_highlight "documentHighlight" true,
    /// The outline of a file.
    DocumentSymbol document_symbol "documentSymbol" true,
    /// Signature, documentation and origin of a name.
    Hover hover "hover" true,
    /// The signature of the call that is being written.
    SignatureHelp signature_help "signatureHelp" true,
    /// Callers and callees.
    CallHierarchy call_hierarchy "callHierarchy" true,
    /// Bases and what derives from them.
    TypeHierarchy type_hierarchy "typeHierarchy" true,
    /// Rename, where every reference is certain.
    Rename rename "rename" true,
    /// What can be folded.
    FoldingRange folding_range "foldingRange" true,
    /// Grow the selection by syntax.
    SelectionRange selection_range "selectionRange" true,
    /// Names of definitions colored by what they define.
    SemanticTokens semantic_tokens "semanticTokens" true,
    /// The number of references and tests above each definition.
    CodeLens code_lens "codeLens" false,
}

impl Feature {
    /// The request to register for when it was not offered at `initialize`.
    pub(crate) fn method(self) -> String {
        match self {
            Self::WorkspaceSymbol => "workspace/symbol".to_owned(),
            Self::CallHierarchy => "textDocument/prepareCallHierarchy".to_owned(),
            Self::TypeHierarchy => "textDocument/prepareTypeHierarchy".to_owned(),
            _ => format!("textDocument/{}", self.name()),
        }
    }

    /// True if the client, whose capabilities these are, takes it later than at `initialize`.
    pub(crate) fn can_come_late(self, capabilities: &Value) -> bool {
        let capability = match self {
            Self::WorkspaceSymbol => &capabilities["workspace"]["symbol"],
            _ => &capabilities["textDocument"][self.name()],
        };
        capability["dynamicRegistration"] == true
    }
}

/// JSON schema of the options.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Options).to_value()
}

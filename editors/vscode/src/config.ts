/** Settings: which program to start, and what the server is told. */
import * as vscode from "vscode";

/** Features that can be switched off one by one; the names are the server's. */
const FEATURES = [
  "inlineCompletion", "workspaceSymbol", "completion", "definition", "declaration", "typeDefinition",
  "implementation", "references", "documentHighlight", "documentSymbol", "hover", "signatureHelp",
  "callHierarchy", "typeHierarchy", "rename", "foldingRange", "selectionRange", "codeLens",
] as const;

/** Extensions that bring a language server, and the languages it knows. */
const PEERS: readonly (readonly [extension: string, languages: readonly string[]])[] = [
  ["rust-lang.rust-analyzer", ["rust"]],
  ["ms-python.vscode-pylance", ["python"]],
  ["ms-pyright.pyright", ["python"]],
  ["detachhead.basedpyright", ["python"]],
  ["golang.go", ["go"]],
  ["llvm-vs-code-extensions.vscode-clangd", ["c", "cpp"]],
  ["ms-vscode.cpptools", ["c", "cpp"]],
  ["redhat.java", ["java"]],
  ["vscode.typescript-language-features", ["javascript", "javascriptreact", "typescript", "typescriptreact"]],
];

export interface Config {
  /** Program the user names; empty: the bundled one, else the one on the PATH. */
  readonly path: string;
  readonly enable: boolean;
}

export function read(): Config {
  const settings = vscode.workspace.getConfiguration("fovea");
  // `machine` scope: a workspace cannot name a program to run.
  return { path: settings.get<string>("path", "").trim(), enable: settings.get<boolean>("enable", true) };
}

/** What the server is told, at its start and whenever it changes; `docs/lsp-extensions.md` has the names. */
export function serverOptions(): Record<string, unknown> {
  const settings = vscode.workspace.getConfiguration("fovea");
  const features: Record<string, boolean> = {};
  for (const feature of FEATURES) {
    features[feature] = settings.get<boolean>(`features.${feature}`, feature !== "codeLens");
  }
  const options: Record<string, unknown> = {
    features,
    preset: settings.get<string>("preset", "balanced"),
    minConfidence: settings.get<number>("minConfidence", 0),
    peerLanguages: settings.get<boolean>("yieldToPeers", true) ? peerLanguages() : [],
  };
  for (const [key, name] of [["budgetTokens", "budgetTokens"], ["maxTokens", "maxTokens"]] as const) {
    const value = settings.get<number>(name, 0);
    if (value > 0) {
      options[key] = value;
    }
  }
  return options;
}

/** Languages for which another server runs here: ours keeps to ghost text and search. */
function peerLanguages(): string[] {
  const known = PEERS.filter(([extension]) => vscode.extensions.getExtension(extension) !== undefined);
  return [...new Set(known.flatMap(([, languages]) => languages))];
}

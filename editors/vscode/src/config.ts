/** Settings: which program to start, and what the server is told. */
import * as vscode from "vscode";

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

/** Settings of the extension itself; all others are the server's, generated from its own table. */
const OWN = new Set(["path", "enable", "yieldToPeers"]);

/** What the server is told, at its start and whenever it changes: every setting that is not ours. */
export function serverOptions(extension: vscode.Extension<unknown>): Record<string, unknown> {
  const settings = vscode.workspace.getConfiguration("fovea");
  const known = Object.keys((extension.packageJSON as Manifest).contributes.configuration.properties);
  const options: Record<string, unknown> = {
    peerLanguages: settings.get<boolean>("yieldToPeers", true) ? peerLanguages() : [],
  };
  const features: Record<string, unknown> = {};
  for (const name of known.map((full) => full.replace(/^fovea\./, "")).filter((name) => !OWN.has(name))) {
    const feature = /^features\.(.*)$/.exec(name)?.[1];
    if (feature === undefined) {
      options[name] = settings.get(name);
    } else {
      features[feature] = settings.get(name);
    }
  }
  return { ...options, features };
}

/** What we read of our own package.json. */
interface Manifest {
  readonly contributes: { readonly configuration: { readonly properties: Record<string, unknown> } };
}

/** Languages for which another server runs here: ours keeps to ghost text and search. */
function peerLanguages(): string[] {
  const known = PEERS.filter(([extension]) => vscode.extensions.getExtension(extension) !== undefined);
  return [...new Set(known.flatMap(([, languages]) => languages))];
}

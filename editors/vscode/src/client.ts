/** Owns the language client: finds the program, starts it, stops it, asks it. */
import * as fs from "node:fs";

import * as vscode from "vscode";
import { LanguageClient, State, TransportKind, type ServerOptions } from "vscode-languageclient/node";

import { read, serverOptions } from "./config";
import type { Explanation, SearchResult, Status } from "./protocol";
import type { StatusItem } from "./status";

const LANGUAGES = [
  "rust", "python", "javascript", "javascriptreact", "typescript", "typescriptreact", "go", "c", "cpp", "java",
];

/** The newest ghost text: where it was offered, and its id. */
interface Offered {
  readonly uri: string;
  readonly position: vscode.Position;
  readonly suggestion: number;
}

export class Client implements vscode.Disposable {
  private running: LanguageClient | undefined;
  private offered: Offered | undefined;
  private typedAt = 0;
  private readonly disposables: vscode.Disposable[] = [];

  constructor(private readonly status: StatusItem, private readonly extension: vscode.Extension<unknown>) {
    this.disposables.push(
      vscode.workspace.onDidChangeConfiguration(async (event) => {
        if (event.affectsConfiguration("fovea.path") || event.affectsConfiguration("fovea.enable")) {
          await this.restart();
        } else if (event.affectsConfiguration("fovea")) {
          await this.sendOptions();
        }
      }),
      vscode.workspace.onDidChangeTextDocument(() => { this.typedAt = Date.now(); }),
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => this.noteCursor(textEditor)),
      vscode.window.onDidChangeActiveTextEditor((editor) => this.noteCursor(editor)),
      // A peer that is installed or enabled later counts from then on.
      vscode.extensions.onDidChange(() => this.sendOptions()),
    );
  }

  dispose(): void {
    this.disposables.forEach((disposable) => disposable.dispose());
  }

  /** The program to start: the user's, the bundled one, or the one on the PATH. */
  private command(): string {
    const { path } = read();
    if (path !== "") {
      return path;
    }
    const name = process.platform === "win32" ? "fovea.exe" : "fovea";
    const bundled = vscode.Uri.joinPath(this.extension.extensionUri, "server", name).fsPath;
    return fs.existsSync(bundled) ? bundled : name;
  }

  /** Starts the server; a failure is shown with what to do, and does not break activation. */
  async start(): Promise<void> {
    if (!read().enable) {
      this.status.show("off", "Fovea is switched off in the settings (`fovea.enable`)");
      return;
    }
    const command = this.command();
    const server: ServerOptions = { command, args: ["lsp"], transport: TransportKind.stdio };
    // The server's inlineCompletionProvider becomes a vscode.InlineCompletionItemProvider in the client library.
    const client = new LanguageClient("fovea", "Fovea", server, {
      documentSelector: LANGUAGES.map((language) => ({ scheme: "file", language })),
      initializationOptions: serverOptions(this.extension),
      middleware: {
        provideInlineCompletionItems: async (document, position, context, token, next) => {
          const result = await next(document, position, context, token);
          const items = Array.isArray(result) ? result : result?.items;
          const id: unknown = items?.[0]?.command?.arguments?.[0];
          if (typeof id === "number") {
            this.offered = { uri: document.uri.toString(), position, suggestion: id };
          }
          return result;
        },
      },
    });
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Running) {
        this.status.show("ready", "Fovea is running");
        void this.describe();
      } else if (newState === State.Stopped) {
        this.status.show("off", "Fovea has stopped; run “Fovea: Restart Server”");
      }
    });
    this.status.show("starting", "Fovea is starting");
    try {
      await client.start();
      this.running = client;
    } catch (error) {
      await client.dispose().catch(() => undefined);
      this.status.show(
        "failed",
        `Fovea cannot start “${command} lsp”: ${String(error)}. ` +
          "Install it with `cargo install --path daemon`, or set `fovea.path`.",
      );
    }
  }

  async stop(): Promise<void> {
    const client = this.running;
    this.running = undefined;
    await client?.dispose();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Says in the status bar's tooltip what is indexed and which model answers. */
  async describe(): Promise<void> {
    const status = await this.askStatus().catch(() => undefined);
    if (status !== undefined && status !== null) {
      this.status.describe(status);
    }
  }

  private async sendOptions(): Promise<void> {
    await this.running?.sendNotification("workspace/didChangeConfiguration", { settings: { fovea: serverOptions(this.extension) } });
  }

  async askStatus(): Promise<Status | undefined> {
    return this.running?.sendRequest<Status>("fovea/status");
  }

  async search(query: string): Promise<SearchResult | undefined> {
    return this.running?.sendRequest<SearchResult>("fovea/search", { query });
  }

  /** Why the ghost text at the cursor is what it is; without one, what a suggestion would see. */
  async explain(editor: vscode.TextEditor): Promise<Explanation | null | undefined> {
    const uri = editor.document.uri.toString();
    const { line, character } = editor.selection.active;
    const offered = this.offered;
    // Ghost text stays while the user types along it, so the line is what has to fit.
    const isShown = offered?.uri === uri && offered.position.line === line;
    return this.running?.sendRequest<Explanation | null>("fovea/explain", {
      textDocument: { uri },
      position: { line, character },
      suggestion: isShown ? offered.suggestion : undefined,
    });
  }

  /** Lets the server read the context of the place where the cursor is. */
  private noteCursor(editor: vscode.TextEditor | undefined): void {
    // What is typed is asked about by itself.
    if (editor === undefined || editor.selections.length !== 1 || Date.now() - this.typedAt < 100) {
      return;
    }
    const { document, selection } = editor;
    if (document.uri.scheme !== "file" || !LANGUAGES.includes(document.languageId) || !selection.isEmpty) {
      return;
    }
    const { line, character } = selection.active;
    void this.running?.sendNotification("fovea/cursor", {
      textDocument: { uri: document.uri.toString() }, position: { line, character },
    });
  }

  /** Any request of the protocol itself. */
  async ask<T>(method: string, params: unknown): Promise<T | undefined> {
    return this.running?.sendRequest<T>(method, params);
  }

  /** A location of the server as the editor's. */
  location(place: { uri: string; range: { start: { line: number; character: number }; end: { line: number; character: number } } }): vscode.Location {
    const { start, end } = place.range;
    return new vscode.Location(
      vscode.Uri.parse(place.uri, true),
      new vscode.Range(start.line, start.character, end.line, end.character),
    );
  }
}

/** Owns the language client: starts it, stops it, asks it for its status. */
import { LanguageClient, State, TransportKind, type ServerOptions } from "vscode-languageclient/node";

import { read } from "./config";
import type { StatusItem } from "./status";

const LANGUAGES = ["rust", "python", "javascript", "typescript", "typescriptreact", "go", "c", "cpp", "java"];

export class Client {
  private running: LanguageClient | undefined;

  constructor(private readonly status: StatusItem) {}

  /** Starts the server; a failure is shown with what to do, and does not break activation. */
  async start(): Promise<void> {
    const config = read();
    if (!config.enable) {
      this.status.show("off", "Fovea is switched off in the settings");
      return;
    }
    const server: ServerOptions = { command: config.command, args: ["lsp"], transport: TransportKind.stdio };
    // The server's inlineCompletionProvider becomes a vscode.InlineCompletionItemProvider in the client library.
    const client = new LanguageClient("fovea", "Fovea", server, {
      documentSelector: LANGUAGES.map((language) => ({ scheme: "file", language })),
    });
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Running) {
        this.status.show("ready", "Fovea is running");
      } else if (newState === State.Stopped) {
        this.status.show("off", "Fovea has stopped; run “Fovea: Restart Server”");
      }
    });
    this.status.show("starting", "Fovea is starting");
    try {
      await client.start();
      this.running = client;
    } catch (error) {
      this.status.show(
        "failed",
        `Fovea cannot start “${config.command} lsp”: ${String(error)}. ` +
          "Install it with `cargo install --path daemon`, or set fovea.path.",
      );
    }
  }

  async stop(): Promise<void> {
    const client = this.running;
    this.running = undefined;
    await client?.stop();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The server's status of the workspace folder with this URI, as it answers it. */
  async askStatus(uri: string): Promise<unknown> {
    return this.running?.sendRequest("fovea/status", { uri });
  }
}

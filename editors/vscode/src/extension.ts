/** Entry point: wires the client, the status bar and the commands. */
import * as vscode from "vscode";

import { Client } from "./client";
import { StatusItem } from "./status";

let client: Client | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const status = new StatusItem();
  const started = new Client(status);
  client = started;
  const output = vscode.window.createOutputChannel("Fovea Status");
  context.subscriptions.push(
    status,
    output,
    vscode.commands.registerCommand("fovea.restart", () => started.restart()),
    vscode.commands.registerCommand("fovea.status", async () => {
      const folder = vscode.workspace.workspaceFolders?.[0];
      const answer = folder ? await started.askStatus(folder.uri.toString()) : undefined;
      output.replace(answer === undefined ? "Fovea is not running here." : JSON.stringify(answer, null, 2));
      output.show(true);
    }),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("fovea")) {
        await started.restart();
      }
    }),
  );
  await started.start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

/** Entry point: wires the client, the views and the commands. */
import * as vscode from "vscode";

import { Client } from "./client";
import { ExplainPanel } from "./explain";
import { GraphPanel, goTo } from "./graph";
import { SearchView } from "./search";
import { StatusItem, menu, summary } from "./status";

let client: Client | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const status = new StatusItem();
  const started = new Client(status, context.extension);
  client = started;
  const search = new SearchView(started);
  const explain = new ExplainPanel(started);
  const graph = new GraphPanel(started);
  const output = vscode.window.createOutputChannel("Fovea Status");
  const command = (name: string, run: (...given: never[]) => unknown) => vscode.commands.registerCommand(name, run);
  context.subscriptions.push(
    started, status, search, explain, graph, output,
    command("fovea.restart", () => started.restart()),
    command("fovea.menu", async () => menu(await started.askStatus().catch(() => undefined))),
    command("fovea.status", async () => {
      const answer = await started.askStatus();
      output.replace(answer === undefined
        ? "Fovea is not running here; the status bar says why.\n"
        : `${summary(answer).join("\n")}\n\n${JSON.stringify(answer, null, 2)}\n`);
      output.show(true);
      await started.describe();
    }),
    command("fovea.search", (query?: string) => search.run(typeof query === "string" ? query : undefined)),
    command("fovea.explain", () => explain.show()),
    command("fovea.graph", () => graph.show()),
    command("fovea.graph.goTo", goTo),
    // What a code lens of the server runs.
    command("fovea.showReferences", (uri: string, position: { line: number; character: number }, places: Parameters<Client["location"]>[0][]) =>
      vscode.commands.executeCommand(
        "editor.action.showReferences",
        vscode.Uri.parse(uri, true),
        new vscode.Position(position.line, position.character),
        places.map((place) => started.location(place)),
      )),
  );
  await started.start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

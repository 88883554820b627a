/** The graph around the cursor: who calls it above, what it calls below. */
import * as vscode from "vscode";

import type { Client } from "./client";
import { escape, page } from "./html";

interface Item {
  readonly name: string;
  readonly detail?: string;
  readonly uri: string;
  readonly range: unknown;
  readonly selectionRange: { readonly start: { readonly line: number; readonly character: number }; readonly end: { readonly line: number; readonly character: number } };
}

const MAX_SIDE = 24;
const WIDTH = 330;
const HEIGHT = 38;
const STEP = HEIGHT + 8;
const INDENT = 36;

export class GraphPanel implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;

  constructor(private readonly client: Client) {}

  async show(at?: { uri: string; line: number; character: number }): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    const here = at ?? (editor && {
      uri: editor.document.uri.toString(),
      line: editor.selection.active.line,
      character: editor.selection.active.character,
    });
    const [center] = here === undefined ? [] : (await this.client.ask<Item[] | null>("textDocument/prepareCallHierarchy", {
      textDocument: { uri: here.uri },
      position: { line: here.line, character: here.character },
    })) ?? [];
    if (center === undefined) {
      void vscode.window.showInformationMessage("Fovea: put the cursor on the name of a function, method or class.");
      return;
    }
    const [incoming, outgoing] = await Promise.all([
      this.client.ask<{ from: Item }[] | null>("callHierarchy/incomingCalls", { item: center }),
      this.client.ask<{ to: Item }[] | null>("callHierarchy/outgoingCalls", { item: center }),
    ]);
    const panel = (this.panel ??= this.create());
    panel.title = `Fovea: ${center.name}`;
    panel.webview.html = page("Graph", draw(center, (incoming ?? []).map(({ from }) => from), (outgoing ?? []).map(({ to }) => to)));
    panel.reveal(vscode.ViewColumn.Beside, true);
  }

  private create(): vscode.WebviewPanel {
    const panel = vscode.window.createWebviewPanel(
      "fovea.graph", "Fovea: Graph", { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      { enableScripts: false, enableCommandUris: ["fovea.graph.goTo"], localResourceRoots: [] },
    );
    panel.onDidDispose(() => { this.panel = undefined; });
    return panel;
  }

  dispose(): void {
    this.panel?.dispose();
  }
}

/** Opens what a box of the graph stands for. */
export async function goTo(uri: string, line: number, character: number): Promise<void> {
  const at = new vscode.Position(line, character);
  await vscode.window.showTextDocument(vscode.Uri.parse(uri, true), { selection: new vscode.Range(at, at), viewColumn: vscode.ViewColumn.One });
}

function draw(center: Item, callers: readonly Item[], callees: readonly Item[]): string {
  const [above, below] = [callers.slice(0, MAX_SIDE), callees.slice(0, MAX_SIDE)];
  const boxes = [
    ...above.map((item, row) => ({ item, x: INDENT, y: row * STEP, kind: "" })),
    { item: center, x: 0, y: above.length * STEP, kind: "center" },
    ...below.map((item, row) => ({ item, x: INDENT, y: (above.length + 1 + row) * STEP, kind: "" })),
  ];
  const middle = above.length * STEP;
  const edges = boxes.filter(({ kind }) => kind === "").map(({ y }) => {
    const turn = y + HEIGHT / 2;
    const end = y < middle ? middle : middle + HEIGHT;
    return `<path d="M${INDENT} ${turn} H${INDENT / 2} V${end}"/>`;
  });
  const more = (n: number, what: string) => (n > MAX_SIDE ? `${n - MAX_SIDE} more ${what}. ` : "");
  const [width, height] = [WIDTH + INDENT + 8, boxes.length * STEP + 8];
  return `<h1>${escape(center.name)}</h1>
<p class="muted">${callers.length} callers, ${callees.length} called. ${more(callers.length, "callers")}${more(callees.length, "called")}A box opens its definition.</p>
<svg viewBox="-4 -4 ${width} ${height}" width="${width}" role="img" aria-label="callers and callees">${edges.join("")}${boxes.map(drawBox).join("")}</svg>`;
}

function drawBox({ item, x, y, kind }: { item: Item; x: number; y: number; kind: string }): string {
  const { line, character } = item.selectionRange.start;
  const target = `command:fovea.graph.goTo?${encodeURIComponent(JSON.stringify([item.uri, line, character]))}`;
  // The server says `path (certainty)` where an edge is not certain.
  const [, file, certainty] = /^(.*?)( \([a-z-]+\))?$/.exec(item.detail ?? "") ?? [];
  const place = `${file ?? ""}:${line + 1}${certainty ?? ""}`;
  const cut = (text: string) => escape(text.length > 48 ? `${text.slice(0, 47)}…` : text);
  return `<a href="${escape(target)}"><rect class="${kind}" x="${x}" y="${y}" width="${WIDTH}" height="${HEIGHT}" rx="4"/>
<text x="${x + 10}" y="${y + 16}">${cut(item.name)}</text><text class="muted" x="${x + 10}" y="${y + 31}" opacity=".7">${cut(place)}</text></a>`;
}

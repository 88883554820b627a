/** The graph around the cursor: who calls it on the left, what it calls on the right. */
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
const WIDTH = 260;
const HEIGHT = 40;
const GAP = 12;
const BETWEEN = 90;

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
  const [left, right] = [callers.slice(0, MAX_SIDE), callees.slice(0, MAX_SIDE)];
  const rows = Math.max(left.length, right.length, 1);
  const height = rows * (HEIGHT + GAP);
  const column = (items: readonly Item[], x: number) =>
    items.map((item, row) => ({ item, x, y: (height - items.length * (HEIGHT + GAP)) / 2 + row * (HEIGHT + GAP) }));
  const middle = { item: center, x: WIDTH + BETWEEN, y: (height - HEIGHT) / 2 };
  const [callerBoxes, calleeBoxes] = [column(left, 0), column(right, 2 * (WIDTH + BETWEEN))];
  const edge = (from: { x: number; y: number }, to: { x: number; y: number }) => {
    const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
    return `<path d="M${x1} ${y1} C${x1 + BETWEEN / 2} ${y1}, ${x2 - BETWEEN / 2} ${y2}, ${x2} ${y2}"/>`;
  };
  const edges = [...callerBoxes.map((box) => edge(box, middle)), ...calleeBoxes.map((box) => edge(middle, box))];
  const boxes = [...callerBoxes, ...calleeBoxes].map((box) => draw_box(box, "")).concat(draw_box(middle, "center"));
  const width = 3 * WIDTH + 2 * BETWEEN;
  const more = (n: number, what: string) => (n > MAX_SIDE ? `${n - MAX_SIDE} more ${what}. ` : "");
  return `<h1>${escape(center.name)}</h1>
<p class="muted">${callers.length} callers, ${callees.length} called. ${more(callers.length, "callers")}${more(callees.length, "called")}A box opens its definition.</p>
<svg viewBox="-4 -4 ${width + 8} ${height + 8}" width="${width}" role="img" aria-label="callers and callees">${edges.join("")}${boxes.join("")}</svg>`;
}

function draw_box({ item, x, y }: { item: Item; x: number; y: number }, kind: string): string {
  const { line, character } = item.selectionRange.start;
  const target = `command:fovea.graph.goTo?${encodeURIComponent(JSON.stringify([item.uri, line, character]))}`;
  const cut = (text: string) => escape(text.length > 38 ? `${text.slice(0, 37)}…` : text);
  return `<a href="${escape(target)}"><rect class="${kind}" x="${x}" y="${y}" width="${WIDTH}" height="${HEIGHT}" rx="4"/>
<text x="${x + 10}" y="${y + 17}">${cut(item.name)}</text><text class="muted" x="${x + 10}" y="${y + 32}" opacity=".7">${cut(item.detail ?? "")}:${line + 1}</text></a>`;
}

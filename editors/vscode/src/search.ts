/** The search view: a query, its results by file, and under each result why it was found. */
import * as vscode from "vscode";

import type { Client } from "./client";
import type { SearchHit } from "./protocol";

type Node =
  | { readonly kind: "hit"; readonly hit: SearchHit; readonly location: vscode.Location }
  | { readonly kind: "why"; readonly label: string; readonly description: string };

export class SearchView implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<Node>;
  private nodes: Node[] = [];
  private query = "";

  constructor(private readonly client: Client) {
    this.view = vscode.window.createTreeView("fovea.search", { treeDataProvider: this, showCollapseAll: true });
  }

  /** Asks for a query if none is given, and shows what is found. */
  async run(given?: string): Promise<void> {
    const query = given ?? (await vscode.window.showInputBox({
      title: "Fovea: search the project",
      prompt: "A symbol, words that describe it, an error message, or a path",
      value: this.query,
      valueSelection: [0, this.query.length],
    }));
    if (query === undefined || query.trim() === "") {
      return;
    }
    this.query = query.trim();
    const result = await vscode.window.withProgress(
      { location: { viewId: "fovea.search" } },
      () => this.client.search(this.query),
    );
    this.nodes = (result?.hits ?? []).map(({ place, hit }) => ({ kind: "hit", hit, location: this.client.location(place) }));
    this.view.description = this.query;
    this.view.message = result === undefined
      ? "Fovea is not running; see the status bar."
      : this.nodes.length === 0 ? `Nothing found for “${this.query}”.` : undefined;
    this.changed.fire();
    const first = this.nodes[0];
    if (first !== undefined) {
      await this.view.reveal(first, { focus: true, select: true });
    } else {
      await vscode.commands.executeCommand("fovea.search.focus");
    }
  }

  getChildren(node?: Node): Node[] {
    if (node === undefined) {
      return this.nodes;
    }
    if (node.kind === "why") {
      return [];
    }
    const { parts, matched } = node.hit;
    const why: Node[] = parts
      .filter(([, value]) => Math.abs(value) >= 0.005)
      .map(([name, value]) => ({ kind: "why", label: name, description: `${value >= 0 ? "+" : ""}${value.toFixed(2)}` }));
    if (matched.length > 0) {
      why.push({ kind: "why", label: "matched", description: matched.join(", ") });
    }
    return why;
  }

  getParent(): undefined {
    return undefined;
  }

  getTreeItem(node: Node): vscode.TreeItem {
    if (node.kind === "why") {
      const item = new vscode.TreeItem(node.label);
      item.description = node.description;
      return item;
    }
    const { hit, location } = node;
    const line = location.range.start.line + 1;
    const label = hit.symbol ?? hit.text.trimStart().split("\n", 1)[0] ?? hit.location.path;
    const item = new vscode.TreeItem(label, vscode.TreeItemCollapsibleState.Collapsed);
    item.description = `${hit.location.path}:${line}`;
    item.iconPath = new vscode.ThemeIcon(icon(hit.symbol_kind));
    // Plain text: the repository's own words are never rendered.
    item.tooltip = `${hit.location.path}:${line}  score ${hit.score.toFixed(2)}\n\n${hit.text.slice(0, 2000)}`;
    item.command = {
      title: "Open",
      command: "vscode.open",
      arguments: [location.uri, { selection: location.range, preview: true } satisfies vscode.TextDocumentShowOptions],
    };
    return item;
  }

  dispose(): void {
    this.view.dispose();
    this.changed.dispose();
  }
}

function icon(kind: string | null): string {
  switch (kind) {
    case "class": case "struct": case "union": return "symbol-class";
    case "trait": case "interface": return "symbol-interface";
    case "enum": return "symbol-enum";
    case "function": case "macro": return "symbol-function";
    case "method": return "symbol-method";
    case "constant": case "static": return "symbol-constant";
    case "field": case "property": return "symbol-field";
    case null: return "file";
    default: return "symbol-misc";
  }
}

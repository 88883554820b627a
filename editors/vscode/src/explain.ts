/** The panel “Explain this suggestion”: rings, tokens, milliseconds, and the code behind them. */
import * as vscode from "vscode";

import type { Client } from "./client";
import { escape, page } from "./html";
import type { Explanation, Plan, Segment, Suggestion } from "./protocol";

/** Who wrote a suggestion. */
const SOURCES = {
  model: "the model on this machine",
  index: "the index alone",
  remote: "the remote back end",
};

export class ExplainPanel implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;

  constructor(private readonly client: Client) {}

  async show(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    const explanation = editor === undefined ? undefined : await this.client.explain(editor);
    if (explanation === undefined || explanation === null) {
      void vscode.window.showInformationMessage("Fovea: nothing to explain here; put the cursor into an indexed source file.");
      return;
    }
    this.panel ??= this.create();
    this.panel.webview.html = page("Why this suggestion", body(explanation));
    this.panel.reveal(vscode.ViewColumn.Beside, true);
  }

  private create(): vscode.WebviewPanel {
    const panel = vscode.window.createWebviewPanel(
      "fovea.explain", "Fovea: Why", { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      { enableScripts: false, localResourceRoots: [] },
    );
    panel.onDidDispose(() => { this.panel = undefined; });
    return panel;
  }

  dispose(): void {
    this.panel?.dispose();
  }
}

function body({ plan, suggestion }: Explanation): string {
  return `<h1>Why this suggestion</h1>${suggestion === null ? "" : shown(suggestion)}${rings(plan)}
${plan.segments.map(segment).join("")}
${plan.candidates.length === 0 ? "" : `<h2>Names offered to the model</h2><p><code>${plan.candidates.slice(0, 24).map(escape).join(", ")}</code></p>`}`;
}

function shown({ text, source, notice, logprob, timings }: Suggestion): string {
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  const rows: [string, string][] = [
    ["from", SOURCES[source]],
    ["in all", ms(timings.total_ms)],
    ["context", ms(timings.context_ms)],
  ];
  if (source !== "index") {
    rows.push(
      ["prompt", `${timings.n_prompt_tokens} tokens, ${timings.n_reused_tokens} of them cached, ${ms(timings.prefill_ms)}`],
      ["written", `${timings.n_generated_tokens} tokens, the first after ${ms(timings.first_token_ms)}`],
    );
  }
  if (logprob !== null) {
    rows.push(["confidence", `${(Math.exp(logprob) * 100).toFixed(0)} % a token`]);
  }
  return `<pre>${escape(text)}</pre>
<table>${rows.map(([name, value]) => `<tr><td class="muted">${name}</td><td>${escape(value)}</td></tr>`).join("")}</table>
${notice === null ? "" : `<p>${escape(notice)}</p>`}`;
}

/** Ring names come from the server and end up in a class: only known ones do. */
function ringClass(ring: string): string {
  return ["fovea", "near-field", "periphery", "outline"].includes(ring) ? ring : "";
}

function rings(plan: Plan): string {
  const budget = Math.max(plan.budget_tokens, plan.n_tokens, 1);
  const bar = plan.rings.map(({ ring, n_tokens }) =>
    `<div class="${ringClass(ring)}" style="width:${((n_tokens / budget) * 100).toFixed(2)}%"></div>`);
  const rows = plan.rings.map(({ ring, n_tokens, ms, n_cached }) =>
    `<tr><td><span class="dot ${ringClass(ring)}"></span>${escape(ring)}</td><td class="number">${n_tokens}</td>
<td class="number">${ms.toFixed(1)}</td><td class="number">${n_cached ?? ""}</td></tr>`);
  return `<h2>${plan.n_tokens} of ${plan.budget_tokens} tokens</h2><p class="muted">${escape(plan.gate)}</p>
<div class="bar">${bar.join("")}</div>
<table><tr><th>ring</th><th>tokens</th><th>ms</th><th>cached</th></tr>${rows.join("")}</table>`;
}

function segment({ ring, source, path, lines, reason, n_tokens, text, shared }: Segment): string {
  return `<details><summary><span class="dot ${ringClass(ring)}"></span><code>${escape(path)}:${lines[0] + 1}</code>
<span class="muted">${escape(reason)} · ${escape(source)} · ${n_tokens} tokens</span></summary>
${shared.length === 0 ? "" : `<p>in the suggestion: <code>${shared.map(escape).join(", ")}</code></p>`}<pre>${escape(text)}</pre></details>`;
}

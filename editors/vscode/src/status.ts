/** The status bar entry and its menu. */
import * as vscode from "vscode";

import type { Status } from "./protocol";

export type StatusState = "starting" | "ready" | "off" | "failed";

const ICONS: Record<StatusState, string> = {
  starting: "$(sync~spin)",
  ready: "$(eye)",
  off: "$(eye-closed)",
  failed: "$(warning)",
};

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("fovea.status", vscode.StatusBarAlignment.Right, 50);

  constructor() {
    this.item.name = "Fovea";
    this.item.command = "fovea.menu";
    this.item.show();
  }

  show(state: StatusState, tooltip: string): void {
    this.item.text = `${ICONS[state]} Fovea`;
    // Not trusted: paths and messages come from the repository.
    this.item.tooltip = tooltip;
    this.item.accessibilityInformation = { label: `Fovea: ${tooltip}`, role: "button" };
    this.item.backgroundColor =
      state === "failed" ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  }

  describe(status: Status): void {
    const hasWarning = status.error !== null || status.workspaces.some(({ health }) => health !== "ok");
    this.show(hasWarning ? "failed" : "ready", summary(status).join("\n"));
  }

  dispose(): void {
    this.item.dispose();
  }
}

/** The state in a few lines for people. */
export function summary(status: Status): string[] {
  const lines = status.workspaces.map(
    ({ root, n_files, n_symbols, summary }) => `${root}: ${n_files} files, ${n_symbols} symbols. ${summary}`,
  );
  lines.push(...status.workspaces.flatMap(({ warnings }) => warnings));
  if (status.daemon !== null) {
    const { model, pid, rss_bytes, build } = status.daemon;
    lines.push(`Model: ${model.name ?? "none"}, ${model.state}${model.hint === null ? "" : `; ${model.hint}`}`);
    lines.push(`Daemon ${build}, process ${pid}, ${Math.round(rss_bytes / 1e6)} MB`);
  }
  if (status.error !== null) {
    lines.push(`Error: ${status.error}`);
  }
  return lines;
}

interface Choice extends vscode.QuickPickItem {
  readonly run?: string;
  readonly argument?: unknown;
}

/** What the status bar entry offers. */
export async function menu(status: Status | undefined): Promise<void> {
  const [first, ...rest] = status === undefined ? ["Fovea is not running"] : summary(status);
  const choices: Choice[] = [
    { label: "$(info) Status", description: first, detail: rest.join(" · "), run: "fovea.status" },
    { label: "$(search) Search the project", run: "fovea.search" },
    { label: "$(question) Explain this suggestion", run: "fovea.explain" },
    { label: "$(type-hierarchy) Graph around the cursor", run: "fovea.graph" },
    { label: "$(refresh) Restart the server", run: "fovea.restart" },
    { label: "$(gear) Settings", run: "workbench.action.openSettings", argument: "fovea" },
  ];
  const chosen = await vscode.window.showQuickPick(choices, { title: "Fovea" });
  if (chosen?.run !== undefined) {
    await vscode.commands.executeCommand(chosen.run, chosen.argument);
  }
}

/** The status bar entry. */
import * as vscode from "vscode";

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
    this.item.command = "fovea.status";
    this.item.show();
  }

  show(state: StatusState, tooltip: string): void {
    this.item.text = `${ICONS[state]} Fovea`;
    this.item.tooltip = tooltip;
    this.item.backgroundColor =
      state === "failed" ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  }

  dispose(): void {
    this.item.dispose();
  }
}

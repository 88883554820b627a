/** Settings, read when the server starts. */
import * as vscode from "vscode";

export interface Config {
  /** Program to start; `fovea` is looked up on the PATH. */
  readonly command: string;
  readonly enable: boolean;
}

export function read(): Config {
  const settings = vscode.workspace.getConfiguration("fovea");
  // `machine` scope: a workspace cannot name a program to run.
  const command = settings.get<string>("path", "").trim();
  return { command: command === "" ? "fovea" : command, enable: settings.get<boolean>("enable", true) };
}

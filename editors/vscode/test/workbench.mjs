// Starts a VS Code with an extension and works its windows as a user would.
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

/** Starts it; `close` ends it and removes what it wrote. */
export async function open({ vscode, vsix, project, settings, env: more = {} }) {
  const { chromium } = createRequire(path.join(vscode, "package.json"))("playwright-core");
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "fovea-vscode-"));
  const user = path.join(scratch, "data", "User");
  fs.mkdirSync(user, { recursive: true });
  // Settings of scope `machine` are read from the side where the extension host runs.
  const machine = path.join(scratch, "data", "Machine");
  fs.mkdirSync(machine, { recursive: true });
  fs.writeFileSync(path.join(machine, "settings.json"), JSON.stringify(settings));
  const base = {
    "chat.disableAIFeatures": true, "telemetry.telemetryLevel": "off", "workbench.startupEditor": "none",
    "git.enabled": false, "files.autoSave": "off", "editor.minimap.enabled": false, "workbench.tips.enabled": false,
    "workbench.secondarySideBar.defaultVisibility": "hidden", "workbench.colorTheme": "Default Dark Modern",
    "security.workspace.trust.enabled": false, "editor.accessibilitySupport": "off", "window.commandCenter": false,
    "editor.autoClosingBrackets": "never", "editor.autoClosingQuotes": "never", "editor.wordBasedSuggestions": "off",
    "editor.quickSuggestions": { other: "off", comments: "off", strings: "off" }, "editor.suggestOnTriggerCharacters": false,
    ...settings,
  };
  fs.writeFileSync(path.join(user, "settings.json"), JSON.stringify(base));
  const entry = [path.join(vscode, "node_modules/code-server/out/node/entry.js"), "--config", path.join(scratch, "config.yaml"),
    "--user-data-dir", path.join(scratch, "data"), "--extensions-dir", path.join(scratch, "extensions")];
  fs.writeFileSync(path.join(scratch, "config.yaml"), "");
  const env = { ...process.env, ...more, EXTENSIONS_GALLERY: "{}" };
  for (const file of [vsix].flat()) {
    execFileSync(process.execPath, [...entry, "--install-extension", file], { env, stdio: "ignore" });
  }
  const server = spawn(process.execPath, [...entry, "--auth", "none", "--bind-addr", "127.0.0.1:0", "--disable-telemetry",
    "--disable-update-check", "--disable-workspace-trust", "--disable-getting-started-override", project], { env });
  const url = await new Promise((found, failed) => {
    let log = "";
    const read = (data) => {
      log += data;
      const listening = log.match(/listening on (http:\/\/127\.0\.0\.1:\d+)/);
      if (listening) found(listening[1]);
    };
    server.stdout.on("data", read);
    server.stderr.on("data", read);
    server.on("exit", (code) => failed(new Error(`VS Code ended with ${code}: ${log}`)));
  });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
      "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
  });
  const context = await browser.newContext({ viewport: { width: 1000, height: 560 } });
  const window = async () => {
    const page = await context.newPage();
    await page.goto(`${url}/?folder=${encodeURIComponent(project)}`);
    await page.waitForSelector(".monaco-workbench", { timeout: 90000 });
    await page.locator(".explorer-folders-view .monaco-list-row").first().waitFor({ timeout: 90000 });
    return new Window(page, project, window, base, path.join(scratch, "extensions"), async () => {
      await browser.close();
      server.removeAllListeners("exit");
      server.kill();
      fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    });
  };
  return window();
}

class Window {
  constructor(page, project, window, base, extensions, close) {
    Object.assign(this, { page, project, window, base, extensions, close });
    this.ghost = page.locator(".ghost-text-decoration, .ghost-text");
  }

  async command(name) {
    await this.page.keyboard.press("F1");
    const input = this.page.locator(".quick-input-widget input").first();
    await input.waitFor({ timeout: 10000 });
    await input.fill(`>${name}`);
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: name.split(": ").at(-1) }).first().waitFor({ timeout: 20000 });
    await this.page.keyboard.press("Enter");
    await this.page.waitForTimeout(250);
  }

  /** Changes the user's settings as a user does: in the editor. */
  async settings(more) {
    await this.command("Preferences: Open User Settings (JSON)");
    // In a window of its own above the others.
    await this.page.getByText("settings.json").first().waitFor({ timeout: 10000 });
    await this.page.waitForTimeout(500);
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.insertText(JSON.stringify({ ...this.base, ...more }));
    // What the editor closed by itself.
    await this.page.keyboard.press("Control+Shift+End");
    await this.page.keyboard.press("Delete");
    await this.page.keyboard.press("Control+S");
    await this.page.waitForTimeout(700);
    await this.page.keyboard.press("Escape");
    await this.page.getByText("settings.json").first().waitFor({ state: "detached", timeout: 10000 });
  }

  async openFile(file) {
    await this.page.keyboard.press("Control+P");
    const input = this.page.locator(".quick-input-widget input").first();
    await input.waitFor({ timeout: 20000 });
    await input.fill(file);
    await this.page.locator(".quick-input-list .monaco-list-row", { hasText: path.basename(file) }).first().waitFor({ timeout: 20000 });
    await this.page.waitForTimeout(200);
    await this.page.keyboard.press("Enter");
    await this.page.locator(".tab.active", { hasText: path.basename(file) }).first().waitFor({ timeout: 20000 });
    await this.page.locator(".editor-instance .monaco-editor .view-line").first().waitFor({ timeout: 20000 });
    await this.page.waitForTimeout(200);
  }

  async goTo(line, column) {
    await this.page.keyboard.press("Control+G");
    const input = this.page.locator(".quick-input-widget input").first();
    await input.waitFor({ timeout: 10000 });
    await input.fill(`:${line}:${column}`);
    await this.page.keyboard.press("Enter");
    await this.page.waitForTimeout(150);
  }

  /** Closes all but the explorer; unsaved text is dropped. */
  async closeAll() {
    await this.page.keyboard.press("Escape");
    await this.command("View: Focus First Editor Group");
    await this.command("File: Revert File");
    await this.command("View: Close All Editors");
  }

  /** The text of the cursor's line as it is drawn, without ghost text. */
  async line() {
    return this.page.evaluate(() => {
      const cursor = document.querySelector(".editor-group-container.active .cursors-layer .cursor");
      const lines = [...document.querySelectorAll(".editor-group-container.active .view-lines .view-line")];
      const line = lines.find((line) => cursor && Math.abs(parseInt(line.style.top) - parseInt(cursor.style.top)) < 4);
      if (!line) return "";
      const copy = line.cloneNode(true);
      copy.querySelectorAll(".ghost-text, .ghost-text-decoration").forEach((ghost) => ghost.remove());
      return copy.textContent.replaceAll("\u00a0", " ").replaceAll("\u200c", "").trimEnd();
    });
  }

  async waitForLine(fits, timeout = 5000) {
    const until = Date.now() + timeout;
    let line;
    do {
      line = await this.line();
      if (fits(line)) return line;
      await this.page.waitForTimeout(50);
    } while (Date.now() < until);
    throw new Error(`the line is ${JSON.stringify(line)}`);
  }

  async ghostText() {
    const parts = await this.ghost.allTextContents();
    return parts.join("").replaceAll("\u00a0", " ");
  }

  async waitForGhost(pattern = /./, timeout = 5000) {
    const until = Date.now() + timeout;
    let text;
    do {
      text = await this.ghostText();
      if (pattern.test(text)) return text;
      await this.page.waitForTimeout(20);
    } while (Date.now() < until);
    throw new Error(`ghost text is ${JSON.stringify(text)}`);
  }

  async waitForNoGhost() {
    await this.ghost.first().waitFor({ state: "detached", timeout: 3000 });
  }

  /** Types; again if the extension host is still starting. */
  async typeUntilGhost(text) {
    for (let attempt = 0; ; attempt++) {
      await this.page.keyboard.type(text, { delay: 25 });
      try {
        return await this.waitForGhost(/./, 4000);
      } catch (error) {
        if (attempt === 5) throw error;
        for (let n = 0; n < [...text].length; n++) await this.page.keyboard.press("Backspace");
      }
    }
  }

  async save(file) {
    await this.page.keyboard.press("Control+S");
    await this.page.locator(".tab.active.dirty").waitFor({ state: "detached", timeout: 5000 });
    await this.page.waitForTimeout(200);
    return fs.readFileSync(path.join(this.project, file), "utf8");
  }

  /** The inner frame of a webview whose text fits. */
  async webview(pattern) {
    const until = Date.now() + 15000;
    while (Date.now() < until) {
      for (const frame of this.page.frames()) {
        const text = await frame.locator("body").textContent({ timeout: 300 }).catch(() => "");
        if (frame !== this.page.mainFrame() && pattern.test(text ?? "")) return frame;
      }
      await this.page.waitForTimeout(150);
    }
    throw new Error("no such webview");
  }
}

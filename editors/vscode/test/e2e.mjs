// The extension in a whole VS Code: the workbench in headless Chromium, a real extension host, the
// real server and daemon.   node e2e.mjs VSCODE VSIX PROJECT SHOTS
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { open } from "./workbench.mjs";

const [vscode, vsix, project, shots] = process.argv.slice(2, 6).map((given) => path.resolve(given));
let binary = process.env.FOVEA_BIN;
fs.mkdirSync(shots, { recursive: true });
const fovea = (...given) => execFileSync(binary, given, { cwd: project, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
const daemon = () => JSON.parse(fovea("status", "--json")).value.daemon;

let [n_passed, n_failed] = [0, 0];
const started = Date.now();
// The bundled program has another build id, so it has a daemon of its own.
const isBundled = process.env.FOVEA_BUNDLED !== undefined;
const workbench = await open({ vscode, vsix, project, settings: isBundled ? {} : { "fovea.path": binary } });
const { page } = workbench;
if (isBundled) {
  const folder = fs.readdirSync(workbench.extensions).find((name) => name.startsWith("fovea.fovea-"));
  binary = path.join(workbench.extensions, folder, "server/fovea");
}

async function test(name, run) {
  try {
    await run();
    n_passed++;
    console.log(`ok    ${name}  (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    n_failed++;
    console.log(`FAIL  ${name}: ${String(error.message).split("\n").slice(0, 12).join(" | ")}`);
    await page.screenshot({ path: path.join(shots, `failed-${n_failed}.png`) });
    if (n_passed === 0) throw error;
    // What is left of this one must not fail the next.
    await page.keyboard.press("Escape");
    await page.locator(".monaco-dialog-box .monaco-button", { hasText: "Don't Save" }).click({ timeout: 500 }).catch(() => undefined);
  }
}
const shot = (name) => page.screenshot({ path: path.join(shots, `${name}.png`) });

/** A new line in `show_expiring`, where `stock` is a value of a class in another file. */
async function newLine() {
  await page.keyboard.press("Escape");
  await workbench.command("File: Revert File");
  await workbench.goTo(15, 40);
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
}
const has = (text) => workbench.waitForLine((line) => line.includes(text));

try {
  await workbench.openFile("larder/cli.py");
  await test("the status bar shows that the server runs", async () => {
    await page.locator(".statusbar-item", { hasText: "Fovea" }).first().waitFor({ timeout: 60000 });
    await page.locator(".statusbar-item .codicon-eye").first().waitFor({ timeout: 60000 }).catch(async () => {
      throw new Error(await page.locator(".statusbar-item", { hasText: "Fovea" }).first().getAttribute("aria-label"));
    });
  });
  await test("ghost text has a method of another file", async () => {
    await newLine();
    const ghost = await workbench.typeUntilGhost("stock.expi");
    assert.match(ghost, /^ring_within/);
    await shot("ghost");
  });
  await test("typing along keeps it", async () => {
    await page.keyboard.type("ri");
    await workbench.waitForGhost(/^ng_within/);
  });
  await test("the next word is accepted", async () => {
    await page.keyboard.press("Control+ArrowRight");
    await has("stock.expiring_within");
  });
  await test("one undo takes it back", async () => {
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+Z");
    await workbench.waitForLine((line) => /stock\.expiri?$/.test(line));
  });
  await test("Tab accepts all of it, and one undo takes it back", async () => {
    await newLine();
    await workbench.typeUntilGhost("stock.expi");
    await page.keyboard.press("Tab");
    await has("stock.expiring_within");
    await page.keyboard.press("Control+Z");
    await workbench.waitForLine((line) => line.endsWith("stock.expi"));
  });
  await test("Escape hides it, a command asks again", async () => {
    await newLine();
    await workbench.typeUntilGhost("stock.expi");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await workbench.waitForNoGhost();
    await workbench.command("Trigger Inline Suggestion");
    await workbench.waitForGhost(/^ring_within/);
  });
  await test("columns behind characters beyond the first plane", async () => {
    await newLine();
    await workbench.typeUntilGhost('print("🥛é"); stock.expi');
    await page.keyboard.press("Tab");
    await has('"🥛é"); stock.expiring_within');
  });
  await test("the menu lists members of the receiver", async () => {
    await newLine();
    await page.keyboard.type("stock.");
    await page.keyboard.press("Control+Space");
    await page.locator(".suggest-widget .monaco-list-row", { hasText: "expiring_within" }).first().waitFor({ timeout: 10000 });
    await shot("menu");
    await page.keyboard.press("Escape");
  });
  await test("hover says where a name comes from and how sure that is", async () => {
    await page.keyboard.press("Escape");
    await workbench.command("File: Revert File");
    await workbench.goTo(17, 28);
    await workbench.command("Show or Focus Hover");
    await page.locator(".monaco-hover", { hasText: "larder/stock.py" }).first().waitFor({ timeout: 10000 });
    await page.keyboard.press("Escape");
  });
  await test("definition goes to another file", async () => {
    await workbench.goTo(17, 28);
    await page.keyboard.press("F12");
    await page.locator(".tab.active", { hasText: "stock.py" }).waitFor({ timeout: 10000 });
    await workbench.openFile("larder/cli.py");
  });
  await test("the explanation names what a suggestion sees", async () => {
    await newLine();
    await page.keyboard.press("Escape");
    await workbench.command("Fovea: Explain This Suggestion");
    const frame = await workbench.webview(/Why this suggestion/);
    await frame.locator("text=larder/stock.py").first().waitFor({ timeout: 10000 });
    assert.ok(await frame.locator(".bar div").count() >= 1, "no bar of rings");
    await frame.locator("details").first().locator("summary").click();
    await page.waitForTimeout(300);
    await shot("why");
    await workbench.closeAll();
  });
  await test("the graph shows callers and callees, and a box opens its definition", async () => {
    await workbench.openFile("larder/stock.py");
    await workbench.goTo(37, 10);
    await workbench.command("Fovea: Graph Around the Cursor");
    const frame = await workbench.webview(/callers,/);
    const box = frame.locator("svg a", { hasText: "find_item" });
    await box.first().waitFor({ timeout: 10000 });
    await shot("graph");
    await box.first().click();
    await workbench.waitForLine((line) => line.includes("def find_item"));
    await workbench.closeAll();
  });
  await test("the search view finds, says why, and opens the place", async () => {
    await workbench.openFile("larder/cli.py");
    await workbench.command("Fovea: Search the Project");
    await page.keyboard.type("items that are not in stock");
    await page.keyboard.press("Enter");
    const rows = page.locator(".pane-body .monaco-list-row");
    const hit = rows.filter({ hasText: "larder/stock.py" }).first();
    await hit.waitFor({ timeout: 20000 });
    await page.keyboard.press("ArrowRight");
    await rows.filter({ hasText: /lexical|symbol|structure/ }).first().waitFor({ timeout: 5000 });
    await page.waitForTimeout(300);
    await shot("search");
    await hit.click();
    await page.locator(".tab", { hasText: "stock.py" }).first().waitFor({ timeout: 5000 });
  });
  await test("the menu of the status bar", async () => {
    await page.locator(".statusbar-item", { hasText: "Fovea" }).first().click();
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "Restart the server" }).waitFor({ timeout: 10000 });
    await shot("status");
    await page.keyboard.press("Escape");
  });
  await test("a setting holds without a restart", async () => {
    await workbench.openFile("larder/stock.py");
    await workbench.goTo(30, 1);
    assert.equal(await page.locator(".codelens-decoration").count(), 0);
    await workbench.settings({ "fovea.features.codeLens": true });
    await page.locator(".codelens-decoration", { hasText: /\d references?/ }).first().waitFor({ timeout: 15000 });
    await shot("lens");
    await workbench.settings({});
    await workbench.openFile("larder/cli.py");
  });
  await test("the walkthrough", async () => {
    await workbench.command("Welcome: Open Walkthrough...");
    await page.keyboard.type("Start with Fovea");
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "Start with Fovea" }).first().waitFor({ timeout: 10000 });
    await page.keyboard.press("Enter");
    await page.locator(".gettingStartedContainer", { hasText: "Why this suggestion" }).waitFor({ timeout: 15000 });
    await page.locator(".getting-started-step", { hasText: "Ghost text" }).first().click();
    await page.waitForTimeout(1000);
    await shot("walkthrough");
    await workbench.closeAll();
  });
  await test("a CRLF file keeps its endings", async () => {
    const text = fs.readFileSync(path.join(project, "larder/cli.py"), "utf8").replaceAll("\n", "\r\n");
    fs.writeFileSync(path.join(project, "larder/dos.py"), text);
    await workbench.openFile("larder/dos.py");
    await newLine();
    await workbench.typeUntilGhost("stock.expi");
    await page.keyboard.press("Tab");
    await has("stock.expiring_within");
    const saved = await workbench.save("larder/dos.py");
    assert.ok(saved.includes("stock.expiring_within"), "not saved");
    assert.ok(!/[\r\n]/.test(saved.replaceAll("\r\n", "")), "mixed line endings");
    fs.rmSync(path.join(project, "larder/dos.py"));
  });
  await test("two windows on one daemon", async () => {
    const second = await workbench.window();
    await second.openFile("larder/planner.py");
    await second.goTo(1, 1);
    await second.page.keyboard.press("Control+End");
    await second.page.keyboard.press("Enter");
    const ghost = await second.typeUntilGhost("def due(stock: Stock): return stock.expi");
    assert.match(ghost, /^ring_within/);
    assert.ok(daemon().n_clients >= 3, `${daemon().n_clients} clients`);
    await second.page.close();
  });
  await test("ghost text within 2 s after the daemon was killed", async () => {
    await workbench.openFile("larder/cli.py");
    await newLine();
    await page.keyboard.type("stock.fi", { delay: 50 });
    const { pid } = daemon();
    process.kill(pid, "SIGKILL");
    const killed = Date.now();
    await page.keyboard.type("nd", { delay: 50 });
    await workbench.waitForGhost(/^_item/, 5000);
    const waited = Date.now() - killed;
    console.log(`      ${waited} ms after it, two keys included`);
    assert.ok(waited < 2000, `${waited} ms`);
    assert.notEqual(daemon().pid, pid);
  });
  await test("restart", async () => {
    await workbench.command("Fovea: Restart Server");
    await newLine();
    await workbench.typeUntilGhost("stock.expi");
  });
} catch (error) {
  n_failed++;
  console.error(error);
  await shot("failed");
} finally {
  if (isBundled) fovea("daemon", "stop");
  await workbench.close();
}
console.log(`${n_passed} passed, ${n_failed} failed`);
process.exit(n_failed === 0 ? 0 : 1);

// The pictures of the extension's README and walkthrough, from a real run.
//   node pictures.mjs VSCODE VSIX PROJECT DEST        FOVEA_MODEL_PATH: the model, else the index alone
import path from "node:path";

import { open } from "./workbench.mjs";

const [vscode, vsix, project, dest] = process.argv.slice(2, 6).map((given) => path.resolve(given));
const workbench = await open({ vscode, vsix, project, settings: { "fovea.path": process.env.FOVEA_BIN } });
const { page } = workbench;
const shot = (name) => page.screenshot({ path: path.join(dest, `${name}.png`) });
try {
  await workbench.openFile("larder/cli.py");
  await page.locator(".statusbar-item .codicon-eye").first().waitFor({ timeout: 60000 });
  await page.waitForTimeout(3000);
  await workbench.goTo(15, 40);
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await workbench.typeUntilGhost("soon = stock.");
  await workbench.waitForGhost(/expiring/, 8000);
  await page.keyboard.press("Escape");
  // Asked for by a command the model has the time it needs, on a busy machine too.
  await workbench.command("Trigger Inline Suggestion");
  await workbench.waitForGhost(/expiring/, 12000);
  await page.waitForTimeout(1000);
  await shot("ghost");
  await workbench.command("Fovea: Explain This Suggestion");
  const frame = await workbench.webview(/Why this suggestion/);
  await frame.locator("text=larder/stock.py").first().waitFor({ timeout: 10000 });
  await page.waitForTimeout(500);
  await shot("why");
  await workbench.closeAll();
  await workbench.openFile("larder/stock.py");
  await workbench.goTo(37, 10);
  await workbench.command("Fovea: Graph Around the Cursor");
  await workbench.webview(/callers,/);
  await page.waitForTimeout(500);
  await shot("graph");
  await workbench.closeAll();
  await workbench.openFile("larder/cli.py");
  await workbench.command("Fovea: Search the Project");
  await page.keyboard.type("items that are not in stock");
  await page.keyboard.press("Enter");
  await page.locator(".pane-body .monaco-list-row", { hasText: "larder/stock.py" }).first().waitFor({ timeout: 20000 });
  await page.keyboard.press("ArrowRight");
  await page.waitForTimeout(700);
  await shot("search");
} finally {
  await workbench.close();
}

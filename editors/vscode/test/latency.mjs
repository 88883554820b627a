// How long after a key a suggestion is drawn, and what the extension costs the editor, in a whole VS Code.
//   node latency.mjs VSCODE VSIX PROBE PROJECT [N_PLACES]
// Lines of the project's own files are typed again in bursts, with a pause after each. Keys are real key
// events of the browser, times are the page's own: from the event of the last key to the frame in which
// the ghost text of that text stands.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { open } from "./workbench.mjs";

const [vscode, vsix, probe, project] = process.argv.slice(2, 6).map((given) => path.resolve(given));
const nPlaces = Number(process.argv[6] ?? 10);
const binary = process.env.FOVEA_BIN;
const SETTLED_MS = 500;
const PATIENCE_MS = 3000;

/** Numbers that are the same in every run. */
let state = 7;
function random(below) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % below;
}
const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))];
const show = (values) => `n ${values.length}, p50 ${quantile(values, 0.5).toFixed(0)} ms, p95 ${quantile(values, 0.95).toFixed(0)} ms, max ${Math.max(...values).toFixed(0)} ms`;

/** Lines in the project's larger files that are worth typing again. */
function places() {
  const files = [];
  const visit = (folder) => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const full = path.join(folder, entry.name);
      if (entry.isDirectory() && !entry.name.startsWith(".")) visit(full);
      if (entry.isFile() && /\.(py|rs|ts|go)$/.test(entry.name) && fs.statSync(full).size < 200000) files.push(full);
    }
  };
  visit(project);
  files.sort((a, b) => fs.statSync(b).size - fs.statSync(a).size || (a < b ? -1 : 1));
  const found = [];
  for (const file of files.slice(0, 12)) {
    const lines = fs.readFileSync(file, "utf8").split("\n");
    const fit = lines.map((text, line) => ({ file: path.relative(project, file), line, text }))
      .filter(({ text }) => /^\s{4,}\w.*[.(]/.test(text) && text.length >= 24 && text.length <= 90 && /^[\x20-\x7e]*$/.test(text));
    for (let n = 0; n < 2 && fit.length > 0; n++) found.push(fit.splice(random(fit.length), 1)[0]);
  }
  const chosen = [];
  while (chosen.length < nPlaces && found.length > 0) chosen.push(found.splice(random(found.length), 1)[0]);
  return chosen;
}

/** In the page: when keys came, when a typed character stood, what ghost text stood when. */
const watch = () => {
  const log = { keys: [], typed: [], ghosts: [] };
  window.foveaLog = log;
  let pending;
  document.addEventListener("keydown", (event) => {
    log.keys.push(event.timeStamp);
    pending = event.timeStamp;
  }, true);
  let ghost = "";
  new MutationObserver(() => {
    if (pending !== undefined) {
      const pressed = pending;
      pending = undefined;
      requestAnimationFrame((frame) => log.typed.push(Math.max(0, performance.now() - pressed)));
    }
    const now = [...document.querySelectorAll(".ghost-text-decoration, .ghost-text")].map((part) => part.textContent).join("");
    if (now !== ghost) {
      ghost = now;
      requestAnimationFrame(() => log.ghosts.push({ at: performance.now(), text: now }));
    }
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
};

async function run(name, settings, out) {
  const workbench = await open({
    vscode, vsix: [vsix, probe], project, settings: { "fovea.path": binary, ...settings }, env: { FOVEA_PROBE_OUT: out },
  });
  const { page } = workbench;
  const isOn = settings["fovea.enable"] !== false;
  const [first, later, none, typed] = [[], [], [], []];
  state = 7;
  try {
    await workbench.openFile(places()[0].file);
    if (isOn) {
      await page.locator(".statusbar-item .codicon-eye").first().waitFor({ timeout: 60000 });
      execFileSync(binary, ["sync"], { cwd: project, stdio: "ignore" });
    }
    await page.waitForTimeout(3000);
    await page.evaluate(watch);
    state = 7;
    const chosen = places();
    let serverPid;
    for (const { file, line, text } of chosen) {
      await workbench.openFile(file);
      const indent = text.length - text.trimStart().length;
      await workbench.goTo(line + 1, indent + 1);
      await page.keyboard.press("Shift+End");
      await page.keyboard.press("Delete");
      await page.waitForTimeout(1500);
      if (line === chosen[0].line && file === chosen[0].file) await workbench.command("Probe: Start");
      await workbench.command("View: Focus Active Editor Group");
      for (let column = indent, burst = 0; column < text.length; burst++) {
        const nKeys = Math.min(3 + random(6), text.length - column);
        await page.evaluate(() => { Object.assign(window.foveaLog, { keys: [], ghosts: [] }); window.foveaLog.typed.length = 0; });
        for (let n = 0; n < nKeys; n++) {
          await page.keyboard.type(text[column++]);
          if (n + 1 < nKeys) await page.waitForTimeout(60 + random(120));
        }
        const before = Date.now();
        let log;
        do {
          await page.waitForTimeout(40);
          log = await page.evaluate(() => ({ now: performance.now(), ...window.foveaLog }));
          const last = log.ghosts.at(-1);
          if (last?.text && log.now - Math.max(last.at, log.keys.at(-1)) > SETTLED_MS) break;
        } while (isOn && Date.now() - before < PATIENCE_MS);
        typed.push(...log.typed);
        const last = log.ghosts.at(-1);
        if (last?.text) (burst === 0 ? first : later).push(Math.max(0, last.at - log.keys.at(-1)));
        else none.push(burst);
        await page.waitForTimeout(150 + random(300));
      }
      await page.keyboard.press("Escape");
      await workbench.command("File: Revert File");
    }
    await workbench.command("Probe: Stop");
    await page.waitForTimeout(1000);
  } finally {
    await workbench.close();
  }
  const host = JSON.parse(fs.readFileSync(out, "utf8"));
  if (isOn) {
    console.log(`${name}: key to ghost text, first burst in a place: ${first.length ? show(first) : "none"}`);
    console.log(`${name}: key to ghost text, later bursts: ${show(later)}`);
    console.log(`${name}: all: ${show([...first, ...later])}; bursts without one: ${none.length}`);
    console.log(`${name}: extension host, our own code: ${host.ours_ms.toFixed(0)} ms in ${(host.all_ms / 1000).toFixed(0)} s, longest run ${host.longest_ms.toFixed(1)} ms`);
    console.log(`${name}: memory of the server process: ${host.server_mb.toFixed(1)} MB`);
  }
  console.log(`${name}: key to character: ${show(typed)}`);
  console.log(`${name}: extension host, delay of its loop: p50 ${host.p50.toFixed(1)} ms, p99 ${host.p99.toFixed(1)} ms, max ${host.max.toFixed(1)} ms`);
}

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "fovea-latency-"));
try {
  await run("with Fovea", {}, path.join(scratch, "on.json"));
  await run("without", { "fovea.enable": false }, path.join(scratch, "off.json"));
} finally {
  fs.rmSync(scratch, { recursive: true, force: true });
}

// Watches the extension host from inside, for the latency benchmark: how late its loop is, and how long
// code of the Fovea extension held it at a time.
const fs = require("node:fs");
const { Session } = require("node:inspector/promises");
const { monitorEventLoopDelay } = require("node:perf_hooks");

const vscode = require("vscode");

const INTERVAL_US = 200;
let session;
let delay;

async function start() {
  delay = monitorEventLoopDelay({ resolution: 1 });
  session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
  delay.enable();
  await session.post("Profiler.start");
}

/** Time in stacks that our script is part of: in all, and the longest without a pause. */
function ours(profile) {
  const parents = new Map();
  const isOurs = new Map();
  for (const node of profile.nodes) {
    for (const child of node.children ?? []) parents.set(child, node.id);
    isOurs.set(node.id, /fovea\.fovea-[^/]*\/out\/extension\.js$/.test(node.callFrame.url));
  }
  const holds = (id) => {
    for (let at = id; at !== undefined; at = parents.get(at)) if (isOurs.get(at)) return true;
    return false;
  };
  let [all, total, run, longest] = [0, 0, 0, 0];
  profile.samples.forEach((id, index) => {
    const us = profile.timeDeltas[index] ?? 0;
    all += us;
    if (holds(id)) {
      total += us;
      run += us;
      longest = Math.max(longest, run);
    } else {
      run = 0;
    }
  });
  return { all_ms: all / 1000, ours_ms: total / 1000, longest_ms: longest / 1000 };
}

/** Resident memory of `fovea lsp` of this host. */
function serverMemory() {
  for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const parent = Number(/^PPid:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (parent === process.pid && command[1] === "lsp") {
        return Number(/^VmHWM:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
      }
    } catch {
      // Gone meanwhile.
    }
  }
  return 0;
}

async function stop() {
  const { profile } = await session.post("Profiler.stop");
  delay.disable();
  session.disconnect();
  const ms = (ns) => ns / 1e6;
  fs.writeFileSync(process.env.FOVEA_PROBE_OUT, JSON.stringify({
    ...ours(profile), server_mb: serverMemory(),
    p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max),
  }));
}

exports.activate = (context) => context.subscriptions.push(
  vscode.commands.registerCommand("foveaProbe.start", start),
  vscode.commands.registerCommand("foveaProbe.stop", stop),
);

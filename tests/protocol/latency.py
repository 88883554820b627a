"""Typing in a real project: how long after the last key of a burst the suggestion is there, and where the time goes.

usage: FOVEA_HOME=... [FOVEA_MODEL_PATH=...] latency.py FOVEA PROJECT [N_PLACES] [SEED]

Lines of the project's own files are typed again, in bursts of 3 to 8 keys with 60 to 180 ms between them, and a
pause after each burst until the answer is there. The first burst in a place is counted by itself: nothing of its
prompt was read before. Taken at the pipe; the editors' own benchmarks add what drawing costs.
"""

import json
import math
import pathlib
import random
import re
import statistics
import sys
import time

from client import Client

binary, project = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
n_places = int(sys.argv[3]) if len(sys.argv) > 3 else 12
rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 7)
LANGUAGES = {".py": "python", ".rs": "rust", ".ts": "typescript", ".go": "go"}


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def places():
    """Lines inside functions, with a word on them, of the largest files."""
    files = [p for p in project.rglob("*") if p.suffix in LANGUAGES and p.is_file() and p.stat().st_size < 200_000]
    files = sorted(files, key=lambda p: -p.stat().st_size)[:12]
    found = []
    for file in files:
        lines = file.read_text(errors="replace").split("\n")
        fit = [n for n, line in enumerate(lines) if re.match(r"\s{4,}\w.*[.(]", line) and 24 <= len(line) <= 90 and line.isascii()]
        found += [(file, n) for n in rng.sample(fit, min(2, len(fit)))]
    rng.shuffle(found)
    return found[:n_places]


client = Client([binary, "lsp"], project)
root = project.as_uri()
capabilities = {"textDocument": {"inlineCompletion": {}}}
folders = [{"uri": root, "name": "project"}]
client.ask("initialize", {"processId": None, "rootUri": root, "workspaceFolders": folders, "capabilities": capabilities})
client.notify("initialized", {})
status = {"workspaces": []}
until = time.monotonic() + 120
while not (status["workspaces"] and not status["workspaces"][0].get("is_busy", False) and status["workspaces"][0]["n_files"]):
    status = client.ask("fovea/status", None)
    time.sleep(0.2)
    assert time.monotonic() < until, status

samples = []
for number, (file, line) in enumerate(places()):
    uri = file.as_uri()
    lines = file.read_text(errors="replace").split("\n")
    whole = lines[line]
    indent = len(whole) - len(whole.lstrip())
    lines[line] = whole[:indent]
    version = 1
    document = {"uri": uri, "languageId": LANGUAGES[file.suffix], "version": version, "text": "\n".join(lines)}
    client.notify("textDocument/didOpen", {"textDocument": document})
    column, burst = indent, 0
    while column < len(whole):
        n_keys = min(rng.randint(3, 8), len(whole) - column)
        for key in range(n_keys):
            place = {"line": line, "character": column}
            version += 1
            change = {"range": {"start": place, "end": place}, "text": whole[column]}
            client.notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": version}, "contentChanges": [change]})
            column += 1
            at = {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}
            pressed = time.monotonic()
            asked = client.start("textDocument/inlineCompletion", {**at, "context": {"triggerKind": 2}})
            if key + 1 < n_keys:
                time.sleep(rng.uniform(0.06, 0.18))
        answer = client.wait(asked)
        ms = (time.monotonic() - pressed) * 1e3
        items = (answer.get("result") or {}).get("items") or []
        sample = {"place": number, "burst": burst, "ms": ms, "n_items": len(items), "error": answer.get("error")}
        if items:
            explained = client.ask("fovea/explain", {**at, "suggestion": items[0]["command"]["arguments"][0]})
            suggestion = explained["suggestion"] if explained else None
            if suggestion:
                rest, shown = whole[column:], items[0]["insertText"]
                word = re.match(r"\W*\w+|\W+", shown)[0]
                sample |= {"confidence": math.exp(suggestion["logprob"]) if suggestion["logprob"] is not None else None}
                sample |= {"word": rest.startswith(word), "line": rest.strip() == shown.split("\n")[0].strip()}
                sample |= {"source": suggestion["source"], "plan": explained["plan"]["n_tokens"], **suggestion["timings"]}
        samples.append(sample)
        burst += 1
        time.sleep(rng.uniform(0.2, 0.6))
    client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

rss = next(int(row.split()[1]) for row in open(f"/proc/{client.server.pid}/status") if row.startswith("VmHWM"))
print(json.dumps(status["daemon"]["model"]))
for name, chosen in [("first burst in a place", [s for s in samples if s["burst"] == 0]), ("later bursts", [s for s in samples if s["burst"]])]:
    times = [s["ms"] for s in chosen]
    print(f"{name}: n {len(times)}, p50 {quantile(times, 0.5):.0f} ms, p95 {quantile(times, 0.95):.0f} ms, max {max(times):.0f} ms")
    asked = [s for s in chosen if s.get("source") == "model" and s["ms"] > 2]
    print(f"  shown {sum(s['n_items'] for s in chosen)}, refused {sum(1 for s in chosen if s['error'])}, along the suggestion before {sum(1 for s in chosen if s['ms'] <= 2)}")
    for field in ["context_ms", "prefill_ms", "first_token_ms", "total_ms", "n_prompt_tokens", "n_reused_tokens", "n_generated_tokens", "plan"]:
        values = [s[field] for s in asked]
        if values:
            print(f"  {field}: p50 {quantile(values, 0.5):.0f}, p95 {quantile(values, 0.95):.0f}, mean {statistics.mean(values):.0f}")
judged = [s for s in samples if s.get("confidence") is not None]
print("shown at a confidence of at least:  n, next word right, rest of the line right")
for least in [0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]:
    chosen = [s for s in judged if s["confidence"] >= least]
    if chosen:
        words, lines = (sum(s[name] for s in chosen) / len(chosen) for name in ("word", "line"))
        print(f"  {least:.1f}: {len(chosen)} of {len(judged)}, {words:.0%}, {lines:.0%}")
print(f"server process: at most {rss / 1024:.1f} MB")
print("samples: " + json.dumps(samples), file=sys.stderr)
client.stop()

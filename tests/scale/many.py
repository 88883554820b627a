#!/usr/bin/env python3
"""Many repositories in one daemon: how time and memory grow with the number of files.

    python3 tests/scale/many.py FOVEA SOURCES [--flat 1000,10000,100000] [--repositories 20 --files 300000]

Copies real source files (at most 6 kB each, from the folders below SOURCES) under other names and with a
third of their identifiers renamed, so that no two copies share what the store keeps by content. `--flat`
indexes one repository of each size, alone; `--repositories` opens all of them in one daemon, then changes
one file in one and asks for it. Works below --scratch, by default a temporary folder, and removes it.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}")
KEPT = set(
    "self Self super crate return while match where impl trait struct enum type unsafe extern const static "
    "async await else loop move break continue true false None Some from import class pass with yield lambda "
    "raise except finally global nonlocal assert elif String Result Option print".split()
)
MAX_BYTES = 6_000


def sources(folder):
    texts = []
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix in (".rs", ".py") and path.is_file() and 200 <= path.stat().st_size <= MAX_BYTES:
            try:
                texts.append((path.suffix, path.read_text()))
            except UnicodeDecodeError:
                pass
    if not texts:
        raise SystemExit(f"no .rs or .py file of 200 to {MAX_BYTES} bytes below {folder}")
    return texts


def renamed(text, salt):
    def other(found):
        word = found.group()
        return word if word in KEPT or zlib.crc32(f"{salt}{word}".encode()) % 3 else f"{word}_{salt}"

    return IDENTIFIER.sub(other, text)


def generate(root, n_files, texts, salt):
    (root / ".git").mkdir(parents=True)
    n_bytes = 0
    numbers = random.Random(salt)
    for index in range(n_files):
        suffix, text = numbers.choice(texts)
        text = renamed(text, salt * 1_000_000 + index)
        folder = root / f"part{index // 2000}" / f"module{index // 40 % 50}"
        if index % 40 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{index}{suffix}").write_text(text)
        n_bytes += len(text)
    return n_bytes


class Daemon:
    """A daemon with a home of its own."""

    def __init__(self, fovea, home, settings):
        self.fovea, self.home = fovea, Path(home)
        self.environment = {"PATH": os.environ["PATH"], "FOVEA_HOME": str(home), "FOVEA_OFFLINE": "true"}
        self.environment |= settings
        command = [fovea, "daemon", "run"]
        self.process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit("the daemon does not start; see " + str(self.home))

    def ask(self, *arguments):
        run = [self.fovea, *arguments]
        output = subprocess.run(run, env=self.environment, stdout=subprocess.PIPE, text=True)
        if output.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(run)} ended with {output.returncode}")
        return output.stdout

    def cpu_s(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def field(self, name):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        return 0

    def stop(self):
        self.process.terminate()
        self.process.wait()


def bytes_below(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def flat(fovea, texts, sizes, scratch, settings):
    print("| files | MB | processor ms a file | s | resident MiB (peak) | KiB a file | index / source | one edit, ms |")
    for n_files in sizes:
        root, home = scratch / f"flat{n_files}", scratch / f"home{n_files}"
        n_bytes = generate(root, n_files, texts, 7)
        daemon = Daemon(fovea, home, settings)
        before, started = daemon.cpu_s(), time.monotonic()
        daemon.ask("--root", str(root), "index")
        took, cpu = time.monotonic() - started, daemon.cpu_s() - before
        edit_ms = edit(daemon, root)
        resident, peak = daemon.field("VmRSS") / 1024, daemon.field("VmHWM") / 1024
        ratio = bytes_below(home / "data") / n_bytes
        print(
            f"| {n_files} | {n_bytes / 1e6:.1f} | {cpu * 1e3 / n_files:.3f} | {took:.1f} | {resident:.0f} ({peak:.0f}) "
            f"| {resident * 1024 / n_files:.1f} | {ratio:.2f} | {edit_ms:.0f} |",
            flush=True,
        )
        daemon.stop()
        shutil.rmtree(root)
        shutil.rmtree(home)


def edit(daemon, root):
    """A saved file until it is found, through the command line and so with the start of two processes."""
    times = []
    for index in range(5):
        path = next((root / "part0" / "module0").iterdir())
        path.write_text(path.read_text() + f"\n# edited_{index}_here\n")
        started = time.monotonic()
        daemon.ask("--root", str(root), "sync")
        found = daemon.ask("--root", str(root), "grep", f"edited_{index}_here", "--json")
        times.append((time.monotonic() - started) * 1e3)
        if f"edited_{index}_here" not in found:
            raise SystemExit(f"a saved line is not found in {root}")
    return sorted(times)[2]


def many(fovea, texts, n_repositories, n_files, scratch, settings):
    roots, home = [scratch / f"repository{index}" for index in range(n_repositories)], scratch / "home"
    # A few large ones and many small ones, as people have them.
    shares = [1 / (1 + index / 2) for index in range(n_repositories)]
    counts = [int(n_files * share / sum(shares)) for share in shares]
    n_bytes = sum(generate(root, n, texts, 100 + i) for i, (root, n) in enumerate(zip(roots, counts)))
    print(f"{n_repositories} repositories, {sum(counts)} files ({max(counts)} in the largest), {n_bytes / 1e6:.0f} MB")
    daemon = Daemon(fovea, home, settings)
    started = time.monotonic()
    for index, root in enumerate(roots):
        daemon.ask("--root", str(root), "index")
        took, cpu = time.monotonic() - started, daemon.cpu_s()
        print(
            f"  {index + 1} open: {took:.0f} s, {cpu:.0f} s of processor, {daemon.field('VmRSS') >> 10} MiB resident, "
            f"{daemon.field('Threads')} threads",
            flush=True,
        )
    top = json.loads(daemon.ask("top", "--json"))
    print("  top:", json.dumps({k: v for k, v in top.items() if not isinstance(v, (list, dict))}))
    print("  open workspaces:", len(top.get("workspaces", [])))
    handles = len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))
    print(f"  peak {daemon.field('VmHWM') >> 10} MiB, {handles} file handles, index and facts {bytes_below(home / 'data') / 1e6:.0f} MB")
    for root in (roots[-1], roots[0]):
        print(f"  one edit in {root.name}: {edit(daemon, root):.0f} ms")
    before = daemon.cpu_s()
    time.sleep(20)
    print(f"  idle for 20 s: {(daemon.cpu_s() - before) * 1e3:.0f} ms of processor, {daemon.field('Threads')} threads")
    daemon.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fovea")
    parser.add_argument("sources")
    parser.add_argument("--flat", default="")
    parser.add_argument("--repositories", type=int, default=0)
    parser.add_argument("--files", type=int, default=300_000)
    parser.add_argument("--scratch")
    parser.add_argument("--memory-mb", help="daemon.memory-mb")
    arguments = parser.parse_args()
    settings = {"FOVEA_DAEMON_MEMORY_MB": arguments.memory_mb} if arguments.memory_mb else {}
    fovea, texts = os.path.abspath(arguments.fovea), sources(arguments.sources)
    print(f"{len(texts)} source files, {sum(len(text) for _, text in texts) / len(texts):.0f} bytes each")
    scratch = Path(tempfile.mkdtemp(prefix="fovea-scale", dir=arguments.scratch))
    try:
        sizes = [int(size) for size in arguments.flat.split(",") if size]
        flat(fovea, texts, sizes, scratch, settings)
        if arguments.repositories:
            many(fovea, texts, arguments.repositories, arguments.files, scratch, settings)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()

"""Trains the static word vectors inside the binary: indexer/src/vector/embedding.bin.

Words are identifier parts (the same splitting as indexer/src/vector/words.rs). Counts are weighted
co-occurrences inside a window, plus pairs of a documentation comment's words with the words of the
code it documents. Shifted positive pointwise mutual information and a truncated SVD give the
vectors (Levy and Goldberg 2014); word weights are a / (a + p(word)), and the mean of the corpus'
text vectors' first singular vector is stored as the common component (Arora, Liang and Ma 2017).

    pip install numpy scipy
    python3 train_embedding.py --out ../src/vector/embedding.bin --python DIR --rust DIR

Deterministic for the same files: they are read in sorted order and the SVD starts from a fixed seed.
"""

import argparse
import ast
import collections
import pathlib
import re
import struct
import sys

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+(?=[A-Z][a-z])")
# What words.rs does to `HTTPServer`: the last capital begins the next part.
CAPITALS = re.compile(r"([A-Z]+)([A-Z][a-z])")
WINDOW = 5
DOC_WEIGHT = 0.6
MAX_FILE_BYTES = 200_000


def words(text):
    text = CAPITALS.sub(r"\1 \2", text)
    return [w.lower() for w in WORD.findall(text) if 2 <= len(w) <= 24]


def python_units(source):
    """(documentation, code) of each function and class; the code without its docstring."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    lines = source.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            doc = ast.get_docstring(node)
            if not doc or not node.body:
                continue
            head = lines[node.lineno - 1 : node.body[0].lineno - 1] or [lines[node.lineno - 1]]
            body = lines[node.body[0].end_lineno : min(node.end_lineno, node.lineno + 80)]
            yield doc, "\n".join(head + body)


def rust_units(source):
    """(documentation, code) of each item behind `///` lines: up to 40 lines, or a lone `}`."""
    doc, code, state = [], [], "out"
    for line in source.splitlines():
        stripped = line.strip()
        if stripped.startswith("///"):
            if state == "code" and doc and code:
                yield "\n".join(doc), "\n".join(code)
                doc, code = [], []
            state = "doc"
            doc.append(stripped[3:])
        elif state in ("doc", "code"):
            state = "code"
            code.append(line)
            if (line.startswith("}") or line.startswith("    }")) or len(code) >= 40:
                yield "\n".join(doc), "\n".join(code)
                doc, code, state = [], [], "out"


def files(folder, suffix, skip, limit):
    """Texts of at most `limit` files, spread evenly over the sorted list."""
    paths = sorted(pathlib.Path(folder).rglob(f"*{suffix}"))
    paths = [p for p in paths if not any(part in str(p) for part in skip) and p.stat().st_size <= MAX_FILE_BYTES]
    for path in paths[:: max(1, len(paths) // limit)]:
        try:
            yield path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True)
    parser.add_argument("--rust", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--files", type=int, default=2_500, help="files of each language")
    parser.add_argument("--vocabulary", type=int, default=16_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--skip", nargs="*", default=[], help="path parts of projects held out for evaluation")
    args = parser.parse_args()

    streams, units = [], []
    counts = collections.Counter()
    for folder, suffix, split in ((args.python, ".py", python_units), (args.rust, ".rs", rust_units)):
        n = 0
        for source in files(folder, suffix, args.skip, args.files):
            stream = words(source)
            counts.update(stream)
            streams.append(stream)
            units.extend((words(d)[:24], words(c)[:60]) for d, c in split(source))
            n += 1
        print(f"{folder}: {n} files, {len(units)} documented units so far", file=sys.stderr)
    vocabulary = [w for w, c in counts.most_common(args.vocabulary) if c >= 8]
    index = {w: i for i, w in enumerate(vocabulary)}
    v = len(vocabulary)
    print(f"{sum(counts.values())} words, vocabulary {v}", file=sys.stderr)

    total = sp.csr_matrix((v, v), dtype=np.float32)
    rows, cols, vals = [], [], []
    n_pairs = 0

    def add(row, col, value):
        nonlocal n_pairs
        rows.append(row)
        cols.append(col)
        vals.append(np.full(len(row), value, dtype=np.float32))
        n_pairs += len(row)
        if n_pairs > 40_000_000:
            flush()

    def flush():
        nonlocal total, n_pairs
        pairs = (np.concatenate(vals), (np.concatenate(rows), np.concatenate(cols)))
        total = total + sp.coo_matrix(pairs, shape=(v, v)).tocsr()
        for part in (rows, cols, vals):
            part.clear()
        n_pairs = 0

    for stream in streams:
        ids = np.array([index[w] for w in stream if w in index], dtype=np.int32)
        for d in range(1, WINDOW + 1):
            if len(ids) > d:
                add(ids[:-d], ids[d:], 1.0 / d)
    for doc, code in units:
        d = np.array(sorted({index[w] for w in doc if w in index}), dtype=np.int32)
        c = np.array(sorted({index[w] for w in code if w in index}), dtype=np.int32)
        if len(d) and len(c):
            add(np.repeat(d, len(c)), np.tile(c, len(d)), DOC_WEIGHT / np.sqrt(len(c)))
    flush()
    total = (total + total.T).tocsr()
    # Pairs seen hardly once are noise, and most of the matrix.
    total.data[total.data < 0.9] = 0
    total.eliminate_zeros()
    print(f"{total.nnz} pairs", file=sys.stderr)

    # PPMI with context distribution smoothing 0.75 (Levy, Goldberg and Dagan 2015).
    marginal = np.asarray(total.sum(axis=1)).ravel()
    smooth = marginal**0.75
    smooth /= smooth.sum()
    coo = total.tocoo()
    pmi = np.log(coo.data / (marginal[coo.row] * smooth[coo.col]))
    keep = pmi > 0
    ppmi = sp.csr_matrix((pmi[keep].astype(np.float32), (coo.row[keep], coo.col[keep])), shape=(v, v))
    rng = np.random.default_rng(7)
    u, s, _ = scipy.sparse.linalg.svds(ppmi, k=args.dim, v0=rng.standard_normal(v), random_state=7)
    order = np.argsort(-s)
    vectors = u[:, order] * np.sqrt(s[order])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9

    frequency = np.array([counts[w] for w in vocabulary], dtype=np.float64)
    frequency /= sum(counts.values())
    weight = 1e-4 / (1e-4 + frequency)
    weighted = vectors * weight[:, None]
    sample = []
    for stream in streams[:: max(1, len(streams) // 3000)]:
        ids = sorted({index[w] for w in stream[:300] if w in index})
        if ids:
            row = weighted[ids].sum(axis=0)
            sample.append(row / (np.linalg.norm(row) + 1e-9))
    common = np.linalg.svd(np.array(sample), full_matrices=False)[2][0]

    peak = np.abs(vectors).max(axis=1)
    quantized = np.round(vectors / peak[:, None] * 127).astype(np.int8)
    scale = (weight * peak / 127).astype(np.float32)
    with open(args.out, "wb") as out:
        out.write(b"FOVEAEM1" + struct.pack("<II", v, args.dim))
        out.write(common.astype("<f4").tobytes() + scale.astype("<f4").tobytes() + quantized.tobytes())
        out.write("".join(w + "\n" for w in vocabulary).encode())

    for probe in ("socket", "parse", "async", "mutex", "delete", "header"):
        if probe in index:
            near = np.argsort(-(vectors @ vectors[index[probe]]))[1:9]
            print(probe, "->", " ".join(vocabulary[i] for i in near), file=sys.stderr)


if __name__ == "__main__":
    main()

"""Trains the static word vectors inside the binary: indexer/src/vector/embedding.bin.

Words are identifier parts (the same splitting as indexer/src/vector/words.rs). What is learnt from
are pairs: the first sentence of a documentation comment and the code that it documents, and a comment
and the lines behind it. A text is the sum of its words' vectors, each counted 1 + ln(n) times; the
vectors are trained so that a sentence lies nearer to its own code than to the other code of its batch
(InfoNCE both ways: van den Oord, Li and Vinyals 2018), with Adam (Kingma and Ba 2015) on the rows that
a batch touches. Half of the batches come from one package after the other, where the other code is the
hardest to tell apart. The length of a word's vector is its weight; nothing else weighs words.

    pip install numpy scipy
    python3 train_embedding.py --out ../src/vector/embedding.bin --python DIR --rust DIR

The first folder level below DIR is a package (below a Rust DIR the second). Packages whose name falls
into one class of twelve are held out: their documented functions say how good the vectors are.
Deterministic for the same files, library versions and one thread of linear algebra.
"""

import argparse
import ast
import collections
import os
import pathlib
import re
import struct
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy.sparse as sp

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+(?=[A-Z][a-z])")
# What words.rs does to `HTTPServer`: the last capital begins the next part.
CAPITALS = re.compile(r"([A-Z]+)([A-Z][a-z])")
SENTENCE = re.compile(r"(.+?[.!?])(\s|$)")
MAX_FILE_BYTES = 200_000
SENTENCE_WORDS, CODE_WORDS, COMMENT_CODE_WORDS = 32, 160, 80
HELD_OUT = 12


def words(text):
    text = CAPITALS.sub(r"\1 \2", text)
    return [w.lower() for w in WORD.findall(text) if 2 <= len(w) <= 24]


def first_sentence(doc):
    paragraph = " ".join(line.strip() for line in doc.strip().split("\n\n")[0].splitlines())
    found = SENTENCE.match(paragraph)
    return found.group(1) if found else paragraph


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


def comments(source, mark):
    """(comment, code) of each short comment and the lines up to the next blank one."""
    lines = source.splitlines()
    at = 0
    while at < len(lines):
        if not is_comment(lines[at], mark):
            at += 1
            continue
        text = []
        while at < len(lines) and lines[at].strip().startswith(mark):
            text.append(lines[at].strip().lstrip("#/ "))
            at += 1
        code = []
        for line in lines[at : at + 8]:
            if not line.strip() or line.strip().startswith(mark):
                break
            code.append(line)
        if code and len(text) < 6:
            yield " ".join(text), "\n".join(code)


def is_comment(line, mark):
    line = line.strip()
    return line.startswith(mark) and not line.startswith((mark + "/", "//!", "#!"))


def files(folder, suffix, skip, limit):
    """Paths of at most about `limit` files, spread evenly over the sorted list."""
    paths = sorted(pathlib.Path(folder).rglob(f"*{suffix}"))
    paths = [p for p in paths if not any(part in str(p) for part in skip) and p.stat().st_size <= MAX_FILE_BYTES]
    return paths[:: max(1, round(len(paths) / limit))]


class Corpus:
    """Word ids of all pairs, and how often each word occurs in all files."""

    def __init__(self):
        self.ids, self.counts = {}, collections.Counter()
        # (sentence, code, is documentation, package)
        self.pairs, self.packages = [], {}

    def encode(self, text, limit):
        return np.array([self.ids.setdefault(w, len(self.ids)) for w in words(text)[:limit]], dtype=np.int32)

    def read(self, folder, suffix, units, mark, package_level, skip, limit):
        n_files = 0
        for path in files(folder, suffix, skip, limit):
            try:
                source = path.read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            name = path.relative_to(folder).parts[package_level - 1]
            package = self.packages.setdefault(name, len(self.packages))
            self.counts.update(self.encode(source, 20_000).tolist())
            found = [(first_sentence(d), c, True, CODE_WORDS, 3) for d, c in units(source)]
            found += [(d, c, False, COMMENT_CODE_WORDS, 4) for d, c in comments(source, mark)]
            for text, code, is_doc, limit_words, least in found:
                if len(words(text)) >= least:
                    pair = (self.encode(text, SENTENCE_WORDS), self.encode(code, limit_words), is_doc, package)
                    self.pairs.append(pair)
            n_files += 1
        print(f"{suffix}: {n_files} files, {len(self.pairs)} pairs so far", file=sys.stderr)


def matrix(texts, rows, n_rows):
    """One row a text: 1 + ln(n) for each word of the table. `rows` maps word ids to rows, or -1."""
    starts, columns, values = [0], [], []
    for text in texts:
        known = rows[text]
        unique, n = np.unique(known[known >= 0], return_counts=True)
        columns.append(unique)
        values.append(1 + np.log(n))
        starts.append(starts[-1] + len(unique))
    data = (np.concatenate(values).astype(np.float32), np.concatenate(columns).astype(np.int32), np.array(starts))
    return sp.csr_matrix(data, shape=(len(texts), n_rows))


def unit(x, table):
    z = x @ table
    norm = np.linalg.norm(z, axis=1, keepdims=True) + 1e-6
    return z / norm, norm


def mrr(sentences, code, table):
    """MRR@10 of each sentence's own code among all."""
    scores = unit(sentences, table)[0] @ unit(code, table)[0].T
    rank = (scores > np.diag(scores)[:, None]).sum(1)
    return (1 / (rank + 1))[rank < 10].sum() / len(rank)


def dropped(x, share, rng):
    """A copy in which words are missing at random, so that no pair rests on one word."""
    x = x.copy()
    x.data *= rng.random(len(x.data)) > share
    return x


def batches(indices, packages, size, rng):
    mixed, by_package = rng.permutation(indices), indices[np.lexsort((rng.random(len(indices)), packages[indices]))]
    n = len(indices) // size
    for step, block in enumerate(rng.permutation(n)):
        source = by_package if step % 2 == 0 else mixed
        yield source[block * size : (block + 1) * size]


def train(sentences, code, is_doc, packages, training, valid, table, args, rng):
    mean, square = np.zeros_like(table), np.zeros_like(table)
    steps = np.zeros(len(table), dtype=np.int64)
    documented = training[is_doc[training]]
    phases = [training] * args.comment_epochs + [documented] * args.doc_epochs
    n_total, n_done, started = sum(len(phase) // args.batch for phase in phases), 0, time.time()
    for epoch, indices in enumerate(phases):
        losses = []
        for batch in batches(indices, packages, args.batch, rng):
            n_done += 1
            rate = args.rate * min(1, n_done / 200) * max(0.02, 0.5 * (1 + np.cos(np.pi * n_done / n_total)))
            q, c = dropped(sentences[batch], args.drop, rng), dropped(code[batch], args.drop, rng)
            used = np.union1d(q.indices, c.indices)
            at = np.full(len(table), -1, dtype=np.int32)
            at[used] = np.arange(len(used))
            q, c = (sp.csr_matrix((x.data, at[x.indices], x.indptr), shape=(len(batch), len(used))) for x in (q, c))
            zq, nq = unit(q, table[used])
            zc, nc = unit(c, table[used])
            scores = zq @ zc.T / args.temperature
            rows = np.exp(scores - scores.max(1, keepdims=True))
            rows /= rows.sum(1, keepdims=True)
            columns = np.exp(scores - scores.max(0, keepdims=True))
            columns /= columns.sum(0, keepdims=True)
            losses.append(-np.log(np.diag(rows) + 1e-9).mean())
            gradient = (rows + columns) / 2
            gradient[np.arange(len(batch)), np.arange(len(batch))] -= 1
            gradient /= len(batch) * args.temperature
            gq, gc = gradient @ zc, gradient.T @ zq
            gq = (gq - zq * (gq * zq).sum(1, keepdims=True)) / nq
            gc = (gc - zc * (gc * zc).sum(1, keepdims=True)) / nc
            step = q.T @ gq + c.T @ gc
            steps[used] += 1
            n = steps[used][:, None]
            mean[used] = 0.9 * mean[used] + 0.1 * step
            square[used] = 0.999 * square[used] + 0.001 * step * step
            change = (mean[used] / (1 - 0.9**n)) / (np.sqrt(square[used] / (1 - 0.999**n)) + 1e-8)
            table[used] -= (rate * change).astype(np.float32)
        score = mrr(sentences[valid], code[valid], table)
        seconds = time.time() - started
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}, held-out MRR@10 {score:.4f}, {seconds:.0f} s", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True)
    parser.add_argument("--rust", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--files", type=int, default=12_000, help="files of each language")
    parser.add_argument("--vocabulary", type=int, default=24_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--batch", type=int, default=768)
    parser.add_argument("--comment-epochs", type=int, default=2, help="epochs with comments, which come first")
    parser.add_argument("--doc-epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.006)
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--drop", type=float, default=0.2)
    parser.add_argument("--skip", nargs="*", default=[], help="path parts of projects held out for evaluation")
    args = parser.parse_args()

    corpus = Corpus()
    corpus.read(args.python, ".py", python_units, "#", 1, args.skip, args.files)
    corpus.read(args.rust, ".rs", rust_units, "//", 2, args.skip, args.files)
    common = [w for w, n in corpus.counts.most_common(args.vocabulary) if n >= 8]
    rows = np.full(len(corpus.ids), -1, dtype=np.int64)
    rows[common] = np.arange(len(common))
    names = list(corpus.ids)
    vocabulary = [names[w] for w in common]
    print(f"{sum(corpus.counts.values())} words, vocabulary {len(vocabulary)}", file=sys.stderr)

    # One pair a sentence: "Returns a copy." documents hundreds of functions.
    seen, pairs = set(), []
    for pair in corpus.pairs:
        key = pair[0].tobytes()
        if key not in seen:
            seen.add(key)
            pairs.append(pair)
    sentences = matrix([pair[0] for pair in pairs], rows, len(common))
    code = matrix([pair[1] for pair in pairs], rows, len(common))
    is_doc = np.array([pair[2] for pair in pairs])
    packages = np.array([pair[3] for pair in pairs])
    usable = (np.diff(sentences.indptr) >= 2) & (np.diff(code.indptr) >= 3)
    sentences, code, is_doc, packages = sentences[usable], code[usable], is_doc[usable], packages[usable]
    held_out = [i for name, i in corpus.packages.items() if sum(name.encode()) % HELD_OUT == 0]
    is_held_out = np.isin(packages, held_out)
    rng = np.random.default_rng(1)
    valid = rng.permutation(np.flatnonzero(is_held_out & is_doc))[:3_000]
    training = np.flatnonzero(~is_held_out)
    print(f"{len(training)} pairs to learn from, {len(valid)} held out", file=sys.stderr)

    # Random vectors, rare words longer: without that start common words drown the others at first.
    frequency = np.array([corpus.counts[w] for w in common]) / sum(corpus.counts.values())
    table = (rng.standard_normal((len(common), args.dim)) / 16).astype(np.float32)
    table *= (1e-4 / (1e-4 + frequency)).astype(np.float32)[:, None]
    print(f"start: held-out MRR@10 {mrr(sentences[valid], code[valid], table):.4f}", file=sys.stderr)
    train(sentences, code, is_doc, packages, training, valid, table, args, rng)

    peak = np.abs(table).max(axis=1) + 1e-9
    quantized = np.round(table / peak[:, None] * 127).astype(np.int8)
    with open(args.out, "wb") as out:
        out.write(b"FOVEAEM1" + struct.pack("<II", *table.shape))
        # No common component is taken away: training has none.
        out.write(np.zeros(args.dim, "<f4").tobytes() + (peak / 127).astype("<f4").tobytes() + quantized.tobytes())
        out.write("".join(w + "\n" for w in vocabulary).encode())

    unit_rows = table / (np.linalg.norm(table, axis=1, keepdims=True) + 1e-9)
    index = {w: i for i, w in enumerate(vocabulary)}
    for probe in ("socket", "parse", "async", "mutex", "delete", "header"):
        if probe in index:
            near = np.argsort(-(unit_rows @ unit_rows[index[probe]]))[1:9]
            print(probe, "->", " ".join(vocabulary[i] for i in near), file=sys.stderr)


if __name__ == "__main__":
    main()

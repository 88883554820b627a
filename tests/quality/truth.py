#!/usr/bin/env python3
"""Writes what a compiler's language server says about a checkout, for scoring the symbol graph.

    python3 tests/quality/truth.py rust CHECKOUT --in src,tests -- rust-analyzer > truth.jsonl
    python3 tests/quality/truth.py python CHECKOUT --in src -- pyright-langserver --stdio > truth.jsonl

Two kinds of lines, all numbers one-based, columns in characters:

  {"ask": "definition", "at": "FILE:LINE:COL", "name", "context", "n_same_name",
   "accepted": ["FILE:FIRST-LAST", ..]}       any line of an accepted item's head is right
  {"ask": "references", "at": "FILE:LINE:COL", "name", "in": ["FOLDER", ..],
   "places": ["FILE:LINE", ..], "unjudged": ["FILE:LINE", ..]}

Only places in those folders were asked about. Only definitions inside the checkout count, and no parameters or local variables. A place is
unjudged if the same name stands there and the server says nothing at all about it: code that its
configuration leaves out (features, platforms), which an index that reads every file cannot be
right or wrong about.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time
import urllib.parse

LANGUAGES = {"rust": ".rs", "python": ".py"}
LOCAL = {13, 14, 26}  # variable, constant, type parameter: local if inside a function
FUNCTION = {6, 9, 12}
NOT_CODE = {
    "rust": r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?\'(?:\\.[^\']*|[^\'\\])\'|\'\w+',
    "python": r"#[^\n]*|'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"",
}
KEYWORDS = {
    "rust": "as async await break const continue crate dyn else enum extern false fn for if impl in"
    " let loop match mod move mut pub ref return self Self static struct super trait true type"
    " unsafe use where while union macro_rules bool char str _",
    "python": "False None True and as assert async await break class continue def del elif else"
    " except finally for from global if import in is lambda nonlocal not or pass raise return try"
    " while with yield self cls match case type _",
}


class Server:
    """A language server on pipes, asked one thing at a time."""

    def __init__(self, command, root, options):
        self.process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.options, self.n_sent, self.is_quiet, self.opened = options, 0, False, set()
        links = {"linkSupport": True}
        self.ask(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": root.as_uri(),
                "workspaceFolders": [{"uri": root.as_uri(), "name": root.name}],
                "initializationOptions": options,
                "capabilities": {
                    "workspace": {"configuration": True},
                    "textDocument": {
                        "definition": links,
                        "declaration": links,
                        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
                    },
                    "experimental": {"serverStatusNotification": True},
                },
            },
        )
        self.send({"method": "initialized", "params": {}})

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def receive(self):
        length = 0
        while (line := self.process.stdout.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if not length:
            sys.exit("the language server ended")
        message = json.loads(self.process.stdout.read(length))
        if "method" in message and "id" in message:
            answer = None
            if message["method"] == "workspace/configuration":
                answer = [self.options if i.get("section") == "rust-analyzer" else {} for i in message["params"]["items"]]
            self.send({"id": message["id"], "result": answer})
        elif message.get("method") == "experimental/serverStatus":
            self.is_quiet = message["params"]["quiescent"]
        return message

    def ask(self, method, params):
        self.n_sent += 1
        for _ in range(5):
            self.send({"id": self.n_sent, "method": method, "params": params})
            while (message := self.receive()).get("id") != self.n_sent or "method" in message:
                pass
            if message.get("error", {}).get("code") != -32801:  # content modified: once more
                break
            time.sleep(0.5)
            self.n_sent += 1
        return message.get("result")

    def at(self, method, path, line, column, **more):
        """Places as (path, first line, line, column), zero-based."""
        if path not in self.opened:
            self.opened.add(path)
            text = path.read_text(errors="replace")
            document = {"uri": path.as_uri(), "languageId": self.language, "version": 1, "text": text}
            self.send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        params = {"textDocument": {"uri": path.as_uri()}, **more}
        if line is not None:
            params["position"] = {"line": line, "character": column}
        return self.ask("textDocument/" + method, params)

    def places(self, method, path, line, column, **more):
        found = self.at(method, path, line, column, **more) or []
        for place in found if isinstance(found, list) else [found]:
            uri = place.get("targetUri") or place["uri"]
            exact = place.get("targetSelectionRange") or place["range"]
            whole = place.get("targetRange") or exact
            target = pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(uri).path))
            yield target, whole["start"]["line"], exact["start"]["line"], exact["start"]["character"]


def names(language, text):
    """Identifiers outside of strings and comments: (line, column, name), zero-based."""
    blank = re.sub(NOT_CODE[language], lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    keywords = KEYWORDS[language].split()
    for number, line in enumerate(blank.split("\n")):
        for match in re.finditer(r"[A-Za-z_]\w*", line):
            if match.group() not in keywords:
                yield number, match.start(), match.group()


def definitions(server, path):
    """Where names of non-local definitions stand: {(line, column): first line of the item}."""
    found, waiting = {}, [(s, False) for s in server.at("documentSymbol", path, None, None) or []]
    while waiting:
        symbol, in_function = waiting.pop()
        start = symbol["selectionRange"]["start"]
        if not (in_function and symbol["kind"] in LOCAL) and symbol["kind"] != 19:
            found[start["line"], start["character"]] = symbol["range"]["start"]["line"]
        is_function = in_function or symbol["kind"] in FUNCTION
        waiting += [(child, is_function) for child in symbol.get("children") or []]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=LANGUAGES)
    parser.add_argument("checkout", type=pathlib.Path)
    parser.add_argument("--in", dest="folders", default="", help="folders to sample from, with commas between")
    parser.add_argument("--definitions", type=int, default=300)
    parser.add_argument("--references", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--options", default="{}", help="initialization options, JSON")
    parser.add_argument("server", nargs="+")
    args = parser.parse_args()
    root, language = args.checkout.resolve(), args.language
    folders = [root / folder for folder in args.folders.split(",")]
    paths = sorted(p for f in folders for p in f.rglob("*" + LANGUAGES[language]) if "target" not in p.parts)
    texts = {path: path.read_text(errors="replace") for path in paths}
    tokens = [(path, *token) for path in paths for token in names(language, texts[path])]
    lines = {path: text.split("\n") for path, text in texts.items()}

    server = Server(args.server, root, json.loads(args.options))
    server.language = language
    while language == "rust" and not server.is_quiet:
        server.receive()
    known = {path: definitions(server, path) for path in paths}
    name_at = {(path, line, column): name for path, line, column, name in tokens}
    n_same_name = collections.Counter(name_at.get((p, *at)) for p in paths for at in known[p])
    print(f"{len(paths)} files, {len(tokens)} names", file=sys.stderr)

    def place(path, line, *column):
        return ":".join([str(path.relative_to(root)), str(line + 1), *(str(c + 1) for c in column)])

    def head(target):
        """The lines of an accepted definition; None for local names and other projects'."""
        path, first, line, column = target
        if path not in known:
            return None
        if (line, column) == (0, 0):
            return f"{path.relative_to(root)}:1-1"
        if (line, column) not in known[path]:
            return None
        return f"{path.relative_to(root)}:{min(first, known[path][line, column]) + 1}-{line + 1}"

    chance = random.Random(args.seed)
    sample = [token for token in tokens if lines[token[0]][token[1]].isascii()]
    chance.shuffle(sample)
    n_found, per_target, targets = 0, collections.Counter(), {}
    for path, line, column, name in sample:
        if n_found >= args.definitions:
            break
        found = list(server.places("definition", path, line, column))
        accepted = [head(target) for target in found]
        is_own = any(target[0] == path and target[2] == line for target in found)
        if not found or is_own or not all(accepted) or per_target[accepted[0]] >= 5:
            continue
        per_target[accepted[0]] += 1
        n_found += 1
        if language == "rust":  # the trait's declaration is right as well
            declared = [head(target) for target in server.places("declaration", path, line, column)]
            accepted += [lines for lines in declared if lines and lines not in accepted]
        before = lines[path][line][:column].rstrip()
        context = "member" if before.endswith(".") else "path" if before.endswith("::") else "name"
        row = {"ask": "definition", "at": place(path, line, column), "name": name, "context": context}
        print(json.dumps({**row, "n_same_name": n_same_name[name], "accepted": accepted}))
        if (found[0][2], found[0][3]) != (0, 0):
            targets.setdefault((found[0][0], found[0][2], found[0][3]), name)

    asked = list(targets)
    chance.shuffle(asked)
    n_found = 0
    for path, line, column in asked:
        if n_found >= args.references:
            break
        context = {"includeDeclaration": False}
        found = {
            place(target, at) for target, _, at, c in server.places("references", path, line, column, context=context)
            if (target, at, c) in name_at and (target, at) != (path, line)
        }
        if not 2 <= len(found) <= 150:
            continue
        n_found += 1
        name = targets[path, line, column]
        unjudged = set()
        for other, at, c, same in tokens:
            if same == name and place(other, at) not in found and (other, at) != (path, line):
                if (at, c) in known[other]:
                    continue
                # In macro arguments the server may know a definition and still not list the place.
                meant = [target[:1] + target[2:] for target in server.places("definition", other, at, c)]
                if not meant:
                    unjudged.add(place(other, at))
                elif (path, line, column) in meant:
                    found.add(place(other, at))
        row = {"ask": "references", "at": place(path, line, column), "name": name}
        row["in"] = args.folders.split(",")
        print(json.dumps({**row, "places": sorted(found), "unjudged": sorted(unjudged)}), flush=True)
    server.process.kill()


main()

"""Random edits and requests at once: every answer belongs to the text it was asked about, or says that it does not.

usage: FOVEA_HOME=... stale.py FOVEA PROJECT [N_STEPS] [SEED]

Documents whose every version has names, lengths and positions of its own are changed, closed, opened and asked
about without waiting, with as many as 60 requests under way and some of them cancelled. An answer with a result has
to be the one for the version at the moment of asking; ContentModified and RequestCancelled are the other two that
may come. Two sessions share the daemon, each with files of its own: of one file that is open in both, the newest
text counts for both, which is a decision of the daemon's and not looked at here.
"""

import collections
import pathlib
import random
import re
import sys

from client import Client

binary, project = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
n_steps = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
MAX_OPEN = 60
MODIFIED, CANCELLED = -32801, -32800


class Document:
    """One file in one session; `version` is what its text is made of."""

    def __init__(self, session, path):
        self.session, self.path, self.uri = session, path, (project / path).as_uri()
        self.stem = f"thing_{path.split('/')[-1].removesuffix('.py')}_"
        self.serial = 0
        self.renew()

    def renew(self):
        self.serial += 1
        self.name = f"{self.stem}{self.serial}"
        self.n_above = rng.randint(0, 6)
        self.n_inside = rng.randint(1, 5)
        above = ["# a line that moves what is below 🥛"] * self.n_above
        body = [f"def {self.name}(first, second):"] + [f"    value_{n} = {n}" for n in range(self.n_inside)]
        call = [f"    return {self.name}(value_0, 2)", "", "", "class Kept:", f"    def {self.name}_kept(self):", "        pass", ""]
        self.lines = above + body + call
        self.call_line = len(above) + len(body)

    def text(self):
        return "\n".join(self.lines)


def span(value):
    return (value["start"]["line"], value["start"]["character"], value["end"]["line"], value["end"]["character"])


def symbols(document, result):
    found = [(s["name"], s["selectionRange"]["start"]["line"]) for s in result]
    kept = [(c["name"], c["selectionRange"]["start"]["line"]) for s in result for c in s.get("children") or [] if s["name"] == "Kept"]
    assert found == [(document.name, document.n_above), ("Kept", document.call_line + 3)], found
    assert kept == [(document.name + "_kept", document.call_line + 4)], kept


def definition(document, result):
    spans = [span(place["range"]) for place in result if place["uri"] == document.uri]
    assert (document.n_above, 4, document.n_above, 4 + len(document.name)) in spans, result


def highlights(document, result):
    lines = sorted(span(found["range"])[0] for found in result)
    assert lines == [document.n_above, document.call_line], lines


def hover(document, result):
    assert f"{document.name}(first, second)" in result["contents"]["value"], result


def folds(document, result):
    wanted = (document.n_above, document.call_line)
    assert wanted in [(fold["startLine"], fold["endLine"]) for fold in result], result


def selection(document, result):
    ranges, at = [], result[0]
    while at:
        ranges.append(span(at["range"]))
        at = at.get("parent")
    assert ranges[0] == (document.call_line, 11, document.call_line, 11 + len(document.name)), ranges
    assert ranges[-1][2] >= document.call_line + 5, ranges


def signature(document, result):
    assert result["signatures"][0]["label"].startswith(f"def {document.name}("), result


def tokens(document, result):
    data, line, starts = result["data"], 0, []
    for n in range(0, len(data), 5):
        line += data[n]
        starts.append((line, data[n + 2]))
    assert (document.n_above, len(document.name)) in starts and (document.call_line + 4, len(document.name) + 5) in starts, starts


def offers(document, result):
    # Which names there are may lag behind by an edit; where they go may not.
    for item in result["items"]:
        edit = item["textEdit"]["range"]
        assert (edit["start"]["line"], edit["start"]["character"]) == (document.call_line, 11), edit


def rename(document, result):
    assert result["placeholder"] == document.name, result


def ghost(document, result):
    for item in result["items"]:
        line = document.lines[document.call_line]
        assert span(item["range"])[0] == document.call_line, item
        # A name of this file is one that this version has; those of other files may come and go.
        written = re.match(r"\s*return (\w+)", line[: document.cut] + item["insertText"])[1]
        is_one = re.fullmatch(document.stem + r"(\d+)(_kept)?", written)
        assert not is_one or int(is_one[1]) == document.serial, (item["insertText"], line[: document.cut])


QUESTIONS = {
    "textDocument/documentSymbol": symbols,
    "textDocument/definition": definition,
    "textDocument/documentHighlight": highlights,
    "textDocument/hover": hover,
    "textDocument/foldingRange": folds,
    "textDocument/selectionRange": selection,
    "textDocument/signatureHelp": signature,
    "textDocument/semanticTokens/full": tokens,
    "textDocument/completion": offers,
    "textDocument/prepareRename": rename,
    "textDocument/inlineCompletion": ghost,
}


def params(document, method):
    of = {"textDocument": {"uri": document.uri}}
    column = 11 + len(document.name)
    if method.endswith(("documentSymbol", "foldingRange", "full")):
        return of
    if method.endswith("signatureHelp"):
        column += 1
    if method.endswith("completion"):
        column -= 2
        of["context"] = {"triggerKind": 1}
    if method.endswith("inlineCompletion"):
        column = document.cut = 11 + rng.randint(6, len(document.name) - 1)
        of["context"] = {"triggerKind": rng.choice([1, 2])}
    if method.endswith("hover") or method.endswith("definition"):
        column -= rng.randint(1, len(document.name))
    at = {"line": document.call_line, "character": column}
    return {**of, "positions": [at]} if method.endswith("selectionRange") else {**of, "position": at}


def copy(document):
    other = object.__new__(Document)
    other.__dict__.update(document.__dict__)
    return other


def open_document(client, document):
    fields = {"uri": document.uri, "languageId": "python", "version": document.serial, "text": document.text()}
    client.notify("textDocument/didOpen", {"textDocument": fields})


def change(client, document):
    """From the old text to the new one: as a whole, or as edits of lines from the end to the beginning."""
    old = document.lines
    document.renew()
    if rng.random() < 0.3:
        changes = [{"text": document.text()}]
    else:
        end = {"line": len(old) - 1, "character": len(old[-1])}
        split = rng.randint(0, len(old) - 1)
        new_split = min(split, len(document.lines) - 1)
        tail = "\n".join(document.lines[new_split:])
        head = "\n".join(document.lines[:new_split] + [""]) if new_split else ""
        start = {"line": 0, "character": 0}
        middle = {"line": split, "character": 0}
        changes = [{"range": {"start": middle, "end": end}, "text": tail}, {"range": {"start": start, "end": middle}, "text": head}]
    client.notify("textDocument/didChange", {"textDocument": {"uri": document.uri, "version": document.serial}, "contentChanges": changes})


clients, documents = [], []
for session in range(2):
    client = Client([binary, "lsp"], project)
    capabilities = {
        "textDocument": {"inlineCompletion": {}, "documentSymbol": {"hierarchicalDocumentSymbolSupport": True}},
    }
    folders = [{"uri": project.as_uri(), "name": "sample"}]
    client.ask("initialize", {"processId": None, "rootUri": project.as_uri(), "workspaceFolders": folders, "capabilities": capabilities})
    client.notify("initialized", {})
    clients.append(client)
    for path in [f"larder/one{session}.py", f"two{session}.py", f"tests/three{session}.py"]:
        documents.append(Document(session, path))
        open_document(client, documents[-1])

counts, stale, waiting = collections.Counter(), [], []


def settle():
    for client, number, method, document in waiting:
        answer = client.wait(number, 60)
        error = answer.get("error")
        if error:
            kind = {MODIFIED: "modified", CANCELLED: "cancelled"}.get(error["code"])
            if kind is None:
                stale.append((method, error))
            counts[kind] += 1
        elif answer["result"] in (None, [], {"items": []}):
            counts["nothing " + method] += 1
        else:
            try:
                QUESTIONS[method](document, answer["result"])
                counts["right"] += 1
                counts["right " + method] += 1
            except (AssertionError, StopIteration, KeyError, IndexError) as wrong:
                stale.append((method, document.name, repr(wrong)[:500]))
    waiting.clear()


for step in range(n_steps):
    document = rng.choice(documents)
    client = clients[document.session]
    dice = rng.random()
    if dice < 0.35:
        change(client, document)
    elif dice < 0.38:
        client.notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})
        document.renew()
        open_document(client, document)
    elif dice < 0.42 and waiting:
        chosen = rng.choice(waiting)
        chosen[0].notify("$/cancelRequest", {"id": chosen[1]})
    else:
        method = rng.choice(list(QUESTIONS))
        number_params = params(document, method)
        waiting.append((client, client.start(method, number_params), method, copy(document)))
    if len(waiting) >= MAX_OPEN or rng.random() < 0.03:
        settle()
settle()
for client in clients:
    assert client.broken is None, client.broken
    assert client.stop() == 0, "the server did not end with success"

n_asked = counts["right"] + counts["modified"] + counts["cancelled"]
never = [method for method in QUESTIONS if not counts["right " + method]]
nothing = {name: count for name, count in counts.items() if str(name).startswith("nothing")}
print(f"{n_steps} steps: {counts['right']} right, {len(stale)} stale, {counts['modified']} modified, {counts['cancelled']} cancelled, {sum(nothing.values())} empty")
for wrong in stale[:20]:
    print("  stale:", *wrong)
if never:
    print("  never answered:", *never, nothing)
sys.exit(1 if stale or never or n_asked < n_steps / 4 else 0)

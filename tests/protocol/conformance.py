"""Every message the server sends, checked against types generated from the protocol's meta model.

usage: FOVEA_HOME=... conformance.py FOVEA PROJECT

Each is read strictly by the types of `lsprotocol` (3.18) and written again; what comes out must be what
the server sent, so an unknown, misspelled or mistyped field fails.
"""

import json
import pathlib
import sys

from lsprotocol import converters, types

from client import Client

binary, project = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
converter = converters.get_converter()
root = project.as_uri()


def uri(path):
    return f"{root}/{path}"


def position(text, needle):
    at = text.index(needle) + len(needle)
    line = text.count("\n", 0, at)
    return {"line": line, "character": len(text[text.rfind("\n", 0, at) + 1 : at].encode("utf-16-le")) // 2}


client = Client([binary, "lsp"], project)
client.ask(
    "initialize",
    {
        "processId": None,
        "rootUri": root,
        "workspaceFolders": [{"uri": root, "name": "sample"}],
        "initializationOptions": {"features": {"codeLens": True}},
        "capabilities": {
            "window": {"workDoneProgress": True},
            "workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}},
            "textDocument": {
                "inlineCompletion": {},
                "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
                "typeHierarchy": {"dynamicRegistration": True},
                "hover": {"contentFormat": ["markdown"]},
            },
        },
    },
)
client.notify("initialized", {})
path = "larder/cli.py"
text = (project / path).read_text()
client.notify("textDocument/didOpen", {"textDocument": {"uri": uri(path), "languageId": "python", "version": 1, "text": text}})
stock = (project / "larder/stock.py").read_text()
client.notify("textDocument/didOpen", {"textDocument": {"uri": uri("larder/stock.py"), "languageId": "python", "version": 1, "text": stock}})

at = {"textDocument": {"uri": uri(path)}, "position": position(text, "stock.expiring_")}
take = {"textDocument": {"uri": uri("larder/stock.py")}, "position": position(stock, "def ta")}
document = {"textDocument": {"uri": uri(path)}}
answered = {}


def ask(method, params, empty=False):
    result = client.ask(method, params)
    assert empty or result not in (None, [], {}), f"{method} answered {result}: nothing to check"
    answered[method] = result
    return result


ask("textDocument/inlineCompletion", {**at, "context": {"triggerKind": 1}})
items = ask("textDocument/completion", {**at, "context": {"triggerKind": 1}})
ask("completionItem/resolve", items["items"][0])
for method in ["definition", "declaration", "hover", "documentHighlight"]:
    ask(f"textDocument/{method}", at)
ask("textDocument/typeDefinition", {**document, "position": position(text, "    stoc")}, empty=True)
ask("textDocument/implementation", take, empty=True)
ask("textDocument/references", {**take, "context": {"includeDeclaration": True}})
ask("textDocument/signatureHelp", {**document, "position": position(text, "stock.expiring_within(days, ")})
ask("textDocument/documentSymbol", document)
ask("textDocument/foldingRange", document)
ask("textDocument/semanticTokens/full", document)
ask("textDocument/selectionRange", {**document, "positions": [at["position"]]})
lenses = ask("textDocument/codeLens", document)
ask("codeLens/resolve", lenses[0])
calls = ask("textDocument/prepareCallHierarchy", take)
ask("callHierarchy/incomingCalls", {"item": calls[0]})
ask("callHierarchy/outgoingCalls", {"item": calls[0]})
kinds = ask("textDocument/prepareTypeHierarchy", {**take, "position": position(stock, "class OutOf")})
ask("typeHierarchy/supertypes", {"item": kinds[0]}, empty=True)
ask("typeHierarchy/subtypes", {"item": kinds[0]}, empty=True)
ask("textDocument/prepareRename", {**take, "position": position(stock, "class OutOf")})
ask("textDocument/rename", {"textDocument": {"uri": uri("larder/stock.py")}, "position": position(stock, "class OutOf"), "newName": "Missing"})
ask("workspace/symbol", {"query": "Stock"})
ask("workspace/executeCommand", {"command": "fovea.accepted", "arguments": [1]}, empty=True)
for method, params in [("textDocument/hover", {}), ("no/such", {}), ("textDocument/rename", {**at, "newName": "1 2"})]:
    assert "error" in client.wait(client.start(method, params)), method
assert client.stop() == 0, "the server did not end with success"


def bare(value):
    """Without what the protocol treats as absent."""
    if isinstance(value, dict):
        return {key: bare(inner) for key, inner in value.items() if inner is not None}
    return [bare(inner) for inner in value] if isinstance(value, list) else value


n_checked, failures = 0, []
for direction, message in client.seen:
    own = message.get("method") or client.methods.get(message.get("id"), "")
    if own.startswith("fovea/") or own == "no/such":
        continue
    request, response, *_ = types.METHOD_TO_TYPES[own]
    if "method" in message:
        kind = request
    elif "error" in message:
        kind = types.ResponseErrorMessage
    else:
        kind = response
    try:
        parsed = converter.structure(message, kind)
        written = converter.unstructure(parsed, kind)
        assert bare(written) == bare(message), f"read as {json.dumps(written)[:600]}"
    except Exception as error:  # noqa: BLE001
        failures.append(f"{own}: {error!r}\n  sent {json.dumps(message)[:600]}")
    n_checked += 1
print(f"{n_checked} messages of {len(answered)} methods checked, {len(failures)} not valid")
print("\n".join(failures))
sys.exit(1 if failures else 0)

/** Pages for webviews: no scripts, no network, and nothing of the repository is markup. */

export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function page(title: string, body: string): string {
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}</title>
<style>
body { font: var(--vscode-font-size) var(--vscode-font-family); color: var(--vscode-foreground); padding: 0 1.2em 2em; }
pre, code { font: var(--vscode-editor-font-size) var(--vscode-editor-font-family); }
pre { background: var(--vscode-textCodeBlock-background); padding: .6em; overflow-x: auto; max-height: 18em; margin: .4em 0; }
table { border-collapse: collapse; } td, th { padding: .15em 1em .15em 0; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.bar { display: flex; height: 1em; border-radius: 2px; overflow: hidden; margin: .6em 0; max-width: 40em; background: var(--vscode-textCodeBlock-background); }
.fovea { background: var(--vscode-charts-blue); } .near-field { background: var(--vscode-charts-green); }
.periphery { background: var(--vscode-charts-orange); } .outline { background: var(--vscode-charts-purple); }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; }
.muted { color: var(--vscode-descriptionForeground); } h2 { font-size: 1.1em; margin: 1.2em 0 .2em; }
details > summary { cursor: pointer; } svg text { fill: var(--vscode-foreground); font: 12px var(--vscode-font-family); }
svg { max-width: 100%; height: auto; } svg a { cursor: pointer; } svg rect { fill: var(--vscode-textCodeBlock-background); stroke: var(--vscode-charts-blue); }
svg rect.center { stroke-width: 2; stroke: var(--vscode-charts-orange); } svg path { fill: none; stroke: var(--vscode-descriptionForeground); }
</style></head><body>${body}</body></html>`;
}

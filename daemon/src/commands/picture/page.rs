//! One HTML file around the drawing: search, zoom and pan without anything to load.

use super::{
    GraphPicture,
    draw::{escaped, svg},
    title,
};

pub(super) fn html(picture: &GraphPicture) -> String {
    let name = picture.nodes.first().map(|node| title(&node.symbol)).unwrap_or_default();
    let n_nodes = picture.nodes.len();
    let more = if picture.has_more { ", cut at the limit" } else { "" };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>{name}</title>\n{STYLE}</head>\n\
         <body>\n<header><b>{name}</b> <span>{n_nodes} symbols, {} edges{more}</span> \
         <input id=\"search\" type=\"search\" placeholder=\"Search\" aria-label=\"Search\"> \
         <output id=\"n-found\"></output> <button id=\"first\">Start</button> \
         <button id=\"whole\">Whole graph</button></header>\n<main>\n{}</main>\n{SCRIPT}</body>\n\
         </html>\n",
        picture.links.len(),
        svg(picture),
        name = escaped(&name),
    )
}

const STYLE: &str = "<style>
html,body{margin:0;height:100%;font:14px system-ui,sans-serif}
body{display:flex;flex-direction:column}
header{padding:8px 12px;border-bottom:1px solid #d0d7de}
header span{color:#57606a;margin:0 12px}
main{flex:1;overflow:hidden;cursor:grab}
main svg{width:100%;height:100%}
.node{cursor:pointer}
.node.faded,.link.faded{opacity:.15}
.link.chosen{stroke:#0969da;stroke-width:2}
.node.found rect{stroke:#bf3989;stroke-width:2.5}
</style>
";

/// The wheel zooms at the pointer, dragging moves, search fades what does not fit and Enter goes from
/// find to find; a click on a symbol shows its edges alone. It opens readable, at the first symbol.
const SCRIPT: &str = "<script>
const svg = document.querySelector('main svg');
const whole = svg.getAttribute('viewBox').split(' ').map(Number);
let box = whole.slice();
const show = () => svg.setAttribute('viewBox', box.join(' '));
const scale = () => Math.max(box[2] / svg.clientWidth, box[3] / svg.clientHeight);
svg.addEventListener('wheel', event => {
  event.preventDefault();
  const factor = event.deltaY > 0 ? 1.15 : 1 / 1.15;
  const area = svg.getBoundingClientRect();
  const at = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
  box = [box[0] + box[2] * at[0] * (1 - factor), box[1] + box[3] * at[1] * (1 - factor),
    box[2] * factor, box[3] * factor];
  show();
}, { passive: false });
let from = null;
svg.addEventListener('pointerdown', event => { from = [event.clientX, event.clientY]; });
addEventListener('pointerup', () => { from = null; });
addEventListener('pointermove', event => {
  if (!from) return;
  box[0] -= (event.clientX - from[0]) * scale();
  box[1] -= (event.clientY - from[1]) * scale();
  from = [event.clientX, event.clientY];
  show();
});
const nodes = [...document.querySelectorAll('.node')];
const links = [...document.querySelectorAll('.link')];
const goTo = node => {
  const rect = node.querySelector('rect');
  const [, x, y] = node.getAttribute('transform').match(/([-\\d.]+) ([-\\d.]+)/).map(Number);
  const size = [svg.clientWidth, svg.clientHeight];
  box = [x + rect.width.baseVal.value / 2 - size[0] / 2,
    y + rect.height.baseVal.value / 2 - size[1] / 2, size[0], size[1]];
  show();
};
const start = () => {
  const fits = whole[2] <= svg.clientWidth * 1.5 && whole[3] <= svg.clientHeight * 1.5;
  if (fits) { box = whole.slice(); show(); } else if (nodes[0]) goTo(nodes[0]);
};
document.getElementById('first').addEventListener('click', start);
document.getElementById('whole').addEventListener('click', () => { box = whole.slice(); show(); });
start();
let chosen = null;
const choose = node => {
  chosen = node === chosen ? null : node;
  const near = new Set(chosen ? [chosen.id] : []);
  for (const link of links) {
    const touches = chosen && (link.dataset.from === chosen.id || link.dataset.to === chosen.id);
    if (touches) { near.add(link.dataset.from); near.add(link.dataset.to); }
    link.classList.toggle('chosen', Boolean(touches));
    link.classList.toggle('faded', Boolean(chosen) && !touches);
  }
  for (const node of nodes) node.classList.toggle('faded', Boolean(chosen) && !near.has(node.id));
};
for (const node of nodes) node.addEventListener('click', () => choose(node));
let found = [], at = -1;
const search = document.getElementById('search');
search.addEventListener('input', () => {
  const wanted = search.value.toLowerCase();
  found = [];
  for (const node of nodes) {
    const fits = node.textContent.toLowerCase().includes(wanted);
    node.classList.toggle('faded', !fits);
    node.classList.toggle('found', wanted !== '' && fits);
    if (wanted !== '' && fits) found.push(node);
  }
  at = -1;
  document.getElementById('n-found').textContent = wanted === '' ? '' : found.length + ' found';
});
search.addEventListener('keydown', event => {
  if (event.key !== 'Enter' || found.length === 0) return;
  at = (at + (event.shiftKey ? found.length - 1 : 1)) % found.length;
  goTo(found[at]);
});
</script>
";

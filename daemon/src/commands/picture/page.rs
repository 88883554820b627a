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
.node.faded,.faded .link{opacity:.2}
.node.found rect{stroke:#bf3989;stroke-width:2.5}
</style>
";

/// The wheel zooms at the pointer, dragging moves, search fades what does not fit.
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
document.getElementById('whole').addEventListener('click', () => { box = whole.slice(); show(); });
document.getElementById('search').addEventListener('input', event => {
  const wanted = event.target.value.toLowerCase();
  for (const node of document.querySelectorAll('.node')) {
    const fits = node.textContent.toLowerCase().includes(wanted);
    node.classList.toggle('faded', !fits);
    node.classList.toggle('found', wanted !== '' && fits);
  }
});
</script>
";

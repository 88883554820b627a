//! SVG: a column for each level, users on the left, what is used on the right.

use std::{collections::BTreeMap, fmt::Write};

use super::{GraphPicture, subtitle, title};

const WIDTH: i32 = 260;
const HEIGHT: i32 = 40;
const COLUMN: i32 = WIDTH + 120;
const ROW: i32 = HEIGHT + 18;
const MARGIN: i32 = 24;
/// A level with more symbols gets a further column.
const MAX_ROWS: i32 = 24;
/// Longer texts are cut; the whole one is the node's tooltip.
const MAX_CHARACTERS: usize = 38;

/// One SVG image, complete with its styles.
pub(super) fn svg(picture: &GraphPicture) -> String {
    let places = places(picture);
    let right = places.iter().map(|(x, _)| x + WIDTH).max().unwrap_or(0) + MARGIN;
    let bottom = places.iter().map(|(_, y)| y + HEIGHT).max().unwrap_or(0) + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {right} {bottom}\" width=\"{right}\" \
         height=\"{bottom}\" font-family=\"system-ui, sans-serif\">\n{STYLE}"
    );
    for link in &picture.links {
        let ((x1, y1), (x2, y2)) = (places[link.from], places[link.to]);
        let (x1, y1, y2) = (x1 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2);
        let bend = ((x2 - x1).abs() / 2).max(40);
        let class = if link.certainty == "exact" { "link" } else { "link unsure" };
        let _ = writeln!(
            text,
            "<path class=\"{class}\" data-from=\"n{}\" data-to=\"n{}\" d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}\" \
             marker-end=\"url(#arrow)\"><title>{} ({})</title></path>",
            link.from,
            link.to,
            x1 + bend,
            x2 - bend,
            escaped(&link.kind),
            escaped(&link.certainty),
        );
    }
    for (index, node) in picture.nodes.iter().enumerate() {
        let (x, y) = places[index];
        let class = if index == 0 { "node first" } else { "node" };
        let (title, subtitle) = (title(&node.symbol), subtitle(&node.symbol));
        let whole = if node.symbol.signature.is_empty() { &title } else { &node.symbol.signature };
        let _ = writeln!(
            text,
            "<g class=\"{class}\" id=\"n{index}\" data-x=\"{x}\" transform=\"translate({x} {y})\">\
             <title>{}\n{}</title><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\
             <text x=\"10\" y=\"17\" class=\"name\">{}</text>\
             <text x=\"10\" y=\"32\" class=\"place\">{}</text></g>",
            escaped(whole),
            escaped(&subtitle),
            escaped(&cut(&title)),
            escaped(&cut(&subtitle)),
        );
    }
    text.push_str("</svg>\n");
    text
}

/// Left upper corner of each node.
fn places(picture: &GraphPicture) -> Vec<(i32, i32)> {
    let mut sizes: BTreeMap<i32, i32> = BTreeMap::new();
    for node in &picture.nodes {
        *sizes.entry(node.level).or_default() += 1;
    }
    let tallest = sizes.values().copied().max().unwrap_or(0).min(MAX_ROWS);
    // Where each level's columns begin.
    let mut starts: BTreeMap<i32, i32> = BTreeMap::new();
    let mut n_columns = 0;
    for (&level, &size) in &sizes {
        starts.insert(level, n_columns);
        n_columns += (size + MAX_ROWS - 1) / MAX_ROWS;
    }
    let mut used: BTreeMap<i32, i32> = BTreeMap::new();
    picture
        .nodes
        .iter()
        .map(|node| {
            let number = used.entry(node.level).or_default();
            let (column, row) = (*number / MAX_ROWS, *number % MAX_ROWS);
            *number += 1;
            let in_column = (sizes[&node.level] - column * MAX_ROWS).min(MAX_ROWS);
            // Columns are centered on each other.
            let above = (tallest - in_column) * ROW / 2;
            (MARGIN + (starts[&node.level] + column) * COLUMN, MARGIN + above + row * ROW)
        })
        .collect()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_CHARACTERS {
        return text.to_owned();
    }
    // The end of a path says more than its start.
    let skipped = text.chars().count() - MAX_CHARACTERS + 1;
    format!("…{}", text.chars().skip(skipped).collect::<String>())
}

/// Markup characters as entities; control characters are no XML.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

const STYLE: &str = "<style>
.node rect{fill:#f6f8fa;stroke:#57606a}
.node.first rect{fill:#ddf4ff;stroke:#0969da;stroke-width:2}
.name{font-size:13px;fill:#1f2328}
.place{font-size:10px;fill:#57606a}
.link{fill:none;stroke:#8c959f}
.link.unsure{stroke-dasharray:5 4}
</style>
<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#8c959f\"/></marker></defs>
";

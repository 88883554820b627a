//! `fovea graph`: the symbols around one, who uses them and what they use, as a picture.
//!
//! [`draw`] lays the symbols out and writes SVG, [`page`] puts that into one HTML file that needs
//! nothing else; DOT and Mermaid leave the layout to other programs.

mod draw;
mod page;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt::Write,
};

use fovea_api::{Answer, At, Encoding, GraphEdgeView, Method, SymbolView};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Local, Workspace, target};
use crate::{
    cli::{GraphArgs, GraphFormat},
    exit_codes::ExitCode,
    output::Failure,
};

/// Symbols and the edges between them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GraphPicture {
    /// The symbol that was asked about comes first.
    pub nodes: Vec<NodeView>,
    pub links: Vec<LinkView>,
    /// There is more than `--limit` symbols.
    pub has_more: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeView {
    pub symbol: SymbolView,
    /// Steps from the symbol asked about: negative for what uses it.
    pub level: i32,
}

/// A directed edge between two of the nodes, by index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct LinkView {
    pub from: usize,
    pub to: usize,
    /// `calls`, `implements`.
    pub kind: String,
    pub certainty: String,
}

pub(super) fn run(context: &mut Context, args: &GraphArgs) -> Result<ExitCode, Failure> {
    let (workspace, at) = target::open(context, &args.target)?;
    let mut collector = Collector::new(&workspace, args);
    collector.collect(at)?;
    if collector.picture.nodes.is_empty() {
        let message = format!("`{}` is no symbol; a cursor is written FILE:LINE:COL", args.target);
        return Err(Failure::new(ExitCode::NotFound, message));
    }
    let format = args.format;
    context.show_local(Local::Graph(collector.picture), |out, local| {
        if let Local::Graph(picture) = local {
            out.raw(&written(picture, format));
        }
    });
    Ok(ExitCode::Ok)
}

fn written(picture: &GraphPicture, format: GraphFormat) -> String {
    match format {
        GraphFormat::Dot => dot(picture),
        GraphFormat::Mermaid => mermaid(picture),
        GraphFormat::Svg => draw::svg(picture),
        GraphFormat::Html => page::html(picture),
    }
}

/// Walks outward from one symbol, asking the engine about each.
struct Collector<'a> {
    workspace: &'a Workspace,
    depth: i32,
    limit: usize,
    picture: GraphPicture,
    /// Path and offset of the name to node.
    known: HashMap<(String, u32), usize>,
    links: HashSet<LinkView>,
}

impl<'a> Collector<'a> {
    fn new(workspace: &'a Workspace, args: &GraphArgs) -> Self {
        Self {
            workspace,
            depth: i32::from(args.depth),
            limit: args.limit.clamp(1, 400),
            picture: GraphPicture { nodes: Vec::new(), links: Vec::new(), has_more: false },
            known: HashMap::new(),
            links: HashSet::new(),
        }
    }

    fn collect(&mut self, at: At) -> Result<(), Failure> {
        let Answer::Edges { of: Some(of), .. } = self.ask(Method::Callers { at })? else {
            return Ok(());
        };
        let first = self.node(of, 0);
        self.relatives(first)?;
        let mut waiting: VecDeque<usize> = first.into_iter().collect();
        while let Some(index) = waiting.pop_front() {
            let node = &self.picture.nodes[index];
            let (level, at) = (node.level, place(&node.symbol));
            if level.abs() >= self.depth {
                continue;
            }
            // Behind the first symbol the walk goes on in its direction.
            let n_known = self.picture.nodes.len();
            if level <= 0
                && let Answer::Edges { edges, .. } = self.ask(Method::Callers { at: at.clone() })?
            {
                self.edges(index, level - 1, edges);
            }
            if level >= 0
                && let Answer::Edges { edges, .. } = self.ask(Method::Callees { at })?
            {
                self.edges(index, level + 1, edges);
            }
            waiting.extend(n_known..self.picture.nodes.len());
        }
        Ok(())
    }

    /// Bases of the symbol, and what derives from it.
    fn relatives(&mut self, of: Option<usize>) -> Result<(), Failure> {
        let Some(of) = of else { return Ok(()) };
        let at = place(&self.picture.nodes[of].symbol);
        let Answer::Hierarchy(Some(found)) = self.ask(Method::Hierarchy { at })? else {
            return Ok(());
        };
        for (symbols, level) in [(found.supers, 1), (found.subs, -1)] {
            for symbol in symbols {
                let certainty = symbol.certainty.clone();
                if let Some(other) = self.node(symbol, level) {
                    self.link(of, other, level, "implements", &certainty);
                }
            }
        }
        Ok(())
    }

    fn edges(&mut self, of: usize, level: i32, edges: Vec<GraphEdgeView>) {
        for edge in edges {
            if let Some(other) = self.node(edge.symbol, level) {
                self.link(of, other, level, &edge.kind, &edge.certainty);
            }
        }
    }

    /// A link between `of` and what lies `level` of it: users stand on the left.
    fn link(&mut self, of: usize, other: usize, level: i32, kind: &str, certainty: &str) {
        let (from, to) = if level < 0 { (other, of) } else { (of, other) };
        let link = LinkView { from, to, kind: kind.to_owned(), certainty: certainty.to_owned() };
        if self.links.insert(link.clone()) {
            self.picture.links.push(link);
        }
    }

    fn node(&mut self, symbol: SymbolView, level: i32) -> Option<usize> {
        let key = (symbol.location.path.clone(), symbol.location.start_byte);
        if let Some(&known) = self.known.get(&key) {
            return Some(known);
        }
        if self.picture.nodes.len() >= self.limit {
            self.picture.has_more = true;
            return None;
        }
        let index = self.picture.nodes.len();
        self.picture.nodes.push(NodeView { symbol, level });
        self.known.insert(key, index);
        Some(index)
    }

    fn ask(&self, method: Method) -> Result<Answer, Failure> {
        Ok(self.workspace.ask(method)?.0)
    }
}

fn place(symbol: &SymbolView) -> At {
    At {
        path: symbol.location.path.clone(),
        line: symbol.location.start_line,
        column: symbol.location.start_column,
        encoding: Encoding::Utf16,
    }
}

/// The name with the type or module around it.
fn title(symbol: &SymbolView) -> String {
    match symbol.container.is_empty() {
        true => symbol.name.clone(),
        false => format!("{} › {}", symbol.container, symbol.name),
    }
}

fn subtitle(symbol: &SymbolView) -> String {
    let location = &symbol.location;
    format!("{} · {}:{}", symbol.kind, location.path, location.start_line + 1)
}

fn dot(picture: &GraphPicture) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = "digraph fovea {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (index, node) in picture.nodes.iter().enumerate() {
        let label =
            format!("{}\\n{}", quoted(&title(&node.symbol)), quoted(&subtitle(&node.symbol)));
        let style = if index == 0 { ", penwidth=2" } else { "" };
        let _ = writeln!(text, "  n{index} [label=\"{label}\"{style}];");
    }
    for link in &picture.links {
        let style = if link.certainty == "exact" { "" } else { ", style=dashed" };
        let kind = quoted(&link.kind);
        let _ = writeln!(text, "  n{} -> n{} [label=\"{kind}\"{style}];", link.from, link.to);
    }
    text.push_str("}\n");
    text
}

fn mermaid(picture: &GraphPicture) -> String {
    let quoted =
        |text: &str| text.replace('&', "#amp;").replace('"', "#quot;").replace('<', "#lt;");
    let mut text = "graph LR\n".to_owned();
    for (index, node) in picture.nodes.iter().enumerate() {
        let label =
            format!("{}<br>{}", quoted(&title(&node.symbol)), quoted(&subtitle(&node.symbol)));
        let _ = writeln!(text, "  n{index}[\"{label}\"]");
    }
    for link in &picture.links {
        let arrow = if link.certainty == "exact" { "-->" } else { "-.->" };
        let kind = quoted(&link.kind);
        let _ = writeln!(text, "  n{} {arrow}|{kind}| n{}", link.from, link.to);
    }
    text
}

#[cfg(test)]
mod tests {
    use fovea_api::Location;

    use super::*;

    fn picture() -> GraphPicture {
        let symbol = |name: &str, line| SymbolView {
            name: name.to_owned(),
            kind: "function".to_owned(),
            container: String::new(),
            location: Location { start_line: line, ..Location::at_start_of("src/a.rs") },
            enclosing: Location::at_start_of("src/a.rs"),
            signature: String::new(),
            doc: None,
            certainty: "exact".to_owned(),
            depth: 0,
        };
        let link = |from, to, certainty: &str| LinkView {
            from,
            to,
            kind: "calls".to_owned(),
            certainty: certainty.to_owned(),
        };
        GraphPicture {
            nodes: vec![
                NodeView { symbol: symbol("middle", 0), level: 0 },
                NodeView { symbol: symbol("user", 1), level: -1 },
                NodeView { symbol: symbol("a<b>\"&", 2), level: 1 },
            ],
            links: vec![link(1, 0, "exact"), link(0, 2, "name-only")],
            has_more: false,
        }
    }

    #[test]
    fn dot_and_mermaid_quote_names_and_dash_what_is_unsure() {
        let dot = dot(&picture());
        assert!(dot.contains("n2 [label=\"a<b>\\\"&\\nfunction · src/a.rs:3\"];"), "{dot}");
        assert!(dot.contains("n1 -> n0 [label=\"calls\"];"), "{dot}");
        assert!(dot.contains("n0 -> n2 [label=\"calls\", style=dashed];"), "{dot}");
        let mermaid = mermaid(&picture());
        assert!(mermaid.contains("n2[\"a#lt;b>#quot;#amp;<br>"), "{mermaid}");
        assert!(mermaid.contains("n0 -.->|calls| n2"), "{mermaid}");
    }

    #[test]
    fn users_are_drawn_left_of_what_they_use_and_markup_is_escaped() {
        let svg = draw::svg(&picture());
        let x = |index: usize| {
            let at = svg.find(&format!("id=\"n{index}\"")).expect("a node");
            let value = svg[at..].split("data-x=\"").nth(1).expect("its place");
            value.split('"').next().and_then(|x| x.parse::<i32>().ok()).expect("a number")
        };
        assert!(x(1) < x(0) && x(0) < x(2), "{svg}");
        assert!(svg.contains("a&lt;b&gt;&quot;&amp;") && !svg.contains("a<b>"), "{svg}");
        let html = page::html(&picture());
        assert!(html.starts_with("<!doctype html>") && html.contains("</html>"));
        assert!(!html.contains("http://") || html.contains("http://www.w3.org/2000/svg"));
        assert!(!html.contains("src=\"") && !html.contains("<link"), "nothing is loaded");
    }
}

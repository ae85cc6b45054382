//! The page around plots and tables.

use std::fmt::Write as _;

use super::svg::escaped;

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
h1 { font-size: 1.6rem } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc } h3 { margin-bottom: 0 }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right } th:first-child, td:first-child { text-align: left }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif }
svg .grid { stroke: #e3e3e3 } svg .axis { stroke: #555; fill: none } svg .mark { fill: #d1582b; opacity: .2 }
.warning { background: #fff3d6; border-left: 4px solid #d19a1b; padding: .5rem 1rem }
";

/// An HTML document that is being written.
#[derive(Debug)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escaped(title);
        Self(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        ))
    }

    /// A heading with what its figures mean.
    pub(super) fn section(&mut self, title: &str, meaning: &str) {
        _ = writeln!(self.0, "<h2>{}</h2>\n<p>{}</p>", escaped(title), escaped(meaning));
    }

    pub(super) fn heading(&mut self, title: &str) {
        _ = writeln!(self.0, "<h3>{}</h3>", escaped(title));
    }

    pub(super) fn warning(&mut self, text: &str) {
        _ = writeln!(self.0, "<p class=\"warning\">{}</p>", escaped(text));
    }

    pub(super) fn plot(&mut self, svg: &str) {
        self.0.push_str(svg);
    }

    /// The first row names the columns.
    pub(super) fn table(&mut self, rows: &[Vec<String>]) {
        self.0.push_str("<table>\n");
        for (number, row) in rows.iter().enumerate() {
            let cell = if number == 0 { "th" } else { "td" };
            let cells = row.iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(text)));
            _ = writeln!(self.0, "<tr>{}</tr>", cells.collect::<String>());
        }
        self.0.push_str("</table>\n");
    }

    pub(super) fn finish(self) -> String {
        self.0 + "</body>\n</html>\n"
    }
}

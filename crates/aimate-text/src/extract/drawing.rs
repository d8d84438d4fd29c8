//! What stands in the drawings of Office files: charts, diagrams and text boxes.

use std::collections::BTreeMap;

use super::archive::Archive;
use super::error::ExtractError;
use super::limits::Limits;
use super::line::clean_line;
use super::number::Format;
use super::ooxml::Relations;
use super::xml::{Node, Walker};

/// Maximum points of a chart that are read.
const MAX_POINTS: usize = 2_000;
/// Maximum charts, diagrams and pictures of a part that are looked at.
const MAX_PARTS: usize = 500;

/// Which charts tell their figures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ChartData {
    Read,
    /// The figures stand in the sheet that the chart was made of.
    Named,
}

/// The texts of the charts and diagrams that a part points to, in the order of their
/// relations.
pub(super) fn of_part(
    archive: &mut Archive,
    relations: &Relations,
    ids: &[String],
    data: ChartData,
    what: &'static str,
    limits: &Limits,
) -> Result<Vec<String>, ExtractError> {
    let mut texts = Vec::new();
    for id in ids.iter().take(MAX_PARTS) {
        let Some((kind, target)) = relations.get(id) else { continue };
        let (kind, target) = (kind.to_owned(), target.to_owned());
        let Some(text) = archive.text(&target)? else { continue };
        let found = match kind.as_str() {
            "chart" | "chartEx" => Chart::read(&text, what, limits)?.write(data),
            "diagramData" => diagram(&text, what, limits)?,
            _ => continue,
        };
        if !found.is_empty() {
            texts.push(found);
        }
    }
    Ok(texts)
}

/// The id of the chart or diagram that an element points to.
pub(super) fn relation_of(element: &super::xml::Element<'_>) -> Option<String> {
    match element.name() {
        "chart" => element.prefixed("r:id").or_else(|| element.attribute("id")),
        "relIds" => element.prefixed("r:dm").or_else(|| element.attribute("dm")),
        _ => None,
    }
}

#[derive(Default)]
struct Chart {
    title: String,
    axes: Vec<String>,
    series: Vec<Series>,
}

#[derive(Default)]
struct Series {
    name: String,
    categories: BTreeMap<usize, String>,
    values: BTreeMap<usize, String>,
}

impl Chart {
    fn read(text: &str, what: &'static str, limits: &Limits) -> Result<Self, ExtractError> {
        let mut chart = Self::default();
        let mut walker = Walker::new(text, what, limits);
        let mut in_axis = None;
        while let Some(node) = walker.next()? {
            if in_axis.is_some_and(|depth| walker.depth() < depth) {
                in_axis = None;
            }
            let Node::Start(element) = node else { continue };
            match element.name() {
                "catAx" | "valAx" | "dateAx" | "serAx" | "axis" => in_axis = Some(walker.depth()),
                "title" => {
                    let title = paragraphs(&mut walker)?.join(" ");
                    if in_axis.is_some() {
                        chart.axes.push(title);
                    } else if chart.title.is_empty() {
                        chart.title = title;
                    }
                }
                "ser" => {
                    let series = Series::read(&mut walker)?;
                    if chart.series.len() < MAX_PARTS {
                        chart.series.push(series);
                    }
                }
                // The newer charts keep their data apart from their series.
                "data" => {
                    let series = Series::read(&mut walker)?;
                    if !series.values.is_empty() && chart.series.len() < MAX_PARTS {
                        chart.series.push(series);
                    }
                }
                _ => {}
            }
        }
        Ok(chart)
    }

    fn write(&self, data: ChartData) -> String {
        let mut head = vec![clean_line(&self.title)];
        if data == ChartData::Named {
            head.extend(self.series.iter().map(|series| clean_line(&series.name)));
        }
        head.extend(self.axes.iter().map(|axis| clean_line(axis)));
        head.retain(|part| !part.is_empty());
        head.dedup();
        if data == ChartData::Named {
            return head.join("; ");
        }
        let lines: Vec<String> =
            self.series.iter().map(Series::line).filter(|line| !line.is_empty()).collect();
        match (lines.as_slice(), self.series.as_slice()) {
            ([line], [series])
                if series.name.trim().is_empty() || clean_line(&series.name) == clean_line(&self.title) =>
            {
                let line = series.points();
                if head.is_empty() { line } else { format!("{}: {line}", head.join("; ")) }
            }
            _ => head.into_iter().chain(lines).collect::<Vec<_>>().join("\n"),
        }
    }
}

impl Series {
    fn read(walker: &mut Walker<'_>) -> Result<Self, ExtractError> {
        let mut series = Self::default();
        let inside = walker.depth();
        let (mut part, mut index, mut format) = (SeriesPart::Other, 0, Format::default());
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            match element.name() {
                "tx" => part = SeriesPart::Name,
                "cat" | "xVal" | "strDim" => {
                    part = SeriesPart::Category;
                    format = Format::default();
                }
                "val" | "yVal" | "numDim" => {
                    part = SeriesPart::Value;
                    format = Format::default();
                }
                "bubbleSize" | "dLbls" | "trendline" | "errBars" | "spPr" | "extLst" => walker.skip()?,
                "formatCode" => format = Format::new(&walker.inner_text()?),
                "pt" => {
                    index = element.attribute("idx").and_then(|index| index.parse().ok()).unwrap_or(0);
                    // The newer charts have the value in the point itself.
                    if part != SeriesPart::Name {
                        let text = walker.inner_text()?;
                        series.add(part, index, &text, &format);
                    }
                }
                "v" | "t" => {
                    let text = walker.inner_text()?;
                    series.add(part, index, &text, &format);
                }
                _ => {}
            }
        }
        Ok(series)
    }

    fn add(&mut self, part: SeriesPart, index: usize, text: &str, format: &Format) {
        let text = text.trim();
        let shown = match text.parse::<f64>() {
            Ok(number) if part != SeriesPart::Name && number.is_finite() => format.show(number, false).0,
            _ => text.to_owned(),
        };
        match part {
            SeriesPart::Name => self.name.push_str(&shown),
            SeriesPart::Category if self.categories.len() < MAX_POINTS => {
                let category = self.categories.entry(index).or_default();
                // The outer levels of a category come after the inner one.
                *category = if category.is_empty() { shown } else { format!("{shown} {category}") };
            }
            SeriesPart::Value if self.values.len() < MAX_POINTS => {
                self.values.insert(index, shown);
            }
            _ => {}
        }
    }

    fn points(&self) -> String {
        let mut points = Vec::new();
        for (index, value) in &self.values {
            points.push(match self.categories.get(index) {
                Some(category) => format!("{} {value}", clean_line(category)),
                None => value.clone(),
            });
        }
        if points.is_empty() {
            points.extend(self.categories.values().map(|category| clean_line(category)));
        }
        points.join(", ")
    }

    fn line(&self) -> String {
        let (name, points) = (clean_line(&self.name), self.points());
        match (name.is_empty(), points.is_empty()) {
            (true, _) => points,
            (false, true) => name,
            (false, false) => format!("{name}: {points}"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SeriesPart {
    Name,
    Category,
    Value,
    Other,
}

/// The texts of a SmartArt diagram, one a line.
fn diagram(text: &str, what: &'static str, limits: &Limits) -> Result<String, ExtractError> {
    let mut walker = Walker::new(text, what, limits);
    let mut lines = Vec::new();
    while let Some(node) = walker.next()? {
        let Node::Start(element) = node else { continue };
        if element.name() != "pt" {
            continue;
        }
        // Points of the presentation repeat those of the content.
        let kind = element.attribute("type").unwrap_or_default();
        if !["", "node", "asst", "doc"].contains(&kind.as_str()) {
            walker.skip()?;
            continue;
        }
        let text = clean_line(&paragraphs(&mut walker)?.join(" "));
        if !text.is_empty() {
            lines.push(format!("- {text}"));
        }
    }
    Ok(lines.join("\n"))
}

/// The paragraphs of DrawingML up to the end of the element whose start came last.
pub(super) fn paragraphs(walker: &mut Walker<'_>) -> Result<Vec<String>, ExtractError> {
    let inside = walker.depth();
    let mut paragraphs: Vec<String> = Vec::new();
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        let Node::Start(element) = node else { continue };
        match element.name() {
            "p" => paragraphs.push(String::new()),
            "t" | "v" => {
                let text = walker.inner_text()?;
                match paragraphs.last_mut() {
                    Some(paragraph) => paragraph.push_str(&text),
                    None => paragraphs.push(text),
                }
            }
            "br" | "tab" => {
                if let Some(paragraph) = paragraphs.last_mut() {
                    paragraph.push(' ');
                }
            }
            "Fallback" => walker.skip()?,
            _ => {}
        }
    }
    paragraphs.retain(|paragraph| !paragraph.trim().is_empty());
    Ok(paragraphs)
}

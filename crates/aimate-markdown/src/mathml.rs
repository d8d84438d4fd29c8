//! Formulas as MathML.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pulldown_latex::config::{DisplayMode, RenderConfig};
use pulldown_latex::{Parser, Storage, push_mathml};

use crate::clean;
use crate::formula::Formula;

/// What a formula may be made of, at most: a few bytes can stand for many.
const MAX_EVENTS: usize = 10_000;
/// What defines commands: a few of them that use each other grow beyond all measure.
const DEFINITIONS: [&str; 10] = [
    "\\def",
    "\\gdef",
    "\\edef",
    "\\xdef",
    "\\let",
    "\\futurelet",
    "\\newcommand",
    "\\renewcommand",
    "\\providecommand",
    "\\newenvironment",
];

/// A formula as MathML and nothing else; `None` if it cannot be read.
pub(crate) fn convert(formula: &Formula) -> Option<String> {
    if DEFINITIONS.iter().any(|command| formula.tex.contains(command)) {
        return None;
    }
    // What the parser does not expect costs the formula, not the program.
    let written = catch_unwind(AssertUnwindSafe(|| write(formula))).ok()??;
    Some(clean::mathml(&written))
}

fn write(formula: &Formula) -> Option<String> {
    let storage = Storage::new();
    // Commands that models like and the parser has not: without the box, and with the tag as text.
    let tex = formula.tex.replace("\\boxed", "").replace("\\tag", "\\qquad\\text");
    let events = Parser::new(&tex, &storage).take(MAX_EVENTS + 1);
    let events = events.collect::<Result<Vec<_>, _>>().ok()?;
    if events.len() > MAX_EVENTS {
        return None;
    }
    let display_mode = if formula.is_display { DisplayMode::Block } else { DisplayMode::Inline };
    let config = RenderConfig { display_mode, ..RenderConfig::default() };
    let mut mathml = String::new();
    let events = events.into_iter().map(Ok::<_, std::convert::Infallible>);
    push_mathml(&mut mathml, events, config).ok()?;
    Some(mathml)
}

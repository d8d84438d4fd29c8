//! Code, highlighted by classes.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use syntect::parsing::{BasicScopeStackOp, ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};
use syntect::util::LinesWithEndings;

use crate::text::escape;

/// Every class that a piece of code may have.
pub(crate) const CLASSES: &[&str] =
    &["hl-a", "hl-c", "hl-d", "hl-e", "hl-f", "hl-i", "hl-k", "hl-n", "hl-o", "hl-s", "hl-t", "hl-v"];

/// What is highlighted of one text, at most.
const MAX_BYTES: usize = 200 * 1024;
const MAX_LINES: usize = 5_000;
/// Of one line: patterns go over it again and again.
const MAX_LINE: usize = 2_000;

/// Scopes of syntaxes and their class, the narrower before the wider; an empty one is none.
const RULES: &[(&str, &str)] = &[
    ("comment", "hl-c"),
    ("meta.interpolation", ""),
    ("meta.embedded", ""),
    ("string", "hl-s"),
    ("constant.character.escape", "hl-e"),
    ("constant", "hl-n"),
    ("variable.function", "hl-f"),
    ("variable.annotation", "hl-a"),
    ("variable.language", "hl-k"),
    ("variable.parameter", "hl-v"),
    ("variable.other.member", "hl-a"),
    ("variable", "hl-v"),
    ("keyword.operator.word", "hl-k"),
    ("keyword.operator", "hl-o"),
    ("keyword", "hl-k"),
    ("storage", "hl-k"),
    ("entity.name.function", "hl-f"),
    ("entity.name.tag", "hl-t"),
    ("entity.name", "hl-t"),
    ("entity.other.inherited-class", "hl-t"),
    ("entity.other.attribute-name", "hl-a"),
    ("support.function", "hl-f"),
    ("support.type.property-name", "hl-a"),
    ("support", "hl-t"),
    ("markup.inserted", "hl-i"),
    ("markup.deleted", "hl-d"),
    ("markup.heading", "hl-k"),
    ("markup.raw", "hl-s"),
];

/// What people call languages, and the name of a syntax that reads them.
const ALIASES: &[(&str, &str)] = &[
    ("c#", "cs"),
    ("csharp", "cs"),
    ("c++", "cpp"),
    ("console", "sh"),
    ("shell", "sh"),
    ("zsh", "sh"),
    ("golang", "go"),
    ("hs", "haskell"),
    ("javascriptreact", "js"),
    ("jsonc", "json"),
    ("json5", "js"),
    ("jsx", "js"),
    ("mjs", "js"),
    ("node", "js"),
    ("objective-c", "m"),
    ("objc", "m"),
    ("postgresql", "sql"),
    ("py3", "python"),
    ("python3", "python"),
    ("sqlite", "sql"),
    ("svelte", "html"),
    ("ts", "js"),
    ("tsx", "js"),
    ("typescript", "js"),
    ("vue", "html"),
];

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(SyntaxSet::load_defaults_newlines);

static SCOPES: LazyLock<Vec<(Scope, &str)>> = LazyLock::new(|| {
    RULES.iter().filter_map(|(scope, class)| Some((Scope::new(scope).ok()?, *class))).collect()
});

/// How much code of a text may still be highlighted.
pub(crate) struct HighlightRoom {
    bytes: usize,
    lines: usize,
    until: Instant,
}

impl HighlightRoom {
    pub(crate) fn new(time: Duration) -> Self {
        Self { bytes: MAX_BYTES, lines: MAX_LINES, until: Instant::now() + time }
    }

    fn has_room(&mut self, code: &str) -> bool {
        let lines = code.bytes().filter(|byte| *byte == b'\n').count();
        if code.len() > self.bytes || lines > self.lines {
            return false;
        }
        self.bytes -= code.len();
        self.lines -= lines;
        true
    }
}

/// Writes code, highlighted if its language is known and there is room for it.
pub(crate) fn write(out: &mut String, code: &str, language: &str, room: &mut HighlightRoom) {
    let syntax = syntax(language).filter(|_| room.has_room(code));
    let highlighted = syntax.and_then(|syntax| highlighted(code, syntax, room));
    match highlighted {
        Some(html) => out.push_str(&html),
        None => escape(out, code),
    }
}

fn syntax(language: &str) -> Option<&'static SyntaxReference> {
    if language.is_empty() {
        return None;
    }
    let language = language.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(name, _)| *name == language);
    let found = SYNTAXES.find_syntax_by_token(alias.map_or(&language, |(_, name)| name))?;
    (found.name != "Plain Text").then_some(found)
}

/// Code with its classes; `None` if that takes too long or cannot be done.
fn highlighted(code: &str, syntax: &SyntaxReference, room: &HighlightRoom) -> Option<String> {
    let mut spans = Spans { html: String::with_capacity(code.len() * 2), class: "" };
    let mut state = ParseState::new(syntax);
    let (mut stack, mut classes) = (ScopeStack::new(), Vec::new());
    for line in LinesWithEndings::from(code) {
        if line.len() > MAX_LINE || Instant::now() > room.until {
            return None;
        }
        let mut done = 0;
        for (at, change) in state.parse_line(line, &SYNTAXES).ok()? {
            spans.push(line.get(done..at)?, classes.last().copied().unwrap_or_default());
            done = at;
            let changed = stack.apply_with_hook(&change, |change, _| match change {
                BasicScopeStackOp::Push(scope) => classes.push(class(scope).unwrap_or(
                    // What begins and ends a string or comment belongs to it.
                    classes.last().copied().unwrap_or_default(),
                )),
                BasicScopeStackOp::Pop => drop(classes.pop()),
            });
            changed.ok()?;
        }
        spans.push(line.get(done..)?, classes.last().copied().unwrap_or_default());
    }
    Some(spans.end())
}

fn class(scope: Scope) -> Option<&'static str> {
    SCOPES.iter().find(|(rule, _)| rule.is_prefix_of(scope)).map(|(_, class)| *class)
}

/// Pieces of code, those of one class that follow each other as one.
struct Spans {
    html: String,
    class: &'static str,
}

impl Spans {
    fn push(&mut self, text: &str, class: &'static str) {
        if text.is_empty() {
            return;
        }
        if class != self.class {
            self.close();
            if !class.is_empty() {
                self.html.push_str("<span class=\"");
                self.html.push_str(class);
                self.html.push_str("\">");
            }
            self.class = class;
        }
        escape(&mut self.html, text);
    }

    fn close(&mut self) {
        if !self.class.is_empty() {
            self.html.push_str("</span>");
        }
    }

    fn end(mut self) -> String {
        self.close();
        self.html
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_and_class_is_there() {
        for (name, of) in ALIASES {
            assert!(SYNTAXES.find_syntax_by_token(of).is_some(), "{name}: {of}");
        }
        assert_eq!(SCOPES.len(), RULES.len());
        for (scope, class) in RULES {
            assert!(class.is_empty() || CLASSES.contains(class), "{scope}");
        }
        for class in CLASSES {
            assert!(RULES.iter().any(|(_, used)| used == class), "{class}");
        }
    }

    #[test]
    fn long_line_is_shown_plain() {
        let mut out = String::new();
        write(
            &mut out,
            &"let a = 1; ".repeat(1_000),
            "rust",
            &mut HighlightRoom::new(Duration::from_secs(60)),
        );
        assert!(!out.contains("<span"));
        assert_eq!(out.len(), 11_000);
    }

    #[test]
    fn too_much_code_is_shown_plain() {
        let mut room = HighlightRoom::new(Duration::from_secs(60));
        let mut out = String::new();
        write(&mut out, &"\n".repeat(MAX_LINES + 1), "rust", &mut room);
        write(&mut out, "fn a() {}\n", "rust", &mut room);
        assert_eq!(out.matches("<span").count(), out.matches("hl-").count());
        assert!(out.contains("<span class=\"hl-k\">fn</span>"), "{}", out.trim());
        let mut late = String::new();
        write(&mut late, "fn a() {}\n", "rust", &mut HighlightRoom::new(Duration::ZERO));
        assert_eq!(late, "fn a() {}\n");
    }
}

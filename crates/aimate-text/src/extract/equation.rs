//! Equations of Office files as a line of text: `(a+b)/2 h^2`.

use super::error::ExtractError;
use super::xml::{Node, Walker};

/// Reads an equation up to the end of the element whose start came last.
pub(super) fn read(walker: &mut Walker<'_>) -> Result<String, ExtractError> {
    let mut text = String::new();
    contents(walker, &mut text)?;
    Ok(text.trim().to_owned())
}

/// The parts of a fraction, a root, a power.
#[derive(Default)]
struct Parts {
    /// By the name of the part, in their order.
    parts: Vec<(String, String)>,
    /// The characters that properties name, such as `begChr`.
    signs: Vec<(String, String)>,
}

impl Parts {
    fn read(walker: &mut Walker<'_>) -> Result<Self, ExtractError> {
        let inside = walker.depth();
        let mut parts = Self::default();
        while walker.depth() >= inside {
            let Some(node) = walker.next()? else { break };
            let Node::Start(element) = node else { continue };
            let name = element.name().to_owned();
            match name.as_str() {
                "chr" | "begChr" | "endChr" | "sepChr" => {
                    parts.signs.push((name, element.attribute("val").unwrap_or_default()));
                }
                // Rows of a matrix.
                "mr" => {
                    let row = Self::read(walker)?;
                    let cells: Vec<String> = row.parts.into_iter().map(|(_, text)| text).collect();
                    parts.parts.push((name, cells.join(", ")));
                }
                "e" | "num" | "den" | "sup" | "sub" | "deg" | "lim" | "fName" => {
                    let mut text = String::new();
                    contents(walker, &mut text)?;
                    parts.parts.push((name, text.trim().to_owned()));
                }
                "ctrlPr" => walker.skip()?,
                _ => {}
            }
        }
        Ok(parts)
    }

    fn part(&self, name: &str) -> &str {
        self.parts.iter().find(|(found, _)| found == name).map_or("", |(_, text)| text)
    }

    fn sign<'a>(&'a self, name: &str, usual: &'a str) -> &'a str {
        self.signs.iter().find(|(found, _)| found == name).map_or(usual, |(_, text)| text)
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.parts.iter().filter(|(found, _)| found == name).map(|(_, text)| text.as_str()).collect()
    }

    fn write(&self, name: &str) -> String {
        let base = self.part("e");
        let (sub, sup) = (grouped(self.part("sub")), grouped(self.part("sup")));
        match name {
            "f" => format!("{}/{}", grouped(self.part("num")), grouped(self.part("den"))),
            "sSup" => format!("{}^{sup}", grouped(base)),
            "sSub" => format!("{}_{sub}", grouped(base)),
            "sSubSup" => format!("{}_{sub}^{sup}", grouped(base)),
            "sPre" => format!("_{sub}^{sup} {base}"),
            "rad" if self.part("deg").is_empty() => format!("√{}", grouped(base)),
            "rad" => format!("root({}, {base})", self.part("deg")),
            "nary" => {
                let mut text = self.sign("chr", "∫").to_owned();
                for (mark, bound) in [('_', &sub), ('^', &sup)] {
                    if !bound.is_empty() {
                        text.push(mark);
                        text.push_str(bound);
                    }
                }
                format!("{text} {base}")
            }
            "d" => {
                let separator = self.sign("sepChr", "|");
                let inner = self.all("e").join(separator);
                format!("{}{inner}{}", self.sign("begChr", "("), self.sign("endChr", ")"))
            }
            "func" => format!("{} {base}", self.part("fName")),
            "limLow" => format!("{base}_{}", grouped(self.part("lim"))),
            "limUpp" => format!("{base}^{}", grouped(self.part("lim"))),
            "acc" => format!("{}{}", grouped(base), self.sign("chr", "\u{302}")),
            "m" => format!("[{}]", self.all("mr").join("; ")),
            "eqArr" => self.all("e").join("; "),
            _ => base.to_owned(),
        }
    }
}

fn contents(walker: &mut Walker<'_>, text: &mut String) -> Result<(), ExtractError> {
    let inside = walker.depth();
    while walker.depth() >= inside {
        let Some(node) = walker.next()? else { break };
        let Node::Start(element) = node else { continue };
        let name = element.name().to_owned();
        match name.as_str() {
            "t" => {
                let piece = walker.inner_text()?;
                append(text, &piece);
            }
            "f" | "sSup" | "sSub" | "sSubSup" | "sPre" | "rad" | "nary" | "d" | "func" | "limLow"
            | "limUpp" | "acc" | "bar" | "box" | "borderBox" | "groupChr" | "phant" | "m" | "eqArr" => {
                let piece = Parts::read(walker)?.write(&name);
                let is_bracket = name == "d";
                if !is_bracket && text.ends_with(|last: char| last.is_alphanumeric() || last == ')') {
                    text.push(' ');
                }
                text.push_str(&piece);
            }
            "rPr" | "ctrlPr" | "del" => walker.skip()?,
            _ => {}
        }
    }
    Ok(())
}

/// Adds a run; what follows a fraction or power is set apart from it.
fn append(text: &mut String, piece: &str) {
    let is_structure =
        text.contains(['^', '/', '_']) && text.ends_with(|last: char| last.is_alphanumeric() || last == ')');
    if is_structure && piece.starts_with(char::is_alphanumeric) {
        text.push(' ');
    }
    text.push_str(piece);
}

/// In brackets where it is more than a number, a name or something in brackets.
fn grouped(text: &str) -> String {
    let text = text.trim();
    let is_word = text.chars().all(|character| character.is_alphanumeric() || character == '.');
    let is_bracketed = text.starts_with('(')
        && text.ends_with(')')
        && text
            .char_indices()
            .scan(0_i32, |depth, (at, character)| {
                *depth += match character {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                Some((at, *depth))
            })
            .all(|(at, depth)| depth > 0 || at + 1 == text.len());
    if is_word || is_bracketed { text.to_owned() } else { format!("({text})") }
}

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;

    fn equation(inner: &str) -> String {
        let text = format!("<m:oMath>{inner}</m:oMath>");
        let limits = Limits::default();
        let mut walker = Walker::new(&text, "equation", &limits);
        walker.next().unwrap();
        read(&mut walker).unwrap()
    }

    #[test]
    fn equations_are_read_as_a_line() {
        let run = |text: &str| format!("<m:r><m:t>{text}</m:t></m:r>");
        let fraction = format!("<m:f><m:num>{}</m:num><m:den>{}</m:den></m:f>", run("a+b"), run("2"));
        let power = format!("<m:sSup><m:e>{}</m:e><m:sup>{}</m:sup></m:sSup>", run("h"), run("2"));
        assert_eq!(equation(&format!("{fraction}{power}")), "(a+b)/2 h^2");
        assert_eq!(equation(&format!("{}{fraction}", run("x="))), "x=(a+b)/2");
        let root = format!("<m:rad><m:deg/><m:e>{power}</m:e></m:rad>");
        assert_eq!(equation(&root), "√(h^2)");
        let sum = format!(
            "<m:nary><m:naryPr><m:chr m:val=\"∑\"/></m:naryPr><m:sub>{}</m:sub><m:sup>{}</m:sup><m:e>{}</m:e></m:nary>",
            run("i=1"),
            run("n"),
            run("i")
        );
        assert_eq!(equation(&sum), "∑_(i=1)^n i");
        let brackets = format!("{}<m:d><m:e>{}</m:e></m:d>", run("f"), run("x"));
        assert_eq!(equation(&brackets), "f(x)");
        let matrix = format!(
            "<m:m><m:mr><m:e>{}</m:e><m:e>{}</m:e></m:mr><m:mr><m:e>{}</m:e></m:mr></m:m>",
            run("a"),
            run("b"),
            run("c")
        );
        assert_eq!(equation(&matrix), "[a, b; c]");
    }
}

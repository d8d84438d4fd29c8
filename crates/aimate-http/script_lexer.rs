//! The tokens of a script, as far as packing needs them.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word, a number, or one sign.
    Code,
    /// A string, a piece of a template, or a regular expression.
    Text,
    Comment,
}

/// A token, by bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// From 1.
    pub(crate) line: usize,
}

/// The tokens of a script.
///
/// # Errors
/// The line of what does not end, and what that is.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, (usize, String)> {
    let mut lexer = Lexer { text, at: 0, line: 1, tokens: Vec::new(), braces: Vec::new() };
    while lexer.at < text.len() {
        lexer.token()?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
    /// Of each open brace, whether it is one of a template.
    braces: Vec<bool>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let (start, end) = (self.at, self.at + length);
        self.tokens.push(Token { kind, start, end, line: self.line });
        let text = self.text.get(start..end).unwrap_or_default();
        self.line += text.matches('\n').count();
        self.at = end;
    }

    fn token(&mut self) -> Result<(), (usize, String)> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(()) };
        match first {
            '\n' => {
                self.line += 1;
                self.at += 1;
            }
            _ if first.is_whitespace() => self.at += first.len_utf8(),
            '/' if rest.starts_with("//") => {
                let length = rest.find('\n').unwrap_or(rest.len());
                self.push(Kind::Comment, length);
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").ok_or((self.line, "this comment does not end".to_owned()))?;
                self.push(Kind::Comment, end + 2);
            }
            '/' if self.begins_expression() => self.regular_expression()?,
            '"' | '\'' => {
                let length = quoted(rest, first).ok_or((self.line, "this string does not end".to_owned()))?;
                self.push(Kind::Text, length);
            }
            '`' => {
                self.template(1)?;
            }
            '}' if self.braces.pop() == Some(true) => self.template(1)?,
            '{' => {
                self.braces.push(false);
                self.push(Kind::Code, 1);
            }
            _ if is_word(first) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                self.push(Kind::Code, length);
            }
            _ => self.push(Kind::Code, first.len_utf8()),
        }
        Ok(())
    }

    /// A piece of a template, up to its end or to `${`.
    fn template(&mut self, from: usize) -> Result<(), (usize, String)> {
        let bytes = self.rest().as_bytes();
        let mut at = from;
        loop {
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'\\'), _) => at += 2,
                (Some(b'`'), _) => {
                    self.push(Kind::Text, at + 1);
                    return Ok(());
                }
                (Some(b'$'), Some(b'{')) => {
                    self.braces.push(true);
                    self.push(Kind::Text, at + 2);
                    return Ok(());
                }
                (Some(_), _) => at += 1,
                (None, _) => return Err((self.line, "this template does not end".to_owned())),
            }
        }
    }

    fn regular_expression(&mut self) -> Result<(), (usize, String)> {
        let bytes = self.rest().as_bytes();
        let (mut at, mut is_class) = (1, false);
        loop {
            match bytes.get(at) {
                Some(b'\\') => at += 1,
                Some(b'[') => is_class = true,
                Some(b']') => is_class = false,
                Some(b'/') if !is_class => break,
                Some(b'\n') | None => {
                    return Err((self.line, "this regular expression does not end".to_owned()));
                }
                _ => {}
            }
            at += 1;
        }
        self.push(Kind::Text, at + 1);
        Ok(())
    }

    /// Whether an expression may begin here, so that a slash is none of a division.
    fn begins_expression(&self) -> bool {
        let Some(last) = self.tokens.iter().rev().find(|token| token.kind != Kind::Comment) else {
            return true;
        };
        let text = self.text.get(last.start..last.end).unwrap_or_default();
        match last.kind {
            Kind::Text => text.ends_with("${"),
            _ => {
                let is_operand = text.starts_with(|c| is_word(c) || matches!(c, ')' | ']'));
                let is_keyword = matches!(
                    text,
                    "return"
                        | "typeof"
                        | "case"
                        | "in"
                        | "of"
                        | "do"
                        | "else"
                        | "void"
                        | "delete"
                        | "yield"
                        | "await"
                );
                !is_operand || is_keyword
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// How long a string is, with its quotes.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 1,
            b'\n' => return None,
            byte if *byte == quote as u8 => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
}
